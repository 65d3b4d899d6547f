"""The database goes away: waited for, done again whole, told when that is of no use."""

import asyncio
import signal
from datetime import UTC, datetime

import asyncpg
import pytest

from lib.clock import ScaledClock
from lib.errors import DatabaseAway, DatabaseConflict, DatabaseError, DatabaseUnreachable, LockHeld
from lib.settings import Settings
from lib.store.actions import ActionStore
from lib.store.database import open_database, open_url
from lib.store.failures import translated
from lib.store.features import FeatureStore
from lib.store.locks import run_lock
from lib.store.outage import Outage
from lib.store.store import Store
from tests.faults.server import MortalServer, proxied

START = datetime(2025, 3, 14, tzinfo=UTC)


def clock():
    return ScaledClock(START, speed=50)


async def add(database, number):
    async with database.connection() as connection, connection.transaction():
        await connection.execute("INSERT INTO numbers VALUES ($1)", number)


async def numbers(url):
    connection = await asyncpg.connect(url)
    try:
        return [row["n"] for row in await connection.fetch("SELECT n FROM numbers ORDER BY n")]
    finally:
        await connection.close()


@pytest.fixture
async def with_table(database):
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE numbers (n integer)")


@pytest.fixture
def mortal(tmp_path):
    server = MortalServer(tmp_path / "home")
    yield server
    server.leave()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=lambda how: how.name)
async def test_work_is_done_again_when_the_server_is_back(mortal, how, caplog):
    async with open_url(mortal.url, clock=clock(), patience_seconds=3000) as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE numbers (n integer)")
        # All eight connections lie idle: none of them is any good afterwards.
        await asyncio.gather(*(database.outage.outlast(lambda: add(database, 0)) for _ in range(8)))
        await mortal.stop(how)
        work = asyncio.gather(*(database.outage.outlast(lambda n=n: add(database, n)) for n in range(1, 20)))
        await asyncio.sleep(0.2)
        await mortal.start()
        await work
    assert await numbers(mortal.url) == [0] * 8 + list(range(1, 20))
    assert sum("trying again for up to 3000 s" in line for line in caplog.messages) == 1
    assert sum("is back after" in line for line in caplog.messages) == 1


async def test_the_embedded_server_is_started_again(tmp_path):
    settings = Settings(home=tmp_path / "home")
    async with open_database(settings) as database:
        (room,) = (tmp_path / "home").glob("postgres")
        helper = MortalServer(tmp_path / "home")
        await helper.stop(signal.SIGKILL)
        store = Store(database, clock())
        assert [i.symbol for i in await store.instruments(["BTC"])] == ["BTC"]
        assert (room / "data/postmaster.pid").exists()
        helper.leave()


async def test_the_patience_has_an_end(database_url):
    pace = clock()
    async with (
        proxied(database_url) as (proxy, url),
        open_url(url, clock=pace, patience_seconds=60) as database,
    ):
        proxy.refusing = True
        proxy.cut()
        began = pace.monotonic()
        with pytest.raises(DatabaseAway) as failure:
            await Store(database, pace).instruments(None)
        assert 60 <= pace.monotonic() - began < 120
        assert failure.value.exit_status == 10
        assert f"127.0.0.1:{proxy.port}" in str(failure.value)


async def test_a_run_that_is_asked_to_stop_does_not_wait(database_url):
    async with proxied(database_url) as (proxy, url), open_url(url, patience_seconds=3000) as database:
        store = Store(database, clock())

        async def stopping():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await store.instruments(None)

        task = asyncio.ensure_future(stopping())
        await asyncio.sleep(0)
        proxy.refusing = True
        proxy.cut()
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(DatabaseAway):
                await task


async def test_a_commit_whose_answer_is_lost_is_done_again(database_url, with_table):
    """And why a write must compare first: one that does not is written twice."""
    async with proxied(database_url) as (proxy, url), open_url(url, clock=clock()) as database:
        proxy.swallow_commit = True
        await database.outage.outlast(lambda: add(database, 1))
        assert proxy.swallowed == 1
    assert await numbers(database_url) == [1, 1]


class TestWhatWillNotPass:
    @pytest.mark.parametrize(
        ("error", "kind", "hint"),
        [
            (asyncpg.DiskFullError, DatabaseError, "the disk of the server is full"),
            (asyncpg.ReadOnlySQLTransactionError, DatabaseError, "standby or set read-only"),
            (asyncpg.InvalidPasswordError, DatabaseUnreachable, "check the user and the password"),
            (asyncpg.InvalidCatalogNameError, DatabaseUnreachable, "create the database"),
            (asyncpg.DatabaseDroppedError, DatabaseUnreachable, "the database was dropped"),
            (asyncpg.InsufficientPrivilegeError, DatabaseError, "needs the right"),
        ],
    )
    async def test_is_told_at_once_with_what_to_do(self, error, kind, hint):
        tries = []

        async def work():
            tries.append(1)
            with translated("bars"):
                raise error("said the server")

        with pytest.raises(kind, match="said the server") as failure:
            await Outage("bars", clock(), 3000).outlast(work)
        assert len(tries) == 1
        assert not isinstance(failure.value, DatabaseAway)
        assert hint in failure.value.hint
        assert failure.value.exit_status == 10

    async def test_a_read_only_server(self, database_url):
        async with open_url(database_url + "&options=-cdefault_transaction_read_only%3Don") as database:
            with pytest.raises(DatabaseError, match=r"read-only transaction \(25006\)") as failure:
                await Store(database, clock()).start_run("r", "test", START, {})
        assert "DATABASE_URL must name the one that takes writes" in failure.value.hint

    async def test_a_database_that_is_dropped(self, postgres):
        with postgres.migrated() as url:
            async with open_url(url, patience_seconds=3000, clock=clock()) as database:
                postgres.sql(f"DROP DATABASE {url.split('/')[3].split('?')[0]} WITH (FORCE)")
                with pytest.raises(DatabaseUnreachable, match="does not exist"):
                    await Store(database, clock()).instruments(None)
            postgres.sql(f"CREATE DATABASE {url.split('/')[3].split('?')[0]}")


@pytest.mark.parametrize("error", [asyncpg.TooManyConnectionsError, asyncpg.DeadlockDetectedError])
async def test_what_may_pass_is_tried_again(error):
    tries = []

    async def work():
        tries.append(1)
        if len(tries) < 3:
            with translated("bars"):
                raise error("said the server")
        return len(tries)

    assert await Outage("bars", clock(), 60).outlast(work) == 3
    assert issubclass(DatabaseConflict, DatabaseError)


@pytest.mark.parametrize("store", [Store, FeatureStore, ActionStore])
def test_every_public_coroutine_of_a_store_outlasts(store):
    methods = [m for n, m in vars(store).items() if not n.startswith("_") and asyncio.iscoroutinefunction(m)]
    assert methods
    assert all(hasattr(m, "__wrapped__") for m in methods)


class TestRunLock:
    async def test_is_taken_again_before_any_work_goes_on(self, mortal):
        async with (
            open_url(mortal.url, clock=clock(), patience_seconds=3000) as database,
            run_lock(database) as lock,
        ):
            await mortal.restart()
            await Store(database, clock()).instruments(None)
            assert await lock.is_held()

    async def test_that_another_run_took_stops_the_work(self, mortal):
        async with (
            open_url(mortal.url, clock=clock(), patience_seconds=3000) as database,
            run_lock(database, patience_seconds=0),
        ):
            await mortal.restart()
            async with open_url(mortal.url) as other, run_lock(other):
                with pytest.raises(LockHeld, match="another run"):
                    await Store(database, clock()).start_run("r", "test", START, {})

    async def test_its_own_forgotten_session_is_no_obstacle(self, database_url, database):
        """The network was cut, and the server has not noticed: that session still holds the lock."""
        async with (
            proxied(database_url) as (_, url),
            open_url(url, clock=clock()) as ours,
            run_lock(ours, patience_seconds=0) as lock,
        ):
            forgotten = lock._connection
            lock._connection = None
            await Store(ours, clock()).instruments(None)
            assert await lock.is_held()
            forgotten.terminate()
