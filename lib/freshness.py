"""How old a series is, in market time: counted from the newest bar that was due. Pure.

A bar is *due* when it has settled: its window is over, the plan's delay has passed and the grace for late
corrections. What lacks is measured in regular hours of the market, so that Friday's close is fresh on Sunday;
coins have no others. A long bar lacks whole from the minute it is due, and a day's bar is no hours late then:
so the age is never more than the time since the oldest lacking bar was due.

Stamps are int64 ms since 1970-01-01 UTC.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from lib.clock import to_ms
from lib.sessions import GRACE_MS, Delay, IntArray, SessionTable, settle_at_ms
from lib.timeframe import Timeframe
from lib.zones import BoolArray, local_days, midnights, window_ends, window_starts


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
_BOUNDS_MS = np.array([bound // timedelta(milliseconds=1) for bound in (AGING_FROM, STALE_FROM, OLDER_FROM)])
_WORDS = tuple(Freshness)  # those of ages come first: as many bounds are reached, that word
_CODE = {word: code for code, word in enumerate(_WORDS)}


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of some series, each column of shape (n,); 0 where there is none.

    *first_ms*, *last_ms*: start of the oldest and newest bar. *answered_ms*: up to here the vendor has
    answered, with bars; a minute without one is then a minute without a trade. *refused_ms*: up to here the
    plan was found not to include it. *empty*: every answer so far was without bars. *listed_from*,
    *listed_until*: the first and last date (days since 1970-01-01) on which a bar may exist, where known.
    """

    first_ms: IntArray
    last_ms: IntArray
    answered_ms: IntArray
    refused_ms: IntArray
    empty: BoolArray
    listed_from: IntArray
    listed_until: IntArray


@dataclass(frozen=True, slots=True)
class Ages:
    """How old some series are, a value each in every column.

    *age_ms*: market time, None without a bar. *reached_ms*: up to here it is whole, as far as known.
    *expected*: units (sessions; weeks for 1w) that have settled since its first bar, of those that the plan
    includes; *lacking*: those of them that lie after what is reached.
    """

    freshness: list[Freshness]
    age_ms: list[int | None]
    reached_ms: list[int | None]
    expected: list[int]
    lacking: list[int]


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
        self._settles = settle_at_ms(table, timeframe, delay)
        last = np.r_[np.diff(self._settles) > 0, True] if timeframe is Timeframe.W1 else slice(None)
        self._unit_closes, self._unit_settles = table.close_ms[last], self._settles[last]

    def ages(self, held: Held) -> Ages:
        """The age of each series."""
        until, reached, stored = self._due_until_ms(held), self._reached_ms(held), held.last_ms > 0
        behind = np.maximum(self._market_ms(until) - self._market_ms(reached), 0)
        ages = np.minimum(behind, np.maximum(self._now_ms - self._due_at_ms(reached), 0))
        due = behind > 0
        refused = due & (held.refused_ms > reached)
        codes = np.select(
            [refused, stored, ~due, held.empty],
            [
                _CODE[Freshness.NOT_ENTITLED],
                np.searchsorted(_BOUNDS_MS, ages, side="right"),
                _CODE[Freshness.PENDING],
                _CODE[Freshness.EMPTY],
            ],
            _CODE[Freshness.MISSING],
        )
        known = stored & ~refused
        included = np.where(refused, reached, until)
        return Ages(
            [_WORDS[code] for code in codes.tolist()],
            _where(known, ages),
            _where(known, reached),
            np.where(stored, self._units(held.first_ms, included), 0).tolist(),
            np.where(stored, self._units(reached, included), 0).tolist(),
        )

    def _due_until_ms(self, held: Held) -> IntArray:
        """Up to here bars are due: as far as they have settled, and not after the last listed date."""
        ends = midnights(held.listed_until + 1, self._table.zone)
        return np.minimum(self.due_until_ms, np.where(held.listed_until > 0, ends, self.due_until_ms))

    def _reached_ms(self, held: Held) -> IntArray:
        """The end of what is held of each; without any bar the listing, or the beginning of time."""
        ends = np.maximum(window_ends(held.last_ms, self.timeframe, self._table.zone), held.answered_ms)
        listed = np.where(held.listed_from > 0, midnights(held.listed_from, self._table.zone), 0)
        return np.where(held.last_ms > 0, ends, listed)

    def _market_ms(self, t_ms: IntArray) -> IntArray:
        """Regular hours before each instant."""
        at = np.searchsorted(self._table.open_ms, t_ms, side="right")
        last = np.maximum(at - 1, 0)
        running = np.clip(t_ms, self._table.open_ms[last], self._table.close_ms[last])
        inside = np.where(at > 0, running - self._table.open_ms[last], 0)
        return np.asarray(self._open_before[last] + inside, np.int64)

    def _due_at_ms(self, reached_ms: IntArray) -> IntArray:
        """When the first bar after *reached_ms* was or will be due."""
        table = self._table
        at = np.minimum(np.searchsorted(table.close_ms, reached_ms, side="right"), len(table) - 1)
        if not self.timeframe.intraday:
            return self._settles[at]
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


def _where(known: BoolArray, t_ms: IntArray) -> list[int | None]:
    return [ms if one else None for one, ms in zip(known.tolist(), t_ms.tolist(), strict=True)]


def grade(age: timedelta) -> Freshness:
    """The word for an age of *age* market time."""
    return _WORDS[bisect_right((AGING_FROM, STALE_FROM, OLDER_FROM), age)]


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
