"""What is watched and who was told: the tables ``alerts`` and ``alert_deliveries``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg

from lib import sql
from lib.alerts import Alert, Condition, GapSeen, Rule, RunSeen, Severity, Told
from lib.timeframe import Timeframe

LOOK_BACK = timedelta(days=40)  # more than the longest row of failed days that anybody would wait for


@asynccontextmanager
async def alerts_locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Judge and tell alone for the block: two at once would tell the same thing twice. Waits."""
    await connection.execute(sql.load("lock_alerts"))
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(sql.load("unlock_alerts"))


async def read_gaps_seen(connection: asyncpg.Connection) -> list[GapSeen]:
    """The open gaps of the active symbols."""
    rows = await connection.fetch(sql.load("read_watched_gaps"))
    return [
        GapSeen(r["symbol"], Timeframe(r["timeframe"]), r["gap_start"], r["gap_end"], r["days"], r["state"])
        for r in rows
    ]


async def read_runs_seen(connection: asyncpg.Connection, now: datetime) -> list[RunSeen]:
    """The runs of the last weeks, the newest first."""
    return [RunSeen(*row) for row in await connection.fetch(sql.load("read_recent_runs"), now - LOOK_BACK)]


async def write_conditions(
    connection: asyncpg.Connection, conditions: Sequence[Condition], now: datetime
) -> None:
    """Bring the alerts to what holds now: new ones are raised, those that no longer hold end."""
    rules, subjects = [c.rule for c in conditions], [c.subject for c in conditions]
    async with connection.transaction():
        await connection.execute(sql.load("resolve_alerts"), rules, subjects, now)
        for one in conditions:
            await connection.execute(
                sql.load("raise_alert"), one.rule, one.subject, one.severity, one.text, now
            )


async def read_alerts(connection: asyncpg.Connection, channel: str) -> list[tuple[Alert, Told | None]]:
    """What *channel* may have to be told, and what it knows; None: it was never tried."""
    rows = await connection.fetch(sql.load("read_alerts"), channel)
    return [(_alert(row), _told(row)) for row in rows]


def _alert(row: asyncpg.Record) -> Alert:
    return Alert(
        row["alert_id"],
        Rule(row["rule"]),
        row["subject"],
        Severity(row["severity"]),
        row["text"],
        row["raised_at"],
        row["resolved_at"],
    )


def _told(row: asyncpg.Record) -> Told | None:
    if not row["tried"]:
        return None
    severity = row["told_severity"]
    return Told(Severity(severity) if severity else None, row["attempts"])


async def note_told(
    connection: asyncpg.Connection, channel: str, alerts: Sequence[Alert], now: datetime, *, delivered: bool
) -> None:
    """Record that *channel* was told of *alerts* as they are, or could not be."""
    query = sql.load("note_told" if delivered else "note_not_told")
    await connection.execute(query, channel, [alert.alert_id for alert in alerts], now)

