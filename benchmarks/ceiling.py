"""What bounds a run, each part alone: the vendor's answers, their decoding, their writing."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from benchmarks.report import seconds
from benchmarks.write import decoded
from lib.bars import Bars
from lib.clock import SystemClock
from lib.concurrency import run_bounded
from lib.sessions import SessionTable
from lib.store.answers import Answer
from lib.store.database import open_url
from lib.store.sessions import load_sessions
from lib.store.store import WRITERS, Store
from lib.symbols import ALWAYS_OPEN, NYSE, AssetClass, Instrument
from lib.timeframe import MINUTE_MS, Timeframe
from lib.vendor.emulator.settings import DEFAULT_KEY

_ASKED = re.compile(r"/v2/aggs/ticker/(?P<ticker>[^/]+)/range/1/minute/(?P<start>\d+)/(?P<last>\d+)")
_HEADERS = {"Authorization": f"Bearer {DEFAULT_KEY}", "Accept-Encoding": "gzip"}
_AT_A_TIME = 8  # pages, so that memory is bounded


@dataclass(frozen=True, slots=True)
class Body:
    """The answer to one request for minutes, compressed as it came."""

    path: str
    content: bytes

    @property
    def instrument(self) -> Instrument:
        ticker = self._asked["ticker"]
        if ticker.startswith("X:"):
            return Instrument(ticker[2:-3], AssetClass.CRYPTO, ticker)
        return Instrument(ticker, AssetClass.STOCK, ticker)

    def answer(self, bars: Bars) -> Answer:
        """What is stored of it."""
        last = int(bars.t[-1]) + MINUTE_MS if len(bars) else 0
        end = max(last, int(self._asked["start"]) + MINUTE_MS)
        return Answer(
            self.instrument, Timeframe.M1, int(self._asked["start"]), end, bars, (), datetime.now(UTC)
        )

    @property
    def _asked(self) -> re.Match[str]:
        asked = _ASKED.match(self.path)
        assert asked
        return asked


@dataclass(slots=True)
class Parts:
    """Seconds of decoding and of writing the same bars, one after the other."""

    bars: int = 0
    decode_seconds: float = 0.0
    write_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        return self.decode_seconds + self.write_seconds


def minute_paths(log: Iterable[dict[str, str]]) -> list[str]:
    """Of an emulator's log, the requests for minutes, each once."""
    return list(dict.fromkeys(entry["path"] for entry in log if _ASKED.match(entry["path"])))


async def fetch(
    vendor_url: str, paths: Sequence[str], in_flight: int = _AT_A_TIME
) -> tuple[list[Body], float]:
    """The bodies, and the seconds in which a client that does nothing with them had them all."""
    async with aiohttp.ClientSession(headers=_HEADERS, auto_decompress=False) as session:

        async def one(path: str) -> Body:
            async with session.get(URL(f"{vendor_url}{path}", encoded=True)) as response:
                return Body(path, await response.read())

        bodies: list[Body] = []

        async def all_of_them() -> None:
            bodies.extend(await run_bounded(paths, one, limit=in_flight))

        taken = await seconds(all_of_them)
    return bodies, taken


async def alone(database_url: str, bodies: Sequence[Body], *, derive: bool) -> Parts:
    """Decode and write *bodies* into an empty database, neither waiting for anything else."""
    async with open_url(database_url) as database:
        async with database.connection() as connection:
            sessions = {name: await load_sessions(connection, name) for name in (NYSE, ALWAYS_OPEN)}
        store, parts = Store(database, SystemClock()), Parts()
        for first in range(0, len(bodies), _AT_A_TIME):
            began = time.perf_counter()
            answers = [
                body.answer(decoded(body.content, "gzip")) for body in bodies[first : first + _AT_A_TIME]
            ]
            parts.decode_seconds += time.perf_counter() - began
            began = time.perf_counter()
            await _write(store, answers, sessions, derive)
            parts.write_seconds += time.perf_counter() - began
            parts.bars += sum(len(answer.bars) for answer in answers)
    return parts


async def _write(
    store: Store, answers: Sequence[Answer], sessions: dict[str, SessionTable], derive: bool
) -> None:
    async def one(answer: Answer) -> None:
        await store.write_answer(answer, sessions[answer.instrument.calendar], derive=derive)

    await run_bounded(answers, one, limit=2 * WRITERS)
