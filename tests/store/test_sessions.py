"""The calendar in PostgreSQL: filled once, refreshed when due, overridden, the same in every time zone."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta

import asyncpg
import numpy as np
import pytest

from lib.errors import HorizonExceeded, UsageError
from lib.sessions import SessionTable
from lib.store.sessions import (
    CalendarOverride,
    OverrideKind,
    library_tables,
    load_sessions,
    note_override,
    refresh_sessions,
)
from lib.symbols import ALWAYS_OPEN, NYSE

TODAY = date(2025, 1, 10)
ZONES = ("UTC", "America/New_York", "America/Los_Angeles", "Asia/Tokyo")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def filled(connection: asyncpg.Connection) -> asyncpg.Connection:
    assert await refresh_sessions(connection, TODAY)
    return connection


async def versions_of_rows(connection: asyncpg.Connection) -> dict[tuple[str, date], int]:
    rows = await connection.fetch(
        "SELECT calendar, session_date, xmin::text::bigint AS xmin FROM trading_sessions"
    )
    return {(row["calendar"], row["session_date"]): row["xmin"] for row in rows}


def assert_same(table: SessionTable, other: SessionTable) -> None:
    assert (table.calendar, table.zone, table.known_from, table.horizon) == (
        other.calendar,
        other.zone,
        other.known_from,
        other.horizon,
    )
    for column in ("days", "open_ms", "close_ms", "extended_open_ms", "extended_close_ms"):
        np.testing.assert_array_equal(getattr(table, column), getattr(other, column), column)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def hours(connection: asyncpg.Connection, day: date) -> tuple[datetime, ...] | None:
    """Regular and extended hours of a New York date by the view, which must agree with the table loaded."""
    row = await connection.fetchrow(
        "SELECT open_utc, close_utc, extended_open_utc, extended_close_utc FROM sessions "
        "WHERE calendar = $1 AND session_date = $2",
        NYSE,
        day,
    )
    session = (await load_sessions(connection, NYSE)).between(day, day + timedelta(days=1))
    assert len(session) == (row is not None)
    if row is None:
        return None
    assert [int(t.timestamp() * 1000) for t in row] == [
        int(column[0])
        for column in (session.open_ms, session.close_ms, session.extended_open_ms, session.extended_close_ms)
    ]
    return tuple(row)


@pytest.mark.parametrize("zone", ZONES)
async def test_the_stored_calendars_are_the_librarys_in_every_time_zone(
    connection: asyncpg.Connection, zone: str
) -> None:
    await connection.execute("SELECT set_config('TimeZone', $1, false)", zone)
    assert await refresh_sessions(connection, TODAY)

    for reader in ZONES:
        await connection.execute("SELECT set_config('TimeZone', $1, false)", reader)
        stored = [await load_sessions(connection, calendar) for calendar in (NYSE, ALWAYS_OPEN)]
        for table, expected in zip(stored, library_tables(stored[0].horizon), strict=True):
            assert_same(table, expected)


async def test_a_refresh_reaches_a_year_ahead_and_is_due_again_a_month_later(
    filled: asyncpg.Connection,
) -> None:
    before = await versions_of_rows(filled)
    year_ahead = TODAY + timedelta(days=366)

    assert (await load_sessions(filled, NYSE)).horizon >= year_ahead
    assert (await load_sessions(filled, ALWAYS_OPEN)).horizon >= year_ahead
    assert not await refresh_sessions(filled, TODAY + timedelta(days=31))
    assert await versions_of_rows(filled) == before
    assert await refresh_sessions(filled, TODAY + timedelta(days=32))
    assert (await load_sessions(filled, NYSE)).horizon >= year_ahead + timedelta(days=32)


async def test_an_ordinary_run_does_not_load_the_library(
    filled: asyncpg.Connection, database_url: str
) -> None:
    program = (
        "import asyncio, asyncpg, sys; from datetime import date\n"
        "from lib.store.sessions import load_sessions, refresh_sessions\n"
        "async def main():\n"
        "    connection = await asyncpg.connect(sys.argv[1])\n"
        "    assert not await refresh_sessions(connection, date(2025, 1, 10))\n"
        "    assert len(await load_sessions(connection, 'XNYS')) > 8000\n"
        "    await connection.close()\n"
        "asyncio.run(main())\n"
        "print(*sorted({'pandas', 'exchange_calendars'} & set(sys.modules)))\n"
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, database_url, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()

    assert process.returncode == 0
    assert printed.split() == []


async def test_another_version_of_the_library_fills_anew_and_writes_only_what_differs(
    filled: asyncpg.Connection,
) -> None:
    before = await versions_of_rows(filled)
    expected = await load_sessions(filled, NYSE)
    carter, half, extra = date(2025, 1, 8), date(2024, 11, 29), date(2025, 1, 9)
    # What a library older than the announcement of 2025-01-09 had, and two faults more.
    await filled.execute("UPDATE calendars SET version = '4.5'")
    await filled.execute(
        "INSERT INTO trading_sessions VALUES ('XNYS', $1, $2, $3)",
        extra,
        utc("2025-01-09 14:30"),
        utc("2025-01-09 21:00"),
    )
    await filled.execute("DELETE FROM trading_sessions WHERE calendar = 'XNYS' AND session_date = $1", carter)
    await filled.execute(
        "UPDATE trading_sessions SET close_utc = close_utc + interval '3 hours' "
        "WHERE calendar = 'XNYS' AND session_date = $1",
        half,
    )
    assert len(await load_sessions(filled, NYSE)) == len(expected)

    assert await refresh_sessions(filled, TODAY)

    assert_same(await load_sessions(filled, NYSE), expected)
    after = await versions_of_rows(filled)
    assert {key for key in before if before[key] != after[key]} == {(NYSE, carter), (NYSE, half)}
    assert not await refresh_sessions(filled, TODAY)


async def test_two_refreshes_at_once_fill_once(connection: asyncpg.Connection, database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    try:
        await asyncio.gather(refresh_sessions(connection, TODAY), refresh_sessions(other, TODAY))
    finally:
        await other.close()

    assert len(set((await versions_of_rows(connection)).values())) == 1
    table = await load_sessions(connection, NYSE)
    assert_same(table, library_tables(table.horizon)[0])


async def test_a_refresh_that_fails_midway_leaves_nothing(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE trading_sessions ADD CHECK (calendar <> '24/7')")

    with pytest.raises(asyncpg.CheckViolationError):
        await refresh_sessions(connection, TODAY)

    assert await versions_of_rows(connection) == {}
    with pytest.raises(HorizonExceeded):
        await load_sessions(connection, NYSE)


async def test_a_calendar_never_filled_is_an_error_and_not_a_long_holiday(
    connection: asyncpg.Connection,
) -> None:
    with pytest.raises(HorizonExceeded, match="24/7"):
        await load_sessions(connection, ALWAYS_OPEN)


async def test_a_calendar_emptied_by_hand_says_how_to_fill_it_anew(filled: asyncpg.Connection) -> None:
    await filled.execute("TRUNCATE trading_sessions")
    with pytest.raises(HorizonExceeded, match="XNYS has lost its sessions") as failure:
        await load_sessions(filled, NYSE)
    assert "DELETE FROM calendars" in failure.value.hint

    await filled.execute("DELETE FROM calendars")
    await refresh_sessions(filled, datetime.now(UTC).date())
    assert len(await load_sessions(filled, NYSE)) > 0


# The closure of 2025-01-09 was announced ten days before; the library knew it a week later.
@pytest.mark.parametrize(
    ("kind", "day", "opens", "closes", "expected"),
    [
        (OverrideKind.CLOSED, "2025-01-10", None, None, None),
        (OverrideKind.EARLY, "2025-01-10", None, "18:00", ("09:00", "14:30", "18:00", "22:00")),
        (OverrideKind.LATE, "2025-01-10", "16:30", None, ("09:00", "16:30", "21:00", "25:00")),
        (OverrideKind.LATE, "2025-01-10", "16:30", "20:00", ("09:00", "16:30", "20:00", "24:00")),
        (OverrideKind.OPEN, "2025-01-10", "15:00", "17:00", ("09:00", "15:00", "17:00", "21:00")),
        (OverrideKind.OPEN, "2025-01-11", "14:30", "17:00", ("09:00", "14:30", "17:00", "21:00")),  # Saturday
        (
            OverrideKind.OPEN,
            "2025-03-09",
            "13:30",
            "17:00",
            ("08:00", "13:30", "17:00", "21:00"),
        ),  # clocks change
        (
            OverrideKind.OPEN,
            "2025-01-10",
            "08:30",
            "17:00",
            ("08:30", "08:30", "17:00", "21:00"),
        ),  # before 04:00
        (OverrideKind.EARLY, "2025-01-11", None, "18:00", None),  # of a closed day: nothing to shorten
    ],
)
async def test_what_was_announced_wins(
    filled: asyncpg.Connection,
    kind: OverrideKind,
    day: str,
    opens: str | None,
    closes: str | None,
    expected: tuple[str, str, str, str] | None,
) -> None:
    session_date = date.fromisoformat(day)
    opened, closed = (utc(f"{day} {clock}") if clock else None for clock in (opens, closes))
    before = await load_sessions(filled, NYSE)

    await note_override(filled, CalendarOverride(NYSE, session_date, kind, "a notice", opened, closed))

    midnight = utc(day)
    wanted = expected and [midnight + timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in expected]
    for zone in ZONES:
        await filled.execute("SELECT set_config('TimeZone', $1, false)", zone)
        shown = await hours(filled, session_date)
        assert (shown and [shown[2], shown[0], shown[1], shown[3]]) == wanted
    after = await load_sessions(filled, NYSE)
    assert set(before.dates()) ^ set(after.dates()) <= {session_date}
    assert len(await load_sessions(filled, ALWAYS_OPEN)) == (after.horizon - date(2009, 1, 1)).days


async def test_a_later_announcement_replaces_the_earlier_and_survives_a_refresh(
    filled: asyncpg.Connection,
) -> None:
    day = date(2025, 1, 10)
    await note_override(filled, CalendarOverride(NYSE, day, OverrideKind.CLOSED, "first notice"))
    await note_override(
        filled,
        CalendarOverride(NYSE, day, OverrideKind.EARLY, "second notice", close=utc("2025-01-10 18:00")),
    )
    await filled.execute("UPDATE calendars SET version = 'old'")

    assert await refresh_sessions(filled, TODAY)

    shown = await hours(filled, day)
    assert shown is not None
    assert shown[1] == utc("2025-01-10 18:00")


async def test_a_session_announced_beyond_the_horizon_is_not_known_yet(filled: asyncpg.Connection) -> None:
    table = await load_sessions(filled, NYSE)
    beyond = table.horizon
    opened = datetime.combine(beyond, time(15), UTC)

    await note_override(
        filled,
        CalendarOverride(NYSE, beyond, OverrideKind.OPEN, "a notice", opened, opened + timedelta(hours=2)),
    )

    assert_same(await load_sessions(filled, NYSE), table)


@pytest.mark.parametrize(
    ("kind", "opens", "closes"),
    [
        (OverrideKind.CLOSED, "14:30", None),
        (OverrideKind.CLOSED, None, "18:00"),
        (OverrideKind.EARLY, None, None),
        (OverrideKind.LATE, None, "18:00"),
        (OverrideKind.OPEN, "14:30", None),
        (OverrideKind.OPEN, "18:00", "14:30"),
    ],
)
async def test_an_announcement_without_the_hours_it_needs_is_refused(
    filled: asyncpg.Connection, kind: OverrideKind, opens: str | None, closes: str | None
) -> None:
    opened, closed = (utc(f"2025-01-10 {clock}") if clock else None for clock in (opens, closes))

    with pytest.raises(UsageError, match=f"do not fit {kind}"):
        await note_override(
            filled, CalendarOverride(NYSE, date(2025, 1, 10), kind, "a notice", opened, closed)
        )


@pytest.mark.parametrize("closes", ["2025-01-10 14:00", "2025-01-09 21:00"])
async def test_an_announcement_that_contradicts_the_calendar_is_named(
    filled: asyncpg.Connection, closes: str
) -> None:
    await note_override(
        filled, CalendarOverride(NYSE, date(2025, 1, 10), OverrideKind.EARLY, "a notice", close=utc(closes))
    )

    with pytest.raises(UsageError, match="XNYS on 2025-01-10") as refusal:
        await load_sessions(filled, NYSE)

    assert "calendar_overrides" in refusal.value.hint


async def test_a_session_on_a_wrong_date_is_named(filled: asyncpg.Connection) -> None:
    opened = utc("2025-01-12 14:30")
    await note_override(
        filled,
        CalendarOverride(
            NYSE, date(2025, 1, 11), OverrideKind.OPEN, "a notice", opened, opened + timedelta(hours=2)
        ),
    )

    with pytest.raises(UsageError, match="2025-01-11"):
        await load_sessions(filled, NYSE)


async def test_longer_extended_hours_are_a_row_to_change(filled: asyncpg.Connection) -> None:
    await filled.execute(
        "UPDATE calendars SET extended_open = '01:00', version = 'old' WHERE calendar = 'XNYS'"
    )

    assert await refresh_sessions(filled, TODAY)

    shown = await hours(filled, date(2025, 1, 8))
    assert shown is not None
    assert shown[2] == utc("2025-01-08 06:00")


async def test_a_question_about_some_dates_reads_only_their_rows(filled: asyncpg.Connection) -> None:
    await filled.execute("ANALYZE trading_sessions")
    plan = await filled.fetch(
        "EXPLAIN SELECT * FROM sessions "
        "WHERE calendar = 'XNYS' AND session_date BETWEEN '2025-01-01' AND '2025-02-01'"
    )
    text = "\n".join(row[0] for row in plan)

    assert "trading_sessions_pkey" in text
    assert "Seq Scan on trading_sessions" not in text
