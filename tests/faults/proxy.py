"""A proxy between us and a server, on TCP or a unix socket: it cuts, delays and throttles what passes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

CHUNK = 65_536
COMMIT = b"C\x00\x00\x00\x0bCOMMIT\x00"  # CommandComplete


class Proxy:
    """Passes bytes between its clients and a server. *connect*: opens a connection to the server.

    ``delay_seconds`` before each chunk, either way; ``bytes_per_second``, 0: as fast as it goes. ``cut``
    breaks all connections off, now; ``swallow_commit`` once breaks off where the answer to a COMMIT would pass.
    """

    def __init__(self, connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]):
        self._connect = connect
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self.delay_seconds = 0.0
        self.bytes_per_second = 0
        self.swallow_commit = False
        self.refusing = False
        self.broken = 0
        self.swallowed = 0
        self.port = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Break all connections off."""
        self.broken += len(self._writers) // 2
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refusing:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(reader, back_writer, both), self._pump(back_reader, writer, both, answers=True)
            )
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, reader, writer, both, *, answers=False):
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if answers and self.swallow_commit and COMMIT in chunk:
                    self.swallow_commit = False
                    self.swallowed += 1
                    break
                await self._hold_up(len(chunk))
                writer.write(chunk)
                await writer.drain()
        for end in both:
            end.transport.abort()

    async def _hold_up(self, size):
        seconds = self.delay_seconds + (size / self.bytes_per_second if self.bytes_per_second else 0.0)
        if seconds:
            await asyncio.sleep(seconds)
