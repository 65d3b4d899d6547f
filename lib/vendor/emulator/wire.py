"""Bars and answers in the vendor's JSON: key order, optional fields, the several ways it writes a number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from lib.bars import NO_TRADES, Bars, FloatArray

PRICING = "https://massive.com/pricing"

NO_KEY = "API Key was not provided"
BAD_KEY = "Unknown API Key"
NOT_ENTITLED = f"You are not entitled to this data. Please upgrade your plan at {PRICING}"
OUTSIDE_PLAN = f"Your plan doesn't include this data timeframe. Please upgrade your plan at {PRICING}"
TOO_MANY = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    + PRICING
)


class WireBar(msgspec.Struct, gc=False):
    """One bar as sent, in the vendor's order of keys; a field left UNSET is not sent."""

    T: Any = UNSET
    v: Any = UNSET
    vw: Any = UNSET
    o: Any = UNSET
    c: Any = UNSET
    h: Any = UNSET
    l: Any = UNSET  # noqa: E741  # the vendor's name
    t: Any = UNSET
    n: Any = UNSET
    otc: Any = UNSET


@dataclass(slots=True)
class Answer:
    """An answer before it is rendered. *body*: a JSON value, or bytes as they are."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str = field(default_factory=lambda: uuid4().hex)

    def rendered(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


class Refusal(Exception):
    """The question is answered with an error; *answer* says which."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def error(status: int, text: str) -> Answer:
    """400, 401, 429 and 5xx: the text stands in ``error``."""
    answer = Answer(status=status)
    answer.body = {"status": "ERROR", "request_id": answer.request_id, "error": text}
    return answer


def message(status: int, word: str, text: str) -> Answer:
    """403 and 404: a word such as NOT_AUTHORIZED, and the text in ``message``."""
    answer = Answer(status=status)
    answer.body = {"status": word, "request_id": answer.request_id, "message": text}
    return answer


def refuse(text: str) -> Refusal:
    """A 400 with that text."""
    return Refusal(error(400, text))


def not_authorized(text: str) -> Refusal:
    """A 403 with that text."""
    return Refusal(message(403, "NOT_AUTHORIZED", text))


def bars_answer(
    head: dict[str, Any],
    rows: list[WireBar],
    *,
    n_base: int,
    adjusted: bool,
    status: str,
    next_url: str | None = None,
) -> Answer:
    """An answer of bars in the vendor's order of keys; without rows it has neither ``results`` nor ``count``.

    *n_base*: how many base bars were used.
    """
    answer = Answer()
    body = {**head, "queryCount": n_base, "resultsCount": len(rows), "adjusted": adjusted}
    if rows:
        body["results"] = rows
    body |= {"status": status, "request_id": answer.request_id}
    if rows:
        body["count"] = len(rows)
    if next_url:
        body["next_url"] = next_url
    answer.body = body
    return answer


def wire_bars(
    bars: Bars, *, exponents: bool, tickers: Sequence[str] | None = None, otc: bool = False
) -> list[WireBar]:
    """*bars* as sent: whole prices as integers, some volumes as 1.029145e+06, what is unknown left out.

    *exponents*: whether volumes of a million and more may be written with an exponent (about one in seven).
    *tickers*: for grouped bars, the ticker of each.
    """
    vwap = _known(bars.vwap.tolist(), np.isnan(bars.vwap))
    trades = _known(bars.trades.tolist(), bars.trades == NO_TRADES)
    prices = [_integers_where_whole(column) for column in (bars.open, bars.close, bars.high, bars.low)]
    volume = _volumes(bars, exponents)
    names: Any = repeat(UNSET) if tickers is None else tickers
    columns = (names, volume, vwap, *prices, bars.t.tolist(), trades, repeat(True if otc else UNSET))
    return list(map(WireBar, *columns))


def _known(values: list[Any], unknown: npt.NDArray[np.bool_]) -> list[Any]:
    for at in np.flatnonzero(unknown).tolist():
        values[at] = UNSET
    return values


def _integers_where_whole(column: FloatArray) -> list[Any]:
    values: list[Any] = column.tolist()
    for at in np.flatnonzero(column == np.rint(column)).tolist():
        values[at] = int(values[at])
    return values


def _volumes(bars: Bars, exponents: bool) -> list[Any]:
    whole = np.all(bars.volume == np.rint(bars.volume)) and np.all(bars.volume < 2.0**53)
    values: list[Any] = bars.volume.astype(np.int64).tolist() if whole else bars.volume.tolist()
    if exponents:
        for at in np.flatnonzero((bars.volume >= 1e6) & (bars.t // 60_000 % 7 == 0)).tolist():
            values[at] = msgspec.Raw(with_exponent(bars.volume[at]).encode())
    return values


def with_exponent(value: float) -> str:
    """The shortest text that reads back as *value*, as Go writes large numbers: 1.029145e+06."""
    return np.format_float_scientific(value, unique=True, trim="-", exp_digits=2)
