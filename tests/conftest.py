"""Shared by all tests: a clean environment, a real PostgreSQL with a database per test, the market data."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import settings

from lib.store.binaries import NEWEST, program
from lib.store.database import Database, open_url
from lib.store.server import embedded_server
from tests.leaks import KEY, holds_a_secret, leaking_files, overheard, search_database, with_password

ROOT = Path(__file__).resolve().parent.parent
SERVER_HOME = "MARKET_BACKFILL_TEST_HOME"  # how pytest tells its workers where their common server is
EXTERNAL = os.environ.get("TEST_DATABASE_URL")
HEARD = pytest.StashKey()  # what the processes that a test started have said
SETTINGS = ("DATABASE_URL", "BACKFILL_HOME", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
PREFIXES = ("POLYGON_", "MASSIVE_", "ALERT_", "PG")


# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("market-backfill", deadline=None)
settings.load_profile("market-backfill")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[SERVER_HOME] = tempfile.mkdtemp(prefix="market-backfill-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SERVER_HOME))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer has set."""
    for name in list(os.environ):
        if name in SETTINGS or name.startswith(PREFIXES):
            monkeypatch.delenv(name)


class TestServer:
    """A PostgreSQL for tests: databases are made from nothing or as copies of a migrated one, and dropped."""

    __test__ = False

    def __init__(self, url: str, worker: str) -> None:
        self.url = url
        self._numbers = count()
        self._prefix = f"test_{worker}_{os.getpid()}"
        self._template: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without any table, for the block."""
        with self._made_from("template0") as name:
            yield self._url_of(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """The URL of a database with the toolkit's schema, for the block."""
        if self._template is None:
            self._template = f"{self._prefix}_template"
            self.sql(f"CREATE DATABASE {self._template} TEMPLATE template0")
            run_apart(_migrate(self._url_of(self._template)))
        with self._made_from(self._template) as name:
            yield self._url_of(name)

    def close(self) -> None:
        if self._template is not None:
            self.sql(f"DROP DATABASE {self._template}")

    def sql(self, statement: str) -> None:
        command = [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", statement]
        subprocess.run(command, check=True)

    @contextmanager
    def _made_from(self, template: str) -> Iterator[str]:
        name = f"{self._prefix}_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield name
            search_database(self._url_of(name))
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop and thread of its own, whatever loop the test has."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _migrate(url: str) -> None:
    async with open_url(url):
        pass


@pytest.fixture(scope="session")
def _test_servers(worker_id: str) -> Iterator[Callable[[int], TestServer]]:
    """Servers by version, started when first asked for; the workers share them, the last one stops them."""
    servers: dict[int, TestServer] = {}
    with ExitStack() as stack:

        def serve(version: int) -> TestServer:
            if version not in servers:
                home = Path(os.environ[SERVER_HOME]) / str(version)
                url = EXTERNAL or stack.enter_context(embedded_server(home, version=version, durable=False))
                servers[version] = TestServer(url, worker_id)
                stack.callback(servers[version].close)
                stack.callback(_nothing_in, home)
            return servers[version]

        yield serve


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with overheard() as item.stash[HEARD]:
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Whatever a test does, it leaves no secret: neither said, nor logged, nor in a file of its folder."""
    report = yield
    if report.when == "teardown" and (found := list(_leaks_of(item, report))):
        report.outcome, report.longrepr = "failed", f"a secret is left: {', '.join(found)}"
    return report


def _leaks_of(item: pytest.Item, report: pytest.TestReport) -> Iterator[str]:
    yield from (name for name, text in report.sections if holds_a_secret(text))
    for content in item.stash[HEARD].values():
        if holds_a_secret(bytes(content)):
            yield "said by a process"
    if folder := item.funcargs.get("tmp_path"):
        yield from map(str, leaking_files(folder))


def _nothing_in(home: Path) -> None:
    """The servers' own words: what they log is common to all tests."""
    assert [path for path in home.rglob("*.log") if holds_a_secret(path.read_bytes())] == []


@pytest.fixture
def postgres_version() -> int:
    """Parametrize it indirectly, with 16 too, where the version may matter."""
    return NEWEST


@pytest.fixture
def postgres(postgres_version: int, _test_servers: Callable[[int], TestServer]) -> TestServer:
    """A running PostgreSQL, shared with other tests: make databases in it, and stop nothing."""
    if EXTERNAL and postgres_version != NEWEST:
        pytest.skip("TEST_DATABASE_URL decides the version")
    return _test_servers(postgres_version)


@pytest.fixture
def database_url(postgres: TestServer) -> Iterator[str]:
    """A database of the test's own, with the toolkit's schema."""
    with postgres.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: TestServer) -> Iterator[str]:
    """A database of the test's own, without any table."""
    with postgres.empty() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own database, open."""
    async with open_url(database_url) as database:
        yield database


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data; its README says what is in it."""
    folder = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip(f"no market data in {folder}; SHARED_DATA names another folder")
    return folder


@pytest.fixture
def command_environment(database_url, tmp_path):
    """The environment of the user's commands: the test's database, no other setting."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    settings = {"DATABASE_URL": with_password(database_url), "POLYGON_API_KEY": KEY}
    return keep | settings | {"BACKFILL_HOME": str(tmp_path)}


@dataclass
class Finished:
    """A command that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def result(self):
        return json.loads(self.stdout)


@pytest.fixture
def command(command_environment, tmp_path):
    """Runs a script of the project as the user would; ``start`` leaves it running.

    Settings are given by their names; None takes one away.
    """

    async def start(script, *arguments, cwd=tmp_path, **settings):
        environment = command_environment | settings
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / script),
            *map(str, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in environment.items() if value is not None},
            cwd=cwd,
        )

    async def end(process):
        stdout, stderr = await process.communicate()
        return Finished(process.returncode, stdout.decode(), stderr.decode())

    async def run(script, *arguments, cwd=tmp_path, **settings):
        return await end(await start(script, *arguments, cwd=cwd, **settings))

    run.start, run.end, run.environment = start, end, command_environment
    return run


class FeatureGate:
    """Holds up whoever is about to commit a page of features that goes beyond a stamp."""

    def __init__(self, connection) -> None:
        self._connection = connection

    async def stand_before(self, stamp: datetime) -> None:
        """Until it is called again. Who waited already, killed or not, is sent away."""
        await self._connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({self._WAITING}) AS waiting")
        await self._until(waiting=False)
        await self._connection.execute("UPDATE gate SET stamp = $1", stamp)

    async def reached(self) -> None:
        """Return when somebody waits."""
        await self._until(waiting=True)

    async def _until(self, *, waiting: bool) -> None:
        async with asyncio.timeout(60):
            while bool(await self._connection.fetch(self._WAITING)) != waiting:  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.01)

    _WAITING = """SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
                  WHERE locktype = 'advisory' AND objid = 1 AND NOT granted AND datname = current_database()"""


@pytest.fixture
async def feature_gate(database: Database) -> AsyncIterator[FeatureGate]:
    """A gate in the test's database, open to all at first."""
    async with database.connection() as connection:
        await connection.execute(
            """CREATE TABLE gate AS SELECT 'infinity'::timestamptz AS stamp;
               CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN
                   IF upper(new.computed) > (SELECT stamp FROM gate) THEN
                       PERFORM pg_advisory_xact_lock(1);
                   END IF;
                   RETURN new;
               END $$;
               CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON feature_state
               FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
               SELECT pg_advisory_lock(1)"""
        )
        yield FeatureGate(connection)
        await connection.execute("SELECT pg_advisory_unlock_all()")
