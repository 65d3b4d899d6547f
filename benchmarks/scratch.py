"""Databases to measure in: made empty, with schema and calendars, on an embedded server or a given one."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from lib.store.database import open_url
from lib.store.server import embedded_server_async
from lib.store.sessions import refresh_sessions

_PREFIX = "backfill_benchmark"


@dataclass(slots=True)
class Scratch:
    """A server in which databases are made; *url* is the one it is administered by."""

    url: str
    _numbers: "count[int]" = field(default_factory=count)
    _template: str = ""
    _made: list[str] = field(default_factory=list)

    async def database(self) -> str:
        """The URL of a new database with schema and calendars, as the second run of a user finds it."""
        if not self._template:
            self._template = await self._create("template0")
            await _prepare(self._url_of(self._template))
        return self._url_of(await self._create(self._template))

    async def drop(self, url: str) -> None:
        """Drop a database before its time: some are large."""
        name = urlsplit(url).path.removeprefix("/")
        self._made.remove(name)
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def drop_all(self) -> None:
        for name in [*self._made]:
            await self.drop(self._url_of(name))

    async def _create(self, template: str) -> str:
        name = f"{_PREFIX}_{datetime.now(UTC):%H%M%S}_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        self._made.append(name)
        return name

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))


async def _prepare(url: str) -> None:
    async with open_url(url) as database, database.connection() as connection:
        await refresh_sessions(connection, datetime.now(UTC).date())


@asynccontextmanager
async def scratch(database_url: str | None = None) -> AsyncIterator[Scratch]:
    """Databases on the server of *database_url*, its own left alone; else on an embedded one."""
    if database_url is None:
        async with _embedded() as url:
            yield Scratch(url)
        return
    made = Scratch(database_url)
    try:
        yield made
    finally:
        await made.drop_all()


@asynccontextmanager
async def _embedded() -> AsyncIterator[str]:
    home = scratch_home()
    try:
        async with embedded_server_async(home) as url:
            yield url
    finally:
        shutil.rmtree(home)


def scratch_home() -> Path:
    """A folder for an embedded server; whoever made it removes it."""
    home = Path(mkdtemp(prefix="backfill-scratch-"))
    home.chmod(0o755)  # PostgreSQL, which does not run as root, must be able to enter
    return home
