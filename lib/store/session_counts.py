"""The audited counts ``session_audit``: how many bars of a series must be stored per local date."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import numpy as np

from lib import sql
from lib.bars import Bars, IntArray
from lib.clock import from_ms
from lib.sessions import SessionTable
from lib.timeframe import Timeframe
from lib.zones import day_number, day_of, local_days, midnights, on_grid


@dataclass(frozen=True, slots=True)
class Count:
    """The audited bars of one local date."""

    n_bars: int
    n_regular: int
    first_ts: datetime | None
    last_ts: datetime | None


def count_by_day(bars: Bars, timeframe: Timeframe, sessions: SessionTable) -> dict[int, Count]:
    """Counts of *bars* per local date of their start (days since 1970-01-01).

    Another program's bars that lie off the grid are none of ours, and do not count.
    """
    ours = on_grid(bars.t, timeframe, sessions.zone)
    t = bars.t if ours.all() else bars.t[ours]
    if not len(t):
        return {}
    first, last = local_days(t[[0, -1]], sessions.zone)
    days = np.arange(first, last + 1)
    bounds = np.searchsorted(t, midnights(np.arange(first, last + 2), sessions.zone))
    counts = zip(days, bounds[:-1], bounds[1:], _regular(t, days, bounds, timeframe, sessions), strict=True)
    return {
        int(day): Count(int(b - a), int(regular), from_ms(int(t[a])), from_ms(int(t[b - 1])))
        for day, a, b, regular in counts
        if b > a
    }


def _regular(
    t: IntArray, days: IntArray, bounds: IntArray, timeframe: Timeframe, sessions: SessionTable
) -> IntArray:
    """How many bars of each local date have a window that overlaps its regular session; a week's bar has one.

    *bounds*, one more than *days*: where in *t* each of them begins.
    """
    if timeframe is Timeframe.W1:
        return np.diff(bounds)
    if not len(sessions.days):
        return np.zeros(len(days), np.int64)
    at = np.minimum(np.searchsorted(sessions.days, days), len(sessions.days) - 1)
    first = np.searchsorted(t, sessions.open_ms[at] - timeframe.step_ms, side="right")
    past = np.searchsorted(t, sessions.close_ms[at])
    overlapping = np.minimum(past, bounds[1:]) - np.maximum(first, bounds[:-1])
    return np.where(sessions.days[at] == days, np.maximum(overlapping, 0), 0)


def audited(
    before: Mapping[int, Count], after: Mapping[int, Count], stored: Mapping[int, Count], whole_days: range
) -> dict[int, Count]:
    """The audit rows to write, by day.

    *before*, *after*: what the table held and holds; *stored*: the audit as it is; *whole_days*: the days the
    answer covers whole, for which the table is now the truth. On a day covered in part a bar that someone
    deleted elsewhere must stay missed: there the audit grows by what was added.
    """
    out = {}
    for day in {*after, *(d for d in stored if d in whole_days)}:
        new, old = after.get(day, Count(0, 0, None, None)), stored.get(day)
        if old and day not in whole_days:
            was = before.get(day, Count(0, 0, None, None))
            if was.n_bars < old.n_bars:
                new = Count(
                    old.n_bars + new.n_bars - was.n_bars,
                    old.n_regular + new.n_regular - was.n_regular,
                    min(t for t in (old.first_ts, new.first_ts) if t),
                    max(t for t in (old.last_ts, new.last_ts) if t),
                )
        if new != old:
            out[day] = new
    return out


def lost_days(stored: Mapping[int, Count], counted: Mapping[int, Count]) -> list[int]:
    """The days on which fewer bars are *stored* than the audit *counted*."""
    return [day for day, count in counted.items() if day not in stored or stored[day].n_bars < count.n_bars]


def growth(new: Mapping[int, Count], stored: Mapping[int, Count]) -> int:
    """By how many bars the audit grows when the rows *new* are written over those that are *stored*."""
    return sum(count.n_bars - (stored[day].n_bars if day in stored else 0) for day, count in new.items())


def whole_days(start_ms: int, end_ms: int, zone: str) -> range:
    """The local dates (days since 1970-01-01) that lie whole in [start_ms, end_ms)."""
    first, last = (int(d) for d in local_days(np.array([start_ms, end_ms], np.int64), zone))
    if int(midnights(np.array([first], np.int64), zone)[0]) < start_ms:
        first += 1
    return range(first, last)


async def read_counts(
    connection: asyncpg.Connection,
    symbol: str,
    timeframes: tuple[Timeframe, ...],
    first_day: int,
    last_day: int,
) -> dict[Timeframe, dict[int, Count]]:
    """The audit of *timeframes* for local dates [first_day, last_day], days since 1970-01-01."""
    rows = await connection.fetch(
        sql.load("read_session_audit"), symbol, list(timeframes), day_of(first_day), day_of(last_day)
    )
    out: dict[Timeframe, dict[int, Count]] = {tf: {} for tf in timeframes}
    for timeframe, day, *count in rows:
        out[Timeframe(timeframe)][day_number(day)] = Count(*count)
    return out


async def write_counts(
    connection: asyncpg.Connection, symbol: str, timeframe: Timeframe, counts: Mapping[int, Count]
) -> None:
    """Set the audit of one series for the given days."""
    if not counts:
        return
    days = sorted(counts)
    await connection.execute(
        sql.load("write_session_audit"),
        symbol,
        timeframe,
        [day_of(day) for day in days],
        [counts[day].n_bars for day in days],
        [counts[day].n_regular for day in days],
        [counts[day].first_ts for day in days],
        [counts[day].last_ts for day in days],
    )
