"""The vendor's windows, and the roll-up of base bars into them.

Windows are counted from the floored start of the request, in steps of multiplier x unit (protocol §1.5):
4-hour windows from a New York midnight in winter lie elsewhere than from a multiple of 4 h since 1970.
Stamps are int64 ms since 1970-01-01 UTC, days int64 since 1970-01-01; ranges half-open.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from lib.bars import NO_TRADES, Bars, FloatArray, IntArray

MINUTE_MS = 60_000
DAY_MS = 86_400_000
EASTERN = "America/New_York"
UTC_ZONE = "UTC"

_DAYS = (date(2101, 1, 1) - date(1970, 1, 1)).days


class Unit(StrEnum):
    """A timespan of the vendor."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    @property
    def from_days(self) -> bool:
        """True where day bars are the base, False where minutes are."""
        return self not in _FIXED_MS


_FIXED_MS = {Unit.MINUTE: MINUTE_MS, Unit.HOUR: 60 * MINUTE_MS}
_MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}


@cache
def _midnights(zone: str) -> IntArray:
    """The instant at which each local day from 1970 on begins."""
    if zone == UTC_ZONE:
        return np.arange(_DAYS, dtype=np.int64) * DAY_MS
    first, one = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)), timedelta(days=1)
    return np.array([int((first + n * one).timestamp()) * 1000 for n in range(_DAYS)], np.int64)


def midnight(days: IntArray, zone: str) -> IntArray:
    """The instant at which each local day begins; days before 1970 count as 1970-01-01."""
    return _midnights(zone)[np.clip(days, 0, _DAYS - 1)]


def local_day(t_ms: IntArray, zone: str) -> IntArray:
    """The local day of each stamp."""
    return np.searchsorted(_midnights(zone), t_ms, side="right") - 1


def midnight_of(day: int, zone: str) -> int:
    """The instant at which one local day begins."""
    return int(midnight(np.array([day]), zone)[0])


def day_at(t_ms: int, zone: str) -> int:
    """The local day of one stamp."""
    return int(local_day(np.array([t_ms]), zone)[0])


def ordinals(t_ms: IntArray, unit: Unit, zone: str) -> IntArray:
    """The running number of the unit that holds each stamp."""
    if unit in _FIXED_MS:
        return t_ms // _FIXED_MS[unit]
    days = local_day(t_ms, zone)
    if unit in _MONTHS:
        return days.astype("M8[D]").astype("M8[M]").astype(np.int64) // _MONTHS[unit]
    return (days + 4) // 7 if unit is Unit.WEEK else days  # weeks begin on Sunday; day 3 was one


def starts(numbers: IntArray, unit: Unit, zone: str) -> IntArray:
    """The instant at which each unit begins, by its running number."""
    if unit in _FIXED_MS:
        return numbers * _FIXED_MS[unit]
    if unit in _MONTHS:
        days = (numbers * _MONTHS[unit]).astype("M8[M]").astype("M8[D]").astype(np.int64)
    else:
        days = numbers * 7 - 4 if unit is Unit.WEEK else numbers
    return midnight(days, zone)


def unit_floor(t_ms: int, unit: Unit, zone: str) -> int:
    """The beginning of the unit that holds *t_ms*."""
    return int(starts(ordinals(np.array([t_ms]), unit, zone), unit, zone)[0])


def unit_end(t_ms: int, unit: Unit, zone: str) -> int:
    """The end (exclusive) of the unit that holds *t_ms*."""
    return int(starts(ordinals(np.array([t_ms]), unit, zone) + 1, unit, zone)[0])


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of *multiplier* units, counted from *anchor_ms*, which begins a unit."""

    anchor_ms: int
    multiplier: int
    unit: Unit
    zone: str

    def index(self, t_ms: IntArray) -> IntArray:
        """Which window holds each stamp; the one at the anchor is 0."""
        return (ordinals(t_ms, self.unit, self.zone) - self._first()) // self.multiplier

    def start(self, index: IntArray) -> IntArray:
        """The instant at which each window begins."""
        return starts(self._first() + index * self.multiplier, self.unit, self.zone)

    def end_of(self, index: int) -> int:
        """The end (exclusive) of one window."""
        return int(self.start(np.array([index + 1]))[0])

    def _first(self) -> IntArray:
        return ordinals(np.array([self.anchor_ms]), self.unit, self.zone)

    def roll_up(self, base: Bars) -> Bars:
        """One bar for each window that holds a base bar, oldest first.

        Sums are correctly rounded, so they depend on no order of addition. vwap is NaN and trades are
        unknown where any base bar's are; vwap also where nothing was traded.
        """
        index = self.index(base.t)
        if not len(base) or (self.multiplier == 1 and self.unit in (Unit.MINUTE, Unit.DAY)):
            return base
        edges = np.flatnonzero(np.diff(index, prepend=index[0] - 1, append=index[-1] + 1))
        first, last = edges[:-1], edges[1:] - 1
        volume = _sums(base.volume, edges)
        with np.errstate(divide="ignore", invalid="ignore"):
            vwap = np.where(volume > 0, _sums(base.vwap * base.volume, edges) / volume, np.nan)
        return Bars(
            t=self.start(index[first]),
            open=base.open[first],
            high=np.maximum.reduceat(base.high, first),
            low=np.minimum.reduceat(base.low, first),
            close=base.close[last],
            volume=volume,
            vwap=vwap,
            trades=_trades(base.trades, first),
        )


def _sums(values: FloatArray, edges: npt.NDArray[np.intp]) -> FloatArray:
    whole = bool(np.all(values == np.rint(values))) and float(np.sum(np.abs(values))) < 2.0**53
    if whole:  # every order of addition is exact
        return np.add.reduceat(values, edges[:-1])
    items = values.tolist()
    return np.array([math.fsum(items[a:b]) for a, b in pairwise(edges.tolist())])


def _trades(trades: IntArray, first: npt.NDArray[np.intp]) -> IntArray:
    unknown = np.minimum.reduceat(trades, first) == NO_TRADES
    return np.where(unknown, NO_TRADES, np.add.reduceat(trades, first))
