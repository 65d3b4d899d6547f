"""Bars of one ticker over a range: limit in base bars, the dropped partial window, next_url (protocol §1)."""

from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from lib.bars import Bars
from lib.vendor.emulator import parameters
from lib.vendor.emulator.entitlement import Plan
from lib.vendor.emulator.feed import Feed
from lib.vendor.emulator.market import market_of, zone_of
from lib.vendor.emulator.parameters import Query
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.settings import MOST_BASE_BARS
from lib.vendor.emulator.windows import Unit, Windows, midnight_of, unit_end, unit_floor
from lib.vendor.emulator.wire import (
    NOT_ENTITLED,
    Answer,
    WireBar,
    bars_answer,
    not_authorized,
    refuse,
    wire_bars,
)

_DEFAULT_LIMIT = 5000


@dataclass(frozen=True, slots=True)
class _Range:
    """What is asked for: windows, and the range [start_ms, end_ms), snapped to whole units."""

    windows: Windows
    start_ms: int
    end_ms: int
    limit: int
    newest: bool
    adjusted: bool


def answer_aggregates(question: Question) -> Answer:
    """The bars of one page. Raises Refusal."""
    ticker = question.part("ticker")
    market = market_of(ticker)
    asked = _read(question, zone_of(market))
    plan = Plan.at(question.settings, question.clock, asked.windows.zone)
    plan.check_market(market)
    start_ms = plan.check_range(asked.start_ms, asked.end_ms)
    base, beyond = _base_bars(Feed(question.market, plan, asked.windows.zone), ticker, start_ms, asked)
    bars = _without_partial(asked.windows.roll_up(base), base, beyond, asked)
    return bars_answer(
        {"ticker": ticker},
        _rows(question, bars, asked),
        n_base=len(base),
        adjusted=asked.adjusted,
        status=plan.status(asked.end_ms),
        next_url=None if beyond is None else _next_url(question, asked, bars),
    )


def _read(question: Question, zone: str) -> _Range:
    query = parameters.with_cursor(question.query)
    multiplier, unit = _span(question)
    start, _ = _instant(question.part("from"), "from", zone)
    _, end = _instant(question.part("to"), "to", zone)
    if end <= start:
        raise refuse("The parameter 'to' cannot be a time that occurs before 'from'")
    anchor = unit_floor(start, unit, zone)
    return _Range(
        windows=Windows(anchor, multiplier, unit, zone),
        start_ms=anchor,
        end_ms=unit_end(end - 1, unit, zone),
        limit=min(
            parameters.whole(query, "limit", _DEFAULT_LIMIT, MOST_BASE_BARS), question.settings.page_cap
        ),
        newest=parameters.choice(query, "sort", "asc", "desc") == "desc",
        adjusted=_adjusted(query),
    )


def _span(question: Question) -> tuple[int, Unit]:
    multiplier, timespan = question.part("multiplier"), question.part("timespan").lower()
    if not multiplier.isdecimal() or not 0 < int(multiplier) < 10**6:
        raise refuse("The parameter 'multiplier' must be a positive integer")
    if timespan == "second":
        raise not_authorized(NOT_ENTITLED)
    if timespan not in set(Unit):
        raise refuse(f"The parameter 'timespan' must be one of: {', '.join(Unit)}")
    return int(multiplier), Unit(timespan)


def _instant(text: str, name: str, zone: str) -> tuple[int, int]:
    """Begin and end (exclusive) of the day or the millisecond that *text* names."""
    if text.isdecimal() and len(text) < 16:
        return int(text), int(text) + 1
    complaint = f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
    number = (parameters.day(text, complaint) - parameters.EPOCH).days
    return midnight_of(number, zone), midnight_of(number + 1, zone)


def _adjusted(query: Query) -> bool:
    if "adjusted" not in query and "unadjusted" in query:  # the name until 2021
        return not parameters.flag(query, "unadjusted", default=False)
    return parameters.flag(query, "adjusted", default=True)


def _base_bars(feed: Feed, ticker: str, start_ms: int, asked: _Range) -> tuple[Bars, int | None]:
    """The base bars the limit allows, and the stamp of the next one beyond it, None if there is none."""
    found = feed.base(
        ticker,
        start_ms,
        asked.end_ms,
        asked.limit + 1,
        days=asked.windows.unit.from_days,
        newest=asked.newest,
        adjusted=asked.adjusted,
    )
    if len(found) <= asked.limit:
        return found, None
    if asked.newest:
        return found.take(slice(1, None)), int(found.t[0])
    return found.take(slice(-1)), int(found.t[-1])


def _without_partial(bars: Bars, base: Bars, beyond: int | None, asked: _Range) -> Bars:
    """*bars* less the one at the cut if further base bars belong to it.

    An only bar is kept, cut as it is: dropping it too would never get past it.
    """
    if beyond is None or len(bars) < 2:
        return bars
    at_cut, next_one = asked.windows.index(np.array([base.t[0 if asked.newest else -1], beyond]))
    if at_cut != next_one:
        return bars
    return bars.take(slice(1, None) if asked.newest else slice(-1))


def _rows(question: Question, bars: Bars, asked: _Range) -> list[WireBar]:
    listing = question.market.listing(question.part("ticker"))
    otc = listing is not None and listing.market == "otc"
    rows = wire_bars(bars, exponents=question.settings.exponents, otc=otc)
    return rows[::-1] if asked.newest else rows


def _next_url(question: Question, asked: _Range, bars: Bars) -> str | None:
    """Where the page goes on: from the end of its last window; newest first, up to just before its first."""
    first, last = question.part("from"), question.part("to")
    if asked.newest:
        last = str(int(bars.t[0]) - 1)
    else:
        end = asked.windows.end_of(int(asked.windows.index(bars.t[-1:])[0]))
        if end >= asked.end_ms:
            return None
        first = str(end)
    hidden = {"limit": str(asked.limit), "sort": "desc" if asked.newest else "asc"}
    if not asked.adjusted and question.settings.cursor_adjusted:
        hidden["adjusted"] = "false"
    span = f"{question.part('multiplier')}/{question.part('timespan')}"
    path = f"/v2/aggs/ticker/{quote(question.part('ticker'), safe=':')}/range/{span}/{first}/{last}"
    return f"{question.base_url}{path}?cursor={parameters.cursor_of(hidden)}"
