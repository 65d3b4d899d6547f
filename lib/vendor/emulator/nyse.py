"""The sessions of the New York Stock Exchange by rule, from 2003 on; no library, no table of dates.

A second witness beside the calendar the toolkit uses: a test compares the two. Days are int days since
1970-01-01.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

FIRST_YEAR, LAST_YEAR = 1998, 2100
EPOCH = date(1970, 1, 1)

PRE_MARKET_MINUTE = 4 * 60  # minutes after midnight, New York wall clock
OPEN_MINUTE = 9 * 60 + 30
CLOSE_MINUTE = 16 * 60
EARLY_CLOSE_MINUTE = 13 * 60
AFTER_HOURS_MINUTES = 4 * 60  # extended trading ends this long after the close

_CLOSED_ONCE = {
    date(2001, 9, 11): "Attacks of September 11",
    date(2001, 9, 12): "Attacks of September 11",
    date(2001, 9, 13): "Attacks of September 11",
    date(2001, 9, 14): "Attacks of September 11",
    date(2004, 6, 11): "Mourning for President Reagan",
    date(2007, 1, 2): "Mourning for President Ford",
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "Mourning for President Bush",
    date(2025, 1, 9): "Mourning for President Carter",
}
_EARLY_ONCE = {date(1999, 12, 31): "New Year's Eve", date(2003, 12, 26): "Day after Christmas"}


@dataclass(frozen=True, slots=True)
class Holiday:
    """A weekday without a session, or with an early close."""

    day: date
    name: str
    early_close: bool


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _good_friday(year: int) -> date:
    # The anonymous Gregorian computus.
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1) - timedelta(days=2)


def _observed(day: date) -> date:
    shift = {5: -1, 6: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _closed(year: int) -> Iterator[tuple[date, str]]:
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:  # a Saturday is not made up for: the year's books close on the Friday
        yield _observed(new_year), "New Year's Day"
    yield _nth_weekday(year, 1, 0, 3), "Martin Luther King, Jr. Day"
    yield _nth_weekday(year, 2, 0, 3), "Washington's Birthday"
    yield _good_friday(year), "Good Friday"
    yield _nth_weekday(year, 6, 0, 1) - timedelta(days=7), "Memorial Day"
    if year >= 2022:
        yield _observed(date(year, 6, 19)), "Juneteenth"
    yield _observed(date(year, 7, 4)), "Independence Day"
    yield _nth_weekday(year, 9, 0, 1), "Labor Day"
    yield _nth_weekday(year, 11, 3, 4), "Thanksgiving"
    yield _observed(date(year, 12, 25)), "Christmas"
    yield from ((day, name) for day, name in _CLOSED_ONCE.items() if day.year == year)


def _early(year: int) -> Iterator[tuple[date, str]]:
    yield _nth_weekday(year, 11, 3, 4) + timedelta(days=1), "Thanksgiving"
    for eve, name in ((date(year, 7, 3), "Independence Day"), (date(year, 12, 24), "Christmas")):
        if eve.weekday() < 4:
            yield eve, name
    yield from ((day, name) for day, name in _EARLY_ONCE.items() if day.year == year)


@cache
def holidays(year: int) -> tuple[Holiday, ...]:
    """The closed days and early closes of *year*, by date."""
    closed = {day: Holiday(day, name, early_close=False) for day, name in _closed(year)}
    early = {day: Holiday(day, name, early_close=True) for day, name in _early(year)}
    return tuple(holiday for _, holiday in sorted((early | closed).items()))


@cache
def _table() -> tuple[IntArray, BoolArray]:
    days = np.arange((date(FIRST_YEAR, 1, 1) - EPOCH).days, (date(LAST_YEAR, 1, 1) - EPOCH).days)
    known = [h for year in range(FIRST_YEAR, LAST_YEAR) for h in holidays(year)]
    closed = np.array([(h.day - EPOCH).days for h in known if not h.early_close])
    early = np.array([(h.day - EPOCH).days for h in known if h.early_close])
    weekday = (days + 3) % 7  # day 0 was a Thursday
    sessions = days[(weekday < 5) & ~np.isin(days, closed)]
    return sessions, np.isin(sessions, early)


def sessions(first_day: int, end_day: int) -> tuple[IntArray, BoolArray]:
    """The days in [first_day, end_day) on which the exchange opens, and which of them close early."""
    days, early = _table()
    a, b = np.searchsorted(days, (first_day, end_day))
    return days[a:b], early[a:b]


def next_sessions(days: IntArray) -> IntArray:
    """The first session after each of *days*."""
    table, _ = _table()
    return table[np.searchsorted(table, days, side="right")]


def close_minutes(early: BoolArray) -> IntArray:
    """The minute of the day at which each session closes, New York wall clock."""
    return np.where(early, EARLY_CLOSE_MINUTE, CLOSE_MINUTE)
