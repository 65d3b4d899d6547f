"""A vendor that plays a script over a real socket: right answers, wrong ones, and broken connections."""

import asyncio
import gzip
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses, core

from lib.budget import Budget
from lib.retry import RetryPolicy
from lib.settings import Secret
from lib.symbols import AssetClass, Instrument
from lib.vendor.client import VendorClient


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        return dict(parse_qsl(urlsplit(self.target).query))


class ScriptedVendor:
    """Plays one act per request, in the order in which the methods below were called."""

    key = "s3cr3t-K3y+of/the=vendor"

    def __init__(self):
        self.asked = []
        self.connections = 0
        self.url = ""
        self.over = asyncio.Event()
        self._script = deque()

    def reply(self, body=b"", status=200, headers=(), packed=False, cut=None):
        """An HTTP answer; *body* bytes or what becomes JSON. *cut*: hang up after so many of its bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if packed:
            content = gzip.compress(content)
            headers = {"Content-Encoding": "gzip"} | dict(headers)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | dict(headers)
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        self._script.append(partial(self._write, head.encode() + content[:cut], goes_on=cut is None))

    def raw(self, content):
        """These bytes and the end of the connection; nothing but the end if there are none."""
        self._script.append(partial(self._write, content, goes_on=False))

    def reset(self):
        """A reset of the connection instead of an answer."""
        self._script.append(self._reset)

    def stall(self, begun=b""):
        """The beginning of an answer, and then nothing."""
        self._script.append(partial(self._stall, begun))

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while await self._answer(await reader.readuntil(b"\r\n\r\n"), writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head, writer):
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        method, target, _ = first.split(" ")
        self.asked.append(Asked(method, target, {name.lower(): value for name, value in headers.items()}))
        if not self._script:
            self.reply(b"the script is over", status=599)
        return await self._script.popleft()(writer)

    async def _write(self, content, writer, *, goes_on):
        writer.write(content)
        await writer.drain()
        return goes_on

    async def _reset(self, writer):
        writer.transport.abort()
        return False

    async def _stall(self, begun, writer):
        await self._write(begun, writer, goes_on=True)
        await self.over.wait()
        return False


@pytest.fixture
async def vendor():
    scripted = ScriptedVendor()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield scripted
    scripted.over.set()
    server.close()


class SkippingClock:
    """A clock on which waiting takes no time; *waits* are the seconds waited for."""

    def __init__(self):
        self.waits = []

    def now(self):
        return datetime(2025, 6, 2, 12, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self):
        return sum(self.waits)

    async def sleep(self, seconds):
        self.waits.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return SkippingClock()


@pytest.fixture
def open_client(vendor, clock):
    """A client of the scripted vendor, without jitter; keyword arguments as for ``VendorClient.open``."""

    @asynccontextmanager
    async def opened(**changes):
        arguments = {
            "base_url": vendor.url,
            "key": Secret(vendor.key),
            "budget": Budget(1000, clock),
            "clock": clock,
            "policy": RetryPolicy(jitter=0.0),
            "timeout_seconds": 5.0,
        }
        async with VendorClient.open(**arguments | changes) as client:
            yield client

    return opened


@pytest.fixture
def aapl():
    return Instrument("AAPL", AssetClass.STOCK, "AAPL")


@pytest.fixture
def btc():
    return Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD")


@pytest.fixture
def canned_answers(monkeypatch):
    """aioresponses, for tests to which one canned answer is enough.

    aiohttp 3.14 requires an argument *stream_writer* of ClientResponse that aioresponses 0.7.9 does not pass
    yet (its issue 289): this passes it. Remove it with the release that does.
    """
    with_writer = partial(ClientResponse, stream_writer=SimpleNamespace(output_size=0))
    monkeypatch.setattr(core, "ClientResponse", with_writer)
    with aioresponses() as canned:
        yield canned
