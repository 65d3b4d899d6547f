"""What is watched and who was told: the tables ``alerts`` and ``alert_deliveries``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Self

import asyncpg

from lib import sql
from lib.alerts import Alert, Condition, GapSeen, Rule, RunSeen, Severity, Told
from lib.store.database import Database
from lib.store.gaps import watched_gaps

LOOK_BACK = timedelta(days=40)  # more than the longest row of failed days that anybody would wait for


class AlertStore:
    """The alerts of one database, for one process at a time: two would tell the same thing twice."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def alone(cls, database: Database) -> AsyncIterator[Self]:
        """The store, for the block; waits until nobody else has it."""
        async with database.connection() as connection:
            await connection.execute(sql.load("lock_alerts"))
            try:
                yield cls(connection)
            finally:
                if not connection.is_closed():
                    await connection.execute(sql.load("unlock_alerts"))

    async def gaps(self) -> list[GapSeen]:
        """The open gaps of the active symbols."""
        return await watched_gaps(self._connection)

    async def runs(self, now: datetime) -> list[RunSeen]:
        """The runs of the last weeks, the newest first."""
        rows = await self._connection.fetch(sql.load("read_recent_runs"), now - LOOK_BACK)
        return [RunSeen(*row) for row in rows]

    async def write(self, conditions: Sequence[Condition], now: datetime) -> None:
        """Bring the alerts to what holds now: new ones are raised, those that no longer hold end."""
        rules, subjects = [c.rule for c in conditions], [c.subject for c in conditions]
        async with self._connection.transaction():
            await self._connection.execute(sql.load("resolve_alerts"), rules, subjects, now)
            await self._connection.executemany(
                sql.load("raise_alert"), [(c.rule, c.subject, c.severity, c.text, now) for c in conditions]
            )

    async def read(self, channel: str) -> list[tuple[Alert, Told | None]]:
        """What *channel* may have to be told, and what it knows; None: it was never tried."""
        rows = await self._connection.fetch(sql.load("read_alerts"), channel)
        return [(_alert(row), _told(row)) for row in rows]

    async def note(self, channel: str, alerts: Sequence[Alert], now: datetime, *, told: bool) -> None:
        """Record that *channel* was told of *alerts* as they are, or could not be."""
        query = sql.load("note_told") if told else sql.load("note_not_told")
        await self._connection.execute(query, channel, [alert.alert_id for alert in alerts], now)


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
