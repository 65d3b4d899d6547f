"""How old a series is, in market time: counted from the newest bar that was due. Pure.

A bar is *due* when it has settled: its window is over, the plan's delay has passed and the grace for late
corrections. What lacks is measured in regular hours of the market, so that Friday's close is fresh on Sunday;
coins have no others. A long bar lacks whole from the minute it is due, and a day's bar is no hours late then:
so the age is never more than the time since the oldest lacking bar was due.

Stamps are int64 ms since 1970-01-01 UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np

from lib.clock import from_ms, to_ms
from lib.sessions import GRACE_MS, Delay, IntArray, SessionTable, settle_at_ms
from lib.timeframe import Timeframe
from lib.zones import local_days, midnight_ms, midnights, window_ends, window_starts


class Freshness(StrEnum):
    """How far a series can be trusted to be up to date, the best first."""

    FRESH = "fresh"
    AGING = "aging"
    STALE = "stale"
    OLDER = "older"
    MISSING = "missing"  # no bar is stored
    PENDING = "pending"  # no bar is stored and none was due yet
    EMPTY = "empty"  # no bar is stored: the vendor has none
    NOT_ENTITLED = "not_entitled"  # the plan does not include what lacks


AGING_FROM, STALE_FROM, OLDER_FROM = timedelta(hours=1), timedelta(hours=6), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one series.

    *first*, *last*: start of its oldest and newest bar, None: no bar. *answered_until*: up to here the vendor
    has answered, with bars; a minute without one is then a minute without a trade. *refused_until*: up to
    here the plan was found not to include it. *empty*: every answer so far was without bars. *listed_from*,
    *listed_until*: the first and last date on which a bar may exist, where known.
    """

    last: datetime | None = None
    first: datetime | None = None
    answered_until: datetime | None = None
    refused_until: datetime | None = None
    empty: bool = False
    listed_from: date | None = None
    listed_until: date | None = None


@dataclass(frozen=True, slots=True)
class Aged:
    """How old a series is. *age*: None without a bar. *reached*: up to here it is whole, as far as known.

    *expected*: units (sessions; weeks for 1w) that have settled since its first bar; *lacking*: those of them
    that lie after what is reached.
    """

    freshness: Freshness
    age: timedelta | None = None
    reached: datetime | None = None
    expected: int = 0
    lacking: int = 0


class DueClock:
    """What of one calendar's bars of *timeframe* is due at *now* under a plan's *delay*.

    Raises HorizonExceeded if *now* lies outside the calendar.
    """

    def __init__(self, table: SessionTable, timeframe: Timeframe, now: datetime, delay: Delay) -> None:
        self.timeframe = timeframe
        self._table = table
        self._delay = delay
        self._now_ms = to_ms(now)
        self.due_until_ms = table.settled_until_ms(timeframe, now, delay)
        self._open_before = np.r_[0, np.cumsum(table.close_ms - table.open_ms)]
        settled = settle_at_ms(table, timeframe, delay)
        last = np.r_[np.diff(settled) > 0, True] if timeframe is Timeframe.W1 else slice(None)
        self._unit_closes, self._unit_settles = table.close_ms[last], settled[last]

    def aged(self, held: Sequence[Held]) -> list[Aged]:
        """The age of each series, in the order given."""
        until = np.minimum(self.due_until_ms, [self._delisted_ms(one) for one in held])
        first = np.array([to_ms(one.first or one.last) if one.last else 0 for one in held], np.int64)
        reached = self._reached_ms(held)
        columns = (
            reached,
            self._ages_ms(reached, until),
            self._units(first, until),
            self._units(reached, until),
            self._market_ms(until) > self._market_ms(reached),
        )
        return [
            _judged(one, *row)
            for one, *row in zip(held, *(column.tolist() for column in columns), strict=True)
        ]

    def _delisted_ms(self, held: Held) -> int:
        """From here on nothing is due any more."""
        if held.listed_until is None:
            return self.due_until_ms
        return midnight_ms(held.listed_until + timedelta(days=1), self._table.zone)

    def _reached_ms(self, held: Sequence[Held]) -> IntArray:
        """The end of what is held of each; without any bar the listing, or the beginning of time."""
        last = np.array([to_ms(one.last) if one.last else 0 for one in held], np.int64)
        answered = [to_ms(one.answered_until) if one.answered_until else 0 for one in held]
        ends = np.maximum(window_ends(last, self.timeframe, self._table.zone), answered)
        listed = [
            midnight_ms(one.listed_from, self._table.zone) if one.listed_from and not one.last else 0
            for one in held
        ]
        return np.where(last > 0, ends, listed).astype(np.int64)

    def _market_ms(self, t_ms: IntArray) -> IntArray:
        """Regular hours before each instant."""
        at = np.searchsorted(self._table.open_ms, t_ms, side="right")
        last = np.maximum(at - 1, 0)
        running = np.clip(t_ms, self._table.open_ms[last], self._table.close_ms[last])
        inside = np.where(at > 0, running - self._table.open_ms[last], 0)
        return np.asarray(self._open_before[last] + inside, np.int64)

    def _ages_ms(self, reached_ms: IntArray, until_ms: IntArray) -> IntArray:
        behind = np.maximum(self._market_ms(until_ms) - self._market_ms(reached_ms), 0)
        overdue = np.maximum(self._now_ms - self._due_at_ms(reached_ms), 0)
        return np.asarray(np.minimum(behind, overdue), np.int64)

    def _due_at_ms(self, reached_ms: IntArray) -> IntArray:
        """When the first bar after *reached_ms* was or will be due."""
        table = self._table
        at = np.minimum(np.searchsorted(table.close_ms, reached_ms, side="right"), len(table) - 1)
        if not self.timeframe.intraday:
            return np.asarray(settle_at_ms(table, self.timeframe, self._delay)[at], np.int64)
        starts = window_starts(np.maximum(reached_ms, table.open_ms[at]), self.timeframe, table.zone)
        ends = window_ends(starts, self.timeframe, table.zone)
        if self._delay.end_of_day:
            ends = midnights(local_days(ends - 1, table.zone) + 1, table.zone)
        return np.asarray(ends + self._delay.ms + GRACE_MS, np.int64)

    def _units(self, start_ms: IntArray, until_ms: IntArray) -> IntArray:
        """How many units that end after *start_ms* have settled, of those that begin before *until_ms*."""
        first = np.searchsorted(self._unit_closes, start_ms, side="right")
        settled = np.searchsorted(self._unit_settles, self._now_ms, side="right")
        listed = np.searchsorted(self._unit_closes, until_ms, side="right")
        return np.asarray(np.maximum(np.minimum(settled, listed) - first, 0), np.int64)


def _judged(held: Held, reached_ms: int, age_ms: int, expected: int, lacking: int, due: bool) -> Aged:
    """*due*: whether any bar that is due may lack."""
    if held.refused_until and due and to_ms(held.refused_until) > reached_ms:
        return Aged(Freshness.NOT_ENTITLED)
    if held.last is None:
        if not due:
            return Aged(Freshness.PENDING)
        return Aged(Freshness.EMPTY if held.empty else Freshness.MISSING)
    age = timedelta(milliseconds=age_ms)
    return Aged(grade(age), age, from_ms(reached_ms), expected, lacking)


def grade(age: timedelta) -> Freshness:
    """The word for an age of *age* market time."""
    bounds = ((OLDER_FROM, Freshness.OLDER), (STALE_FROM, Freshness.STALE), (AGING_FROM, Freshness.AGING))
    return next((word for bound, word in bounds if age >= bound), Freshness.FRESH)


def worst(words: Mapping[Freshness, int] | Sequence[Freshness]) -> Freshness | None:
    """The one that needs attention most; None of nothing."""
    badness = (
        Freshness.MISSING,
        Freshness.OLDER,
        Freshness.STALE,
        Freshness.AGING,
        Freshness.FRESH,
        Freshness.PENDING,
        Freshness.EMPTY,
        Freshness.NOT_ENTITLED,
    )
    return next((word for word in badness if word in words), None)
