"""The day bars of a whole market on one date (protocol §2)."""

import zlib
from typing import Any

import numpy as np

from lib.bars import Bars
from lib.vendor.emulator import nyse, parameters
from lib.vendor.emulator.entitlement import Plan
from lib.vendor.emulator.feed import Feed
from lib.vendor.emulator.market import Listing, zone_of
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.windows import MINUTE_MS, midnight_of
from lib.vendor.emulator.wire import Answer, WireBar, bars_answer, wire_bars

_NEW_YORK_CLOSE_MS = 16 * 60 * MINUTE_MS
_COIN_STAMP_MS = (20 * 60 + 48) * MINUTE_MS  # the vendor stamps coins at odd times of the day


def answer_grouped(question: Question) -> Answer:
    """One bar for each ticker that traded on the date; no ``results`` where none did, or not yet."""
    market = question.part("market").lower()
    text = question.part("date")
    complaint = f"The path parameter `date` with value {text} is invalid, must be of the format YYYY-MM-DD."
    day = (parameters.day(text, complaint) - nyse.EPOCH).days
    zone = zone_of(market)
    start_ms, end_ms = midnight_of(day, zone), midnight_of(day + 1, zone)
    plan = Plan.at(question.settings, question.clock, zone)
    plan.check_market(market)
    plan.check_range(start_ms, end_ms)
    adjusted = parameters.flag(question.query, "adjusted", default=True)
    otc = market == "stocks" and parameters.flag(question.query, "include_otc", default=False)
    listings = [
        row for row in question.market.listings() if row.market == market or (otc and row.market == "otc")
    ]
    stamp = start_ms + (_COIN_STAMP_MS if market == "crypto" else _NEW_YORK_CLOSE_MS)
    feed = Feed(question.market, plan, zone)
    rows = [bar for row in listings for bar in _bar(question, feed, row, start_ms, end_ms, stamp, adjusted)]
    rows.sort(key=lambda bar: zlib.crc32(bar.T.encode()))  # the vendor's order is none
    late = market == "crypto" and not rows and end_ms > plan.horizon
    status = "DELAYED" if late else plan.status(end_ms)
    return bars_answer({}, rows, n_base=len(rows), adjusted=adjusted, status=status)


def _bar(
    question: Question, feed: Feed, listing: Listing, start_ms: int, end_ms: int, stamp: int, adjusted: bool
) -> list[WireBar]:
    bars = feed.base(listing.ticker, start_ms, end_ms, 1, days=True, adjusted=adjusted)
    stamped = Bars(np.full(len(bars), stamp, np.int64), *_columns(bars))
    return wire_bars(
        stamped,
        exponents=question.settings.exponents,
        tickers=[listing.ticker],
        otc=listing.market == "otc",
    )


def _columns(bars: Bars) -> tuple[Any, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap, bars.trades
