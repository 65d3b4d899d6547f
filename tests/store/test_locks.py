"""One run at a time, one writer of a series at a time; no lock outlives its holder for long."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from lib.errors import LockHeld
from lib.store.database import open_url
from lib.store.locks import holder_name, lock_series, run_lock
from lib.timeframe import Timeframe

ROOT = Path(__file__).resolve().parents[2]

HOLDERS = """SELECT count(*) FROM pg_stat_activity
             WHERE application_name LIKE 'market-backfill run %' AND datname = current_database()"""
HOLDER = """
import asyncio, sys
from lib.store.database import open_url
from lib.store.locks import run_lock
async def main():
    async with open_url(sys.argv[1]) as database, run_lock(database):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
def other_run(database_url):
    """A run of another process, which holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database_url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


async def cut(database, pattern: str = "market-backfill run %") -> None:
    """Break off the connections of that name, as a restart of the server does."""
    async with database.connection() as connection:
        await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name LIKE $1 AND datname = current_database()",
            pattern,
        )


class TestRunLock:
    @pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
    async def test_a_second_run_is_refused_with_the_holder_named(self, database, other_run):
        with pytest.raises(LockHeld) as failure:
            async with run_lock(database, patience_seconds=0.3):
                pass

        who = rf"another run \(pid {other_run.pid} on {re.escape(socket.gethostname())}"
        assert re.match(rf"{who}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\) holds", str(failure.value))
        assert failure.value.exit_status == 11

    async def test_a_killed_run_leaves_it_to_the_next_within_the_patience(self, database, other_run):
        other_run.kill()
        async with run_lock(database) as lock:
            assert await lock.is_held()

    async def test_a_run_that_ends_within_the_patience_is_waited_for(self, database, other_run):
        asyncio.get_running_loop().call_later(0.5, other_run.kill)
        async with run_lock(database, patience_seconds=5) as lock:
            assert await lock.is_held()

    async def test_it_is_free_at_once_after_the_block(self, database):
        for _ in range(3):
            async with run_lock(database, patience_seconds=0):
                pass

    async def test_it_is_free_after_a_block_that_failed(self, database):
        with pytest.raises(ZeroDivisionError):
            async with run_lock(database):
                raise ZeroDivisionError
        async with run_lock(database, patience_seconds=0):
            pass

    async def test_a_refused_run_leaves_no_connection(self, database, other_run):
        with pytest.raises(LockHeld):
            async with run_lock(database, patience_seconds=0):
                pass
        async with database.connection() as connection, asyncio.timeout(30):
            while await connection.fetchval(HOLDERS) != 1:  # noqa: ASYNC110  the server has no event for it
                await asyncio.sleep(0.01)

    async def test_a_lost_lock_is_noticed_and_taken_again(self, database):
        async with run_lock(database) as lock:
            await cut(database)
            assert not await lock.is_held()

            await lock.ensure()
            assert await lock.is_held()

    async def test_a_lost_lock_that_another_took_stops_the_run(self, database):
        async with run_lock(database, patience_seconds=0) as lock:
            await cut(database)
            async with run_lock(database, patience_seconds=0):
                with pytest.raises(LockHeld):
                    await lock.ensure()

    async def test_ensuring_what_is_held_changes_nothing(self, database):
        async with run_lock(database) as lock, database.connection() as connection:
            query = """
                SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE locktype = 'advisory' AND datname = current_database()
            """
            before = await connection.fetchval(query)
            await lock.ensure()
            assert await connection.fetchval(query) == before

    async def test_installations_in_two_schemas_do_not_lock_each_other(self, empty_database_url):
        connection = await asyncpg.connect(empty_database_url)
        await connection.execute("CREATE SCHEMA one; CREATE SCHEMA two")
        await connection.close()
        path = f"{empty_database_url}&options=-csearch_path%3D"
        async with (
            open_url(f"{path}one") as one,
            open_url(f"{path}two") as two,
            run_lock(one, patience_seconds=0),
            run_lock(two, patience_seconds=0) as second,
        ):
            assert await second.is_held()

    def test_the_name_of_the_holder_fits_with_its_pid(self, monkeypatch):
        monkeypatch.setattr(socket, "gethostname", lambda: "h" * 100)
        assert len(holder_name()) == 63
        assert holder_name().endswith(f":{os.getpid()}")


class TestSeriesLock:
    @pytest.mark.parametrize(
        ("symbol", "base", "waits"),
        [
            ("AAPL", Timeframe.M1, True),
            ("AAPL", Timeframe.D1, False),
            ("MSFT", Timeframe.M1, False),
        ],
    )
    async def test_only_the_same_series_waits_until_the_transaction_ends(self, database, symbol, base, waits):
        async with database.connection() as first, database.connection() as second:
            async with first.transaction():
                await lock_series(first, "AAPL", Timeframe.M1)
                assert await self._waits(second, symbol, base) == waits
            assert not await self._waits(second, symbol, base)

    async def _waits(self, connection, symbol, base) -> bool:
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '200ms'")
                await lock_series(connection, symbol, base)
        except asyncpg.LockNotAvailableError:
            return True
        return False
