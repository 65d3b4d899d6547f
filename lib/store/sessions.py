"""The trading calendar in PostgreSQL: filled from the library now and then, read from tables ever after.

The library (and pandas under it) is imported only by a refresh: an ordinary run never needs it.
"""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.metadata import version

import asyncpg
import numpy as np

from lib import sql
from lib.errors import HorizonExceeded, UsageError
from lib.sessions import (
    EXTENDED_AFTER_CLOSE_MS,
    EXTENDED_OPEN_HOUR,
    SessionTable,
    always_open_table,
    nyse_table,
)
from lib.store.binary import instants_ms, of_array
from lib.symbols import ALWAYS_OPEN, NYSE
from lib.zones import day_of, local_days

STOCKS_FROM = date(1990, 1, 1)  # before the vendor's first bars (2003-09-10): users bring older daily bars
COINS_FROM = date(2009, 1, 1)  # the first coin is of that month
AHEAD = timedelta(days=366)
# Filled a month further than needed, so that the library is loaded once a month and not every morning.
_SLACK = timedelta(days=31)


class OverrideKind(StrEnum):
    """What an announcement changes about a date."""

    CLOSED = "closed"
    EARLY = "early"
    LATE = "late"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class CalendarOverride:
    """One announcement: *source* says where it stands.

    ``early`` needs *close*, ``late`` *open*, ``open`` (a session the calendar does not have, or other hours)
    both, ``closed`` neither. Instants are aware.
    """

    calendar: str
    session_date: date
    kind: OverrideKind
    source: str
    open: datetime | None = None
    close: datetime | None = None


async def refresh_sessions(connection: asyncpg.Connection, today: date) -> bool:
    """Make the calendars reach a year beyond *today*; True if anything had to be asked of the library.

    They are filled anew, in one transaction, when their horizon comes near or the library's version is
    another than the one that filled them. Two refreshes at once are safe: the second finds it done.
    """
    library = _library_version()
    if not await _outdated(connection, today, library):
        return False
    tables = await asyncio.to_thread(library_tables, today + AHEAD + _SLACK)
    async with connection.transaction():
        await connection.execute(sql.load("lock_calendars"))
        if await _outdated(connection, today, library):
            for table in tables:
                await _write_table(connection, table, library)
    return True


@cache
def _library_version() -> str:
    return version("exchange_calendars")


async def _outdated(connection: asyncpg.Connection, today: date, library: str) -> bool:
    for calendar in (NYSE, ALWAYS_OPEN):
        known = await connection.fetchrow(sql.load("read_calendar"), calendar)
        if known is None or known["version"] != library or known["horizon"] < today + AHEAD:
            return True
    return False


def library_tables(horizon: date) -> tuple[SessionTable, SessionTable]:
    """New York's sessions by the library from 1990 and the coins' from 2009, both to before *horizon*.

    Takes about a second at the first call, for it imports pandas.
    """
    import exchange_calendars

    # Naive dates, and both bounds given: the library fails on aware ones, and by default ends in a year.
    nyse = exchange_calendars.get_calendar(NYSE, start=STOCKS_FROM, end=horizon - timedelta(days=1))
    days = nyse.sessions.to_numpy("datetime64[D]").astype(np.int64)
    opens, closes = (
        column.dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
        for column in (nyse.schedule["open"], nyse.schedule["close"])
    )
    return nyse_table(days, opens, closes, STOCKS_FROM, horizon), always_open_table(COINS_FROM, horizon)


async def _write_table(connection: asyncpg.Connection, table: SessionTable, library: str) -> None:
    stocks = table.calendar == NYSE
    await connection.execute(
        sql.load("write_calendar"),
        table.calendar,
        table.zone,
        time(EXTENDED_OPEN_HOUR) if stocks else None,
        timedelta(milliseconds=EXTENDED_AFTER_CLOSE_MS if stocks else 0),
        library,
        table.known_from,
        table.horizon,
    )
    columns = (table.days.tolist(), table.open_ms.tolist(), table.close_ms.tolist())
    await connection.execute(sql.load("write_sessions"), table.calendar, *columns)


async def load_sessions(
    connection: asyncpg.Connection, calendar: str, since: date | None = None
) -> SessionTable:
    """The sessions of *calendar* in force, overrides applied: from the date *since* on, None: all.

    Raises HorizonExceeded if it was never filled, UsageError if an override contradicts the calendar.
    """
    row = await connection.fetchrow(sql.load("read_sessions"), calendar, since)
    if row is None:
        raise HorizonExceeded(f"the calendar {calendar} has no sessions in this database yet")
    if row["days"] is None:
        raise HorizonExceeded(
            f"the calendar {calendar} has lost its sessions",
            hint="DELETE FROM calendars: the next run fills it anew",
        )
    days = of_array(row["days"], ">i8").astype(np.int64)
    oldest_first = np.argsort(days)
    opens, closes, extended_opens, extended_closes = (
        instants_ms(of_array(row[name], ">i8"))[oldest_first]
        for name in ("opens", "closes", "extended_opens", "extended_closes")
    )
    table = SessionTable(
        calendar,
        row["zone"],
        days[oldest_first],
        opens,
        closes,
        extended_opens,
        extended_closes,
        row["known_from"],
        row["horizon"],
    )
    _check_hours(table)
    return table


def _check_hours(table: SessionTable) -> None:
    """Raises UsageError naming the first session whose hours cannot be: only an override makes such."""
    wrong = (table.open_ms >= table.close_ms) | (local_days(table.open_ms, table.zone) != table.days)
    if wrong.any():
        day = day_of(table.days[int(np.argmax(wrong))])
        raise UsageError(
            f"the hours of {table.calendar} on {day} end before they begin, or lie on another date",
            hint="correct the row of that date in calendar_overrides",
        )


async def note_override(connection: asyncpg.Connection, override: CalendarOverride) -> None:
    """Store what was announced for a date; it wins over the library from the next read on.

    Raises UsageError if the instants given are not those its kind needs.
    """
    try:
        await connection.execute(
            sql.load("write_calendar_override"),
            override.calendar,
            override.session_date,
            override.kind,
            override.open,
            override.close,
            override.source,
        )
    except asyncpg.CheckViolationError as error:
        raise UsageError(
            f"the hours given for {override.calendar} on {override.session_date} do not fit {override.kind}",
            hint="early needs a close, late an open, open both (the open first), closed neither",
        ) from error
