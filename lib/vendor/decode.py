"""JSON of the vendor's answers to its meaning: envelopes, and bars as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from math import nan
from operator import attrgetter
from typing import Protocol, TypeVar

import msgspec
import numpy as np

from lib.bars import NO_TRADES, Bars
from lib.errors import NotFound, VendorError
from lib.vendor.answers import Answer, said_in

ACCEPTED = ("OK", "DELAYED")
_EXACT = 2.0**53  # a float holds every whole number up to here

# Numbers are read as floats throughout: the vendor writes whole ones as 135647456, 642646396.0 and
# 1.029145e+06, and a float holds every millisecond stamp exactly.


class VendorBar(msgspec.Struct, gc=False):
    """One bar by the vendor's names: all but *vw* and *n* are required."""

    t: float
    o: float
    h: float
    l: float  # noqa: E741  the vendor's name
    c: float
    v: float
    vw: float | None = nan
    n: float | None = nan


class GroupedBar(VendorBar, kw_only=True, gc=False):
    """One bar of a market's day, with its ticker."""

    T: str


FIELDS = VendorBar.__struct_fields__
_COLUMNS = attrgetter(*FIELDS)


class BarsAnswer(msgspec.Struct):
    """The envelope of the aggregates endpoint."""

    status: str | None = None
    ticker: str | None = None
    adjusted: bool | None = None
    results_count: float | None = msgspec.field(default=None, name="resultsCount")
    count: float | None = None
    next_url: str | None = None
    results: list[VendorBar] | None = None


class GroupedAnswer(msgspec.Struct):
    """The envelope of the grouped daily endpoint."""

    status: str | None = None
    adjusted: bool | None = None
    results_count: float | None = msgspec.field(default=None, name="resultsCount")
    count: float | None = None
    results: list[GroupedBar] | None = None


class VendorTicker(msgspec.Struct):
    """What the vendor knows of one ticker. *list_date* is a date, *delisted_utc* an instant, as texts."""

    ticker: str
    market: str
    name: str = ""
    type: str = ""
    active: bool = True
    list_date: str | None = None
    delisted_utc: str | None = None


class TickerAnswer(msgspec.Struct):
    """The envelope of the ticker details endpoint."""

    status: str | None = None
    results: VendorTicker | None = None


class _Status(msgspec.Struct):
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """NOT_AUTHORIZED under HTTP 200, which once may be a hiccup. *error*: what to raise if it is none."""

    error: VendorError


class Envelope(Protocol):
    """What every answer of the vendor is wrapped in."""

    status: str | None


T = TypeVar("T", bound=Envelope)


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


_STATUS = msgspec.json.Decoder(_Status)


def decode(answer: Answer, kind: type[T]) -> T | Refusal:
    """The envelope of an answer of HTTP 200 with the status OK or DELAYED, or its refusal.

    Raises AnswerInvalid for anything else, NotFound for the status NOT_FOUND.
    """
    content = answer.content(getattr(kind, "longest_body", None))
    decoder: msgspec.json.Decoder[T] = _decoder(kind)
    document, problem = _parsed(decoder, content)
    status = _status_of(content) if document is None else document.status
    if status is not None and status not in ACCEPTED:
        return _refusal(answer, status, content)  # in whatever form it came
    if document is None:
        raise answer.invalid(problem)
    if status is None:
        raise answer.invalid("it has no status")
    return document


def _parsed(decoder: msgspec.json.Decoder[T], content: bytes) -> tuple[T | None, str]:
    """The document, or None and what is wrong. (Chained exceptions would quote the body, unredacted.)"""
    try:
        return decoder.decode(content), ""
    except msgspec.ValidationError as exc:
        return None, str(exc)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return None, f"it is not JSON ({exc}); it begins: {content[:80].decode('utf-8', 'replace')}"


def _status_of(content: bytes) -> str | None:
    try:
        return _STATUS.decode(content).status
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _refusal(answer: Answer, status: str, content: bytes) -> Refusal:
    text = said_in(content)
    if status == "NOT_AUTHORIZED":
        return Refusal(answer.not_entitled(text))
    if status == "NOT_FOUND":
        raise answer.error(NotFound, "the vendor does not know what was asked for", text)
    raise answer.invalid(f"its status is {status}: {text}")


def to_bars(answer: Answer, results: Sequence[VendorBar]) -> Bars:
    """*results* as columns, in the order given. A count of trades that is none is unknown.

    Raises AnswerInvalid for a stamp that is no whole number of milliseconds.
    """
    # One pass over all numbers is twice as fast as a list per column. None becomes NaN.
    numbers = np.fromiter(chain.from_iterable(map(_COLUMNS, results)), np.float64, len(results) * len(FIELDS))
    t, open_, high, low, close, volume, vwap, trades = numbers.reshape(-1, len(FIELDS)).T.copy()
    if ((t != np.floor(t)) | (np.abs(t) > _EXACT)).any():
        raise answer.invalid("a bar's t is no whole number of milliseconds")
    known = (trades >= 0) & (trades <= _EXACT) & (trades == np.floor(trades))
    return Bars(
        t=t.astype(np.int64),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=vwap,
        trades=np.where(known, trades, NO_TRADES).astype(np.int64),
    )
