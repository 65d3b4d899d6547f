"""Locks in the database: one run at a time, one writer of a series at a time."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from lib import sql
from lib.clock import Clock, SystemClock
from lib.errors import LockHeld
from lib.store.database import Database
from lib.store.failures import translated
from lib.timeframe import Timeframe

PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.25
QUERY_SECONDS = 10.0
NAME_BYTES = 63  # of an application_name


class RunLock:
    """The right to be the one run on a database. It is lost when the server restarts: ask ``ensure``."""

    def __init__(self, database: Database, clock: Clock, patience_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._connection: asyncpg.Connection | None = None
        self._backend_pid = 0
        self._asking = asyncio.Lock()

    async def guard(self, was_away: bool) -> None:
        """Raises LockHeld if another run has the lock now: a run that lost it and cannot get it back stops.

        The server is asked only if it *was_away* or our connection is known to have ended.
        """
        if was_away or self._connection is None or self._connection.is_closed():
            async with self._asking:
                await self.ensure()

    async def is_held(self) -> bool:
        """Whether the server, asked now, still says that it is ours."""
        if self._connection is None:
            return False
        try:
            row = await self._connection.fetchrow(sql.load("read_run_lock"), timeout=QUERY_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return row is not None and bool(row["mine"])

    async def ensure(self) -> None:
        """Take the lock again if it was lost. Raises LockHeld if another run was quicker."""
        if not await self.is_held():
            self.give_up()
            await self.take()

    async def take(self) -> None:
        """Raises LockHeld when another run still holds it after the patience."""
        self._connection = await self._database.connect_alone(holder_name())
        try:
            with translated(self._database.name):
                await self._end_lost(self._connection)
                await self._wait(self._connection)
                self._backend_pid = self._connection.get_server_pid()
        except BaseException:
            self.give_up()
            raise

    async def _end_lost(self, connection: asyncpg.Connection) -> None:
        """The session we held the lock with may not have noticed yet that we are gone."""
        if self._backend_pid:
            await connection.execute(sql.load("end_run_lock"), self._backend_pid)

    async def _wait(self, connection: asyncpg.Connection) -> None:
        deadline = self._clock.monotonic() + self._patience_seconds
        while not await connection.fetchval(sql.load("try_run_lock")):
            if self._clock.monotonic() >= deadline:
                holder = await connection.fetchrow(sql.load("read_run_lock"))
                raise LockHeld(
                    f"{_described(holder)} holds the run lock of the database {self._database.name}"
                )
            await self._clock.sleep(POLL_SECONDS)

    def give_up(self) -> None:
        """The lock ends with its connection, which may be lost already."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def release(self) -> None:
        """As ``give_up``, but the next run finds the lock free at once."""
        if self._connection is not None:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._connection.close(timeout=QUERY_SECONDS)
        self.give_up()


@asynccontextmanager
async def run_lock(
    database: Database, *, patience_seconds: float = PATIENCE_SECONDS, clock: Clock | None = None
) -> AsyncIterator[RunLock]:
    """Be the only run on *database* for the block.

    A killed run's lock can outlive it by some seconds, hence *patience_seconds*. Should the lock be lost, all
    work of *database* waits until it is taken again. Raises LockHeld.
    """
    lock = RunLock(database, clock or SystemClock(), patience_seconds)
    await lock.take()
    database.outage.guard = lock.guard
    try:
        yield lock
    finally:
        database.outage.guard = None
        await lock.release()


async def lock_series(connection: asyncpg.Connection, symbol: str, base: Timeframe) -> None:
    """Be the only writer of the bars of *symbol* built from *base*, until the transaction ends; waits."""
    await connection.execute(sql.load("lock_series"), symbol, base)


def holder_name() -> str:
    """How a run shows itself to the others in pg_stat_activity: host and pid."""
    process = f":{os.getpid()}"
    name = f"market-backfill run {socket.gethostname()}"
    return name[: NAME_BYTES - len(process)] + process


def _described(holder: asyncpg.Record | None) -> str:
    if holder is None or not holder["application_name"]:
        return "another run"
    who = holder["application_name"].removeprefix("market-backfill run ")
    host, _, pid = who.rpartition(":")
    since = holder["backend_start"]
    return f"another run (pid {pid} on {host}" + (f", since {since:%Y-%m-%d %H:%M:%S} UTC)" if since else ")")
