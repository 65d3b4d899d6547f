"""The way to PostgreSQL: connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import cast

import asyncpg
from asyncpg.types import ServerVersion

from lib.clock import Clock, SystemClock
from lib.errors import DatabaseAway, DatabaseError, UsageError
from lib.settings import Settings, without_password
from lib.store.failures import FOREIGN, LOST, translated
from lib.store.migrations import apply_migrations
from lib.store.outage import PATIENCE_SECONDS, Outage
from lib.store.server import serving

POOL_SIZE = 8  # and one for the run lock: the toolkit promises at most 10
OLDEST_SERVER = 16
CONNECT_SECONDS = 15.0
STARTING_SECONDS = 60.0
STARTING_POLL_SECONDS = 0.25
CLOSE_SECONDS = 10.0
# A connection that died without a word is noticed by this: far longer than any statement of ours takes.
STATEMENT_SECONDS = 600.0

APPLICATION_NAME = "market-backfill"
SESSION = {
    "TimeZone": "UTC",
    "jit": "off",
    # A host that vanished must not keep its locks: over TCP the server notices within a minute.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


class Database:
    """An open database. Everything raised by its methods and in their blocks is already ours.

    *revive* is awaited when the server was away: it may start it again.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        url: str,
        name: str,
        clock: Clock,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        revive: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._pool = pool
        self._url = url
        self._clock = clock
        self._revive = revive
        self.name = name
        self.outage = Outage(name, clock, patience_seconds, self._recover)

    async def _recover(self) -> None:
        if self._revive:
            await self._revive()
        # Connections that lie idle may be dead as well: each is replaced when it is next asked for.
        await self._pool.expire_connections()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the pool for the block; waits until one is free.

        A cancelled block drops it: a COPY that was cut off would leave it in the middle of the protocol. So does
        what the driver itself says: a connection that ended may look as if it were still at work.
        """
        with translated(self.name):
            async with self._pool.acquire(timeout=None) as connection:
                try:
                    yield cast(asyncpg.Connection, connection)
                except (asyncio.CancelledError, asyncpg.InterfaceError, *LOST):
                    with suppress(asyncpg.InterfaceError):  # it may have been given back by its own end
                        connection.terminate()
                    raise

    async def connect_alone(self, application_name: str) -> asyncpg.Connection:
        """A connection beside the pool, never ended for being idle. The caller closes it."""
        settings = {"application_name": application_name, "idle_session_timeout": "0"}
        return await connect(self._url, self.name, clock=self._clock, session=settings)


@asynccontextmanager
async def open_database(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Database]:
    """The database that *settings* names, embedded or not, with its schema up to date.

    Raises DatabaseUnreachable, EmbeddedServerFailed, MigrationFailed, DatabaseError.
    """
    patience = settings.database_patience_seconds
    if settings.database_url is not None:
        async with open_url(settings.database_url, clock=clock, patience_seconds=patience) as database:
            yield database
        return
    async with (
        serving(settings.home) as (url, revive),
        open_url(
            url, name=settings.database_name, clock=clock, patience_seconds=patience, revive=revive
        ) as database,
    ):
        yield database


@asynccontextmanager
async def open_url(
    url: str,
    *,
    name: str | None = None,
    clock: Clock | None = None,
    oldest: int = OLDEST_SERVER,
    patience_seconds: float = PATIENCE_SECONDS,
    revive: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Database]:
    """The database at *url*, with its schema up to date. *name*: how messages call it.

    *patience_seconds*: how long one that goes away, once open, is waited for; *revive* may start it again.
    """
    clock = clock or SystemClock()
    name = name or _shown(url)
    await _prepare(url, name, clock, oldest)
    with translated(name):
        pool = await asyncpg.create_pool(
            url,
            min_size=0,  # with more the pool looks for the server by itself, and logs that it is away
            max_size=POOL_SIZE,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings=_session({}),
        )
    try:
        yield Database(pool, url, name, clock, patience_seconds=patience_seconds, revive=revive)
    finally:
        await _close(pool)


async def connect(
    url: str,
    name: str,
    *,
    clock: Clock,
    session: Mapping[str, str] | None = None,
    patience_seconds: float = STARTING_SECONDS,
) -> asyncpg.Connection:
    """A connection to *url*. A server that is still starting is asked again for *patience_seconds*.

    Raises DatabaseUnreachable; UsageError for a URL that is none.
    """
    deadline = clock.monotonic() + patience_seconds
    while True:
        try:
            with translated(name):
                return await _connect_once(url, session or {})
        except DatabaseAway as error:
            starting = isinstance(error.__cause__, asyncpg.CannotConnectNowError)
            if not starting or clock.monotonic() >= deadline:
                raise
        await clock.sleep(STARTING_POLL_SECONDS)


async def _connect_once(url: str, session: Mapping[str, str]) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=_session(session))
    except asyncpg.ClientConfigurationError as exc:
        raise UsageError(f"the database URL cannot be used: {exc}", hint="check DATABASE_URL") from exc
    except ValueError:
        # What could not be read may be a part of the password: the message is not repeated.
        raise UsageError(
            "the database URL cannot be read", hint="DATABASE_URL: percent-encode / @ : # % in the password"
        ) from None


def _session(more: Mapping[str, str]) -> dict[str, str]:
    return {"application_name": APPLICATION_NAME, **SESSION, **more}


async def _prepare(url: str, name: str, clock: Clock, oldest: int) -> None:
    connection = await connect(url, name, clock=clock)
    try:
        _refuse_older(connection.get_server_version(), oldest, name)
        with translated(name):
            await apply_migrations(connection)
    finally:
        await _close(connection)


def _refuse_older(version: ServerVersion, oldest: int, name: str) -> None:
    if version.major < oldest:
        raise DatabaseError(
            f"the database {name} runs PostgreSQL {version.major}.{version.minor}, not {oldest} or later",
            hint="upgrade the server, or unset DATABASE_URL to use the embedded one",
        )


async def _close(what: "asyncpg.Pool | asyncpg.Connection") -> None:
    """Part politely; a peer that is gone must not hold us up."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await what.close()
    except FOREIGN:
        what.terminate()


def _shown(url: str) -> str:
    try:
        return without_password(url)
    except ValueError:
        return "(a URL that cannot be read)"
