"""A PostgreSQL of a test's own, which it may stop, kill and start again."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from lib.store.server import EmbeddedServer
from tests.faults.proxy import Proxy
from tests.leaks import search_database

POLL_SECONDS = 0.01


class MortalServer:
    """The server under *home*: ``start``, ``stop``, ``restart``."""

    def __init__(self, home):
        self._room = home / "postgres"
        self._server = EmbeddedServer(home, durable=False)
        self.url = self._server.enter()
        self.restarts = 0

    async def stop(self, how=signal.SIGINT):
        """Shut down fast (SIGINT), at once (SIGQUIT), or not at all (SIGKILL)."""
        pid = int((self._room / "data/postmaster.pid").read_text().split()[0])
        os.kill(pid, how)
        while self._server._share[0].alive():  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    async def start(self):
        await asyncio.to_thread(self._server.ensure)

    async def restart(self, how=signal.SIGINT):
        await self.stop(how)
        await self.start()
        self.restarts += 1

    def leave(self):
        self._server.ensure()
        search_database(self.url)
        self._server.leave()


@asynccontextmanager
async def proxied(url):
    """A proxy before the server of *url*, and the URL through it."""
    path = parse_qs(urlsplit(url).query)["host"][0] + "/.s.PGSQL.5432"
    async with Proxy(lambda: asyncio.open_unix_connection(path)) as proxy:
        name = urlsplit(url).path
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}{name}?sslmode=disable"
