"""Local dates and window starts for whole columns of stamps, and calendar-day arithmetic.

Stocks and ETFs live by New York, coins by UTC. Converting stamp by stamp is what makes naive code slow,
so the zone's offset changes are laid out once and looked up by binary search.

Stamps are int64 milliseconds since 1970-01-01 UTC; dates are int64 days since 1970-01-01 in columns and
``datetime.date`` singly. Ranges are half-open.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from lib.clock import to_ms
from lib.timeframe import DAY_MS, Timeframe

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
NEW_YORK = "America/New_York"
UTC_ZONE = "UTC"
_FIRST_YEAR, _LAST_YEAR = 1970, 2100


def _offset_ms(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


@cache
def _offset_changes(zone_name: str) -> tuple[IntArray, IntArray]:
    """Instants (ms) at which the zone's offset changes, and the offset (ms) in force from each.

    Changes happen on the hour, and no two in one week.
    """
    zone = ZoneInfo(zone_name)
    week = timedelta(days=7)
    moment, end = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    instants, offsets = [-(2**62)], [_offset_ms(zone, moment)]
    while moment < end:
        offset = _offset_ms(zone, moment + week)
        if offset != offsets[-1]:
            hours = range(7 * 24 + 1)
            since = bisect_left(hours, True, key=partial(_has_offset, zone, moment, offset))
            instants.append(to_ms(moment + timedelta(hours=since)))
            offsets.append(offset)
        moment += week
    return np.array(instants, np.int64), np.array(offsets, np.int64)


def _has_offset(zone: ZoneInfo, since: datetime, offset_ms: int, hours: int) -> bool:
    return _offset_ms(zone, since + timedelta(hours=hours)) == offset_ms


def _offsets(t_ms: IntArray, zone: str) -> IntArray:
    instants, offsets = _offset_changes(zone)
    return offsets[np.searchsorted(instants, t_ms, side="right") - 1]


def local_days(t_ms: IntArray, zone: str) -> IntArray:
    """The local date of each stamp, as days since 1970-01-01. Shape as given."""
    if zone == UTC_ZONE:
        return t_ms // DAY_MS
    return (t_ms + _offsets(t_ms, zone)) // DAY_MS


def midnights(days: IntArray, zone: str) -> IntArray:
    """The instant (ms) at which each local date begins. Shape as given."""
    naive = days * DAY_MS
    if zone == UTC_ZONE:
        return naive
    # The offset at local midnight: look it up once at the naive instant, once more at the corrected one.
    return naive - _offsets(naive - _offsets(naive, zone), zone)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """The date *number* days after 1970-01-01."""
    return EPOCH + timedelta(days=int(number))


def local_date(t_ms: int, zone: str) -> date:
    """The local date of one stamp."""
    return day_of(int(local_days(np.array([t_ms], np.int64), zone)[0]))


def midnight_ms(day: date, zone: str) -> int:
    """The instant (ms) at which the local date *day* begins."""
    return to_ms(datetime.combine(day, time(), ZoneInfo(zone)))


def sunday_of(day: date) -> date:
    """The Sunday on or before *day*: the vendor's weeks begin there."""
    return day - timedelta(days=(day.weekday() + 1) % 7)


def window_starts(t_ms: IntArray, timeframe: Timeframe, zone: str) -> IntArray:
    """The start of the window that holds each stamp. Shape as given.

    1m..4h lie on multiples of their length since 1970-01-01 UTC; 1d begins at local midnight, 1w at local
    midnight of Sunday. (Source: gap-model §3.8, a three-year log of the vendor's 4h bars.)
    """
    if timeframe.intraday:
        return t_ms - t_ms % timeframe.step_ms
    days = local_days(t_ms, zone)
    if timeframe is Timeframe.W1:
        days = days - (days + 4) % 7  # day 0 was a Thursday
    return midnights(days, zone)


def on_grid(t_ms: IntArray, timeframe: Timeframe, zone: str) -> BoolArray:
    """Which stamps start a window of *timeframe*: a bar of another stamp is none. Shape as given."""
    return np.asarray(window_starts(t_ms, timeframe, zone) == t_ms, np.bool_)


def window_ends(starts_ms: IntArray, timeframe: Timeframe, zone: str) -> IntArray:
    """The end (exclusive) of the windows that begin at *starts_ms*. Shape as given."""
    if timeframe.intraday:
        return starts_ms + timeframe.step_ms
    span = 7 if timeframe is Timeframe.W1 else 1
    return midnights(local_days(starts_ms, zone) + span, zone)


def floor_to_window(t_ms: int, timeframe: Timeframe, zone: str) -> int:
    """The start (ms) of the window that holds *t_ms*."""
    return int(window_starts(np.array([t_ms], np.int64), timeframe, zone)[0])


def ceil_to_window(t_ms: int, timeframe: Timeframe, zone: str) -> int:
    """The first window start (ms) at or after *t_ms*."""
    start = floor_to_window(t_ms, timeframe, zone)
    if start == t_ms:
        return start
    return int(window_ends(np.array([start], np.int64), timeframe, zone)[0])
