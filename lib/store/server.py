"""The embedded PostgreSQL: a real server, shared by all scripts of one BACKFILL_HOME, gone with the last one.

It listens on a unix socket only and trusts whoever can reach it: its folder, ``<home>/postgres``, is private.
Locks on files end with the process that holds them, so that no list of users has to be kept true:

start.lock    held alone while the server is started or stopped
holders.lock  held, shared, by every script that uses the server: who gets it alone is the last one out
server.lock   inherited by the server's own processes: while it is held, some of them are alive
"""

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from lib.errors import EmbeddedServerFailed
from lib.store.binaries import NEWEST
from lib.store.cluster import Cluster
from lib.store.filelock import FileLock

POLL_SECONDS = 0.02
TELL_AFTER_SECONDS = 5.0
START_SECONDS = 900.0  # crash recovery replays up to max_wal_size
STOP_SECONDS = 60.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def embedded_server(home: Path, *, version: int = NEWEST, durable: bool = True) -> Iterator[str]:
    """The URL of the PostgreSQL under *home*, which runs at least until the block ends.

    *version* is for a new data folder; an existing one is served by the version that made it.
    *durable* False: no fsync, for tests. Raises EmbeddedServerFailed.
    """
    server = EmbeddedServer(home, version=version, durable=durable)
    url = server.enter()
    try:
        yield url
    finally:
        server.leave()


@asynccontextmanager
async def embedded_server_async(home: Path, *, version: int = NEWEST) -> AsyncIterator[str]:
    """As ``embedded_server``, without holding up the event loop: a start may be a long recovery."""
    async with serving(home, version=version) as (url, _):
        yield url


@asynccontextmanager
async def serving(
    home: Path, *, version: int = NEWEST
) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """As ``embedded_server_async``, and how to start the server again should it have been killed."""
    server = EmbeddedServer(home, version=version)
    one_at_a_time = asyncio.Lock()
    try:
        url = await _apart(server, server.enter)

        async def revive() -> None:
            async with one_at_a_time:
                await _apart(server, server.ensure)

        yield url, revive
    finally:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, server.leave))


async def _apart(server: "EmbeddedServer", work: Callable[[], T]) -> T:
    """*work* of *server* in a thread, which is waited for to the end even if we are cancelled."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        server.abandon()
        with suppress(EmbeddedServerFailed):
            await running
        raise


class EmbeddedServer:
    """One script's share in the server under *home*. ``enter`` once, then ``leave`` once."""

    def __init__(self, home: Path, *, version: int = NEWEST, durable: bool = True) -> None:
        self._room = home.resolve() / "postgres"
        self._version = version
        self._durable = durable
        self._abandoned = threading.Event()
        self._share: tuple[Cluster, FileLock] | None = None

    def enter(self) -> str:
        """Start the server unless it runs; its URL. Raises EmbeddedServerFailed."""
        with _named_failures(self._room):
            cluster = Cluster(self._room, self._version, durable=self._durable)
            with self._start_lock(cluster) as start_lock:
                holding = cluster.lock("holders")
                try:
                    holding.take_shared()
                    self._ensure_running(cluster, start_lock)
                except BaseException:
                    holding.close()
                    raise
            self._share = cluster, holding
            return cluster.url

    def ensure(self) -> None:
        """Start the server again unless it runs, once entered. Raises EmbeddedServerFailed."""
        if self._share is not None:
            cluster = self._share[0]
            with _named_failures(self._room), self._start_lock(cluster) as start_lock:
                self._ensure_running(cluster, start_lock)

    def leave(self) -> None:
        """Stop the server if nobody else uses it. A server that does not stop is left to the next script."""
        if self._share is None:
            return
        (cluster, holding), self._share = self._share, None
        self._abandoned.clear()
        try:
            with _named_failures(self._room), self._start_lock(cluster) as start_lock:
                if holding.take_exclusive():
                    self._stop(cluster, start_lock)
        except EmbeddedServerFailed as error:
            # The work is done and stored by now; it must not end as a failure.
            _log.warning("the embedded PostgreSQL was left running: %s", error)
        finally:
            holding.close()

    def abandon(self) -> None:
        """Make a waiting ``enter`` of another thread fail soon."""
        self._abandoned.set()

    @contextmanager
    def _start_lock(self, cluster: Cluster) -> Iterator[FileLock]:
        with cluster.lock("start") as lock:
            self._wait(lock.take_exclusive, f"another script is starting or stopping it ({self._room})")
            yield lock

    def _ensure_running(self, cluster: Cluster, start_lock: FileLock) -> None:
        launched = False

        def runs() -> bool:
            nonlocal launched
            if cluster.alive():
                return cluster.accepts()
            if launched:
                raise EmbeddedServerFailed(f"the embedded PostgreSQL did not start\n{cluster.log_tail()}")
            cluster.launch(start_lock)
            launched = True
            return False

        self._wait(runs, f"it starts; after a crash it recovers first (log: {cluster.log_file})")

    def _stop(self, cluster: Cluster, start_lock: FileLock) -> None:
        if cluster.alive():
            cluster.stop(start_lock)
            self._wait(
                lambda: not cluster.alive(), f"it shuts down (log: {cluster.log_file})", seconds=STOP_SECONDS
            )
        cluster.tidy()

    def _wait(self, ready: Callable[[], bool], reason: str, *, seconds: float = START_SECONDS) -> None:
        """Until *ready*; a wait that takes long is logged once. Raises EmbeddedServerFailed."""
        begun, told = time.monotonic(), False
        while not ready():
            waited = time.monotonic() - begun
            if waited > TELL_AFTER_SECONDS and not told:
                _log.warning("waiting for the embedded PostgreSQL: %s", reason)
                told = True
            if self._abandoned.is_set() or waited > seconds:
                raise EmbeddedServerFailed(
                    f"gave up waiting for the embedded PostgreSQL after {waited:.0f} s: {reason}"
                )
            time.sleep(POLL_SECONDS)


@contextmanager
def _named_failures(room: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError) as exc:
        raise EmbeddedServerFailed(
            f"the embedded PostgreSQL in {room} cannot be used: {exc}",
            hint="BACKFILL_HOME must be a folder on a local disk that belongs to you",
        ) from exc
