"""Trading sessions in memory: which dates have bars, when one may be trusted, how late a plan's data is.

The unit of completeness is a session: its regular hours, and around them the extended hours in which bars
may exist (04:00 New York to the close + 4 h; for coins the UTC day is both). An answer covers a unit only
once the unit has *settled*: it has ended, the plan's delay has passed, and the grace for late corrections.
(Source: gap-model §1.4 and §3.2.)

Stamps are int64 ms since 1970-01-01 UTC, dates in columns int64 days since 1970-01-01; ranges half-open.
"""

from calendar import isleap
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lib.clock import to_ms
from lib.errors import HorizonExceeded, UsageError
from lib.symbols import ALWAYS_OPEN, NYSE, AssetClass
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.zones import (
    NEW_YORK,
    UTC_ZONE,
    day_number,
    day_of,
    floor_to_window,
    local_date,
    local_days,
    midnight_ms,
    midnights,
    sunday_of,
)

IntArray = npt.NDArray[np.int64]

HOUR_MS = 60 * MINUTE_MS
GRACE_MS = 15 * MINUTE_MS  # late trades still correct a bar for this long (the vendor's correction window)
FINAL_AFTER_MS = 10 * HOUR_MS  # the next morning: an answer fetched earlier is asked for once more
EXTENDED_OPEN_HOUR = 4  # New York wall clock
EXTENDED_AFTER_CLOSE_MS = 4 * HOUR_MS

_DECADE = (date(2010, 1, 1), date(2020, 1, 1))


class Plan(StrEnum):
    """What the key's subscription is called."""

    BASIC = "basic"
    STARTER = "starter"
    DEVELOPER = "developer"
    ADVANCED = "advanced"


@dataclass(frozen=True, slots=True)
class Delay:
    """How late a plan's data is: *ms* behind the trade, or, *end_of_day*, not before the day is over."""

    ms: int = 0
    end_of_day: bool = False

    def settled_before(self, now: datetime, zone: str) -> int:
        """The instant (ms) before which everything is final: units that ended by then have settled.

        *zone*: whose midnight ends the day under an end-of-day plan.
        """
        latest = to_ms(now) - GRACE_MS - self.ms
        return midnight_ms(local_date(latest, zone), zone) if self.end_of_day else latest


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan gives: how late, and how many years back (None: all there is)."""

    delay: Delay
    history_years: int | None

    def floor(self, today: date) -> date | None:
        """The first date the plan reaches back to, seen from *today*; None if it has no limit."""
        if self.history_years is None:
            return None
        year = today.year - self.history_years
        # A year without 29 February: the vendor's window starts a day later, never a day too early.
        leap_day = (today.month, today.day) == (2, 29) and not isleap(year)
        return date(year, 3, 1) if leap_day else today.replace(year=year)


_QUARTER_HOUR = Delay(ms=15 * MINUTE_MS)
TERMS = {
    Plan.BASIC: Terms(Delay(end_of_day=True), 2),
    Plan.STARTER: Terms(_QUARTER_HOUR, 5),
    Plan.DEVELOPER: Terms(_QUARTER_HOUR, 10),
    Plan.ADVANCED: Terms(Delay(), None),
}


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of one key: the vendor sells stocks (with ETFs) and coins apart."""

    stocks: Plan = Plan.STARTER
    crypto: Plan = Plan.STARTER

    def terms(self, asset_class: AssetClass) -> Terms:
        """What the key gives for *asset_class*."""
        return TERMS[self.crypto if asset_class is AssetClass.CRYPTO else self.stocks]


def parse_plans(text: str) -> Plans:
    """The plans of ``starter``, or ``starter,crypto=basic`` where that of coins differs.

    Raises UsageError naming the part that is no plan.
    """
    first, *rest = [part.strip() for part in text.split(",")]
    stocks = _plan(first)
    if not rest:
        return Plans(stocks, stocks)
    key, _, crypto = rest[0].partition("=")
    if key.strip() != "crypto" or len(rest) > 1:
        raise UsageError(f"{text[:40]!r} names no plans", hint="a plan, or two like starter,crypto=basic")
    return Plans(stocks, _plan(crypto.strip()))


def _plan(name: str) -> Plan:
    if name in set(Plan):
        return Plan(name)
    raise UsageError(f"{name[:40]!r} is not a plan", hint=f"one of {', '.join(Plan)}")


@dataclass(frozen=True, slots=True)
class SessionTable:
    """The sessions of one calendar, oldest first; every column has shape (n,).

    It knows the dates [known_from, horizon): a date among them without a row is a closed day, and a
    question about any other raises HorizonExceeded, for silence would read as "closed".

    *open_ms*, *close_ms*: regular hours. *extended_open_ms*, *extended_close_ms*: the hours in which bars
    may exist. Coins: all four bound the UTC day.
    """

    calendar: str
    zone: str
    days: IntArray
    open_ms: IntArray
    close_ms: IntArray
    extended_open_ms: IntArray
    extended_close_ms: IntArray
    known_from: date
    horizon: date

    def __len__(self) -> int:
        return len(self.days)

    def dates(self) -> list[date]:
        """The session dates."""
        return [day_of(day) for day in self.days]

    def knows(self, first: date, last: date) -> bool:
        """Whether the dates first..last, both included, are known."""
        return self.known_from <= first and last < self.horizon

    def indices(self, start: date, end: date) -> slice:
        """Where the sessions of the dates [start, end) lie in the columns.

        Raises HorizonExceeded unless all those dates are known.
        """
        if start < self.known_from or end > self.horizon:
            raise HorizonExceeded(
                f"the calendar {self.calendar} is known from {self.known_from} until before {self.horizon}, "
                f"not for all of {start} until before {end}"
            )
        first, last = np.searchsorted(self.days, (day_number(start), day_number(end)))
        return slice(int(first), int(last))

    def between(self, start: date, end: date) -> "SessionTable":
        """The table of the dates [start, end). Raises HorizonExceeded unless all of them are known."""
        part = self.indices(start, end)
        return SessionTable(
            self.calendar,
            self.zone,
            self.days[part],
            self.open_ms[part],
            self.close_ms[part],
            self.extended_open_ms[part],
            self.extended_close_ms[part],
            start,
            end,
        )

    def settled_until_ms(self, timeframe: Timeframe, now: datetime, delay: Delay) -> int:
        """The instant up to which bars of *timeframe* may be asked for and covered at *now*.

        1m..4h: the last window end that has settled. 1d: the local midnight that begins the first session
        not settled, so that closed days after a settled session count with it, also those to come. 1w: the
        Sunday midnight that begins that session's week.

        Raises HorizonExceeded if *now* lies outside the known dates.
        """
        settled = delay.settled_before(now, self.zone)
        today = local_date(settled, self.zone)
        self.indices(today, today + timedelta(days=1))
        if timeframe.intraday:
            return floor_to_window(settled, timeframe, self.zone)
        first_open = int(np.searchsorted(self.extended_close_ms, settled, side="right"))
        day = day_of(self.days[first_open]) if first_open < len(self) else self.horizon
        return midnight_ms(sunday_of(day) if timeframe is Timeframe.W1 else day, self.zone)


def unit_ends_ms(table: SessionTable, timeframe: Timeframe) -> IntArray:
    """Per session: when the unit it belongs to has ended.

    1d: its extended close. 1m..4h: the end of the last window that reaches into it, which for 4h in winter
    lies three hours later. 1w: the extended close of the last session of its week; sessions beyond the
    horizon are not seen.
    """
    if timeframe.intraday:
        return _ceil(table.extended_close_ms, timeframe.step_ms)
    if timeframe is Timeframe.D1:
        return table.extended_close_ms
    weeks = _sundays(table.days)
    return table.extended_close_ms[np.searchsorted(weeks, weeks, side="right") - 1]


def settle_at_ms(table: SessionTable, timeframe: Timeframe, delay: Delay) -> IntArray:
    """Per session: from when on the answer for its unit may be covered; before, it is pending."""
    ends = unit_ends_ms(table, timeframe)
    if delay.end_of_day:
        ends = midnights(local_days(ends - 1, table.zone) + 1, table.zone)
    return ends + delay.ms + GRACE_MS


def final_at_ms(table: SessionTable) -> IntArray:
    """Per session: an answer fetched before this instant is provisional, and is asked for once more.

    A week's answer is final with its last session.
    """
    return table.extended_close_ms + FINAL_AFTER_MS


def slots(table: SessionTable, timeframe: Timeframe, *, extended: bool = False) -> IntArray:
    """Per session: how many windows reach into its hours, the most bars it can have; 1d and 1w: one.

    Only the regular hours of liquid names fill them all: a window without trades has no bar.
    """
    if not timeframe.intraday:
        return np.ones(len(table), np.int64)
    opens, closes = table.open_ms, table.close_ms
    if extended:
        opens, closes = table.extended_open_ms, table.extended_close_ms
    step = timeframe.step_ms
    return _ceil(closes, step) // step - opens // step


def after_hole(table: SessionTable, timeframe: Timeframe, t_ms: IntArray) -> npt.NDArray[np.bool_]:
    """Of bars that start at *t_ms* (ascending): which have a session without any bar right before them.

    1w: a week with sessions. The first bar has none. A bar of a closed day counts to the session after it.

    Raises HorizonExceeded if a bar lies outside the known dates.
    """
    holes = np.zeros(len(t_ms), np.bool_)
    if len(t_ms):
        days = local_days(t_ms, table.zone)
        known = table.between(day_of(days[0]), day_of(days[-1] + 1)).days
        units = np.unique(_sundays(known)) if timeframe is Timeframe.W1 else known
        holes[1:] = np.diff(np.searchsorted(units, days)) > 1
    return holes


def bars_per_year(table: SessionTable, timeframe: Timeframe) -> float:
    """How many bars of *timeframe* a year of regular hours has: the mean of 2010 to 2019.

    A closed decade: what the calendar learns later must not move a volatility already stored.
    Raises HorizonExceeded if the table does not know that decade.
    """
    decade = table.between(*_DECADE)
    if timeframe is Timeframe.W1:
        return len(np.unique(_sundays(decade.days))) / 10
    return int(slots(decade, timeframe).sum()) / 10


def nyse_table(
    days: IntArray, open_ms: IntArray, close_ms: IntArray, known_from: date, horizon: date
) -> SessionTable:
    """The table of New York sessions with these regular hours, and the usual extended ones around them."""
    # Counted back from the next midnight: the clock changes at 02:00, before the extended hours begin.
    extended_open = midnights(days + 1, NEW_YORK) - (24 - EXTENDED_OPEN_HOUR) * HOUR_MS
    extended_close = close_ms + EXTENDED_AFTER_CLOSE_MS
    return SessionTable(
        NYSE,
        NEW_YORK,
        days,
        open_ms,
        close_ms,
        np.minimum(extended_open, open_ms),
        extended_close,
        known_from,
        horizon,
    )


def always_open_table(known_from: date, horizon: date) -> SessionTable:
    """The table of coins: each UTC day of [known_from, horizon) is a session."""
    days = np.arange(day_number(known_from), day_number(horizon), dtype=np.int64)
    opens, closes = days * DAY_MS, (days + 1) * DAY_MS
    return SessionTable(ALWAYS_OPEN, UTC_ZONE, days, opens, closes, opens, closes, known_from, horizon)


def _ceil(t_ms: IntArray, step_ms: int) -> IntArray:
    return -(-t_ms // step_ms) * step_ms


def _sundays(days: IntArray) -> IntArray:
    return days - (days + 4) % 7  # day 0 was a Thursday
