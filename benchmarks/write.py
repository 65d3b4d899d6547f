"""The write path: against a plain COPY, against itself on an unchanged re-write, against executemany."""

import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import numpy as np

from benchmarks.report import Figure, at_least, at_most, median_ratio, seconds, shown
from benchmarks.scratch import scratch
from lib.bars import Bars
from lib.sessions import SessionTable
from lib.settings import Secret
from lib.store.answers import Answer, write_answer
from lib.store.bars import VENDOR, Series, write_bars
from lib.store.database import Database, open_url
from lib.store.sessions import load_sessions
from lib.symbols import ALWAYS_OPEN, AssetClass, Instrument
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.vendor.answers import Answer as HttpAnswer
from lib.vendor.client import MAX_BODY_BYTES
from lib.vendor.decode import BarsAnswer, decode, to_bars
from lib.vendor.redact import Redactor

PAGE = 50_000
COIN = Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD")
FIRST_MS = 1_600_000_000_000 // DAY_MS * DAY_MS
UPSERT = """
    INSERT INTO market_data (timestamp, fetched_at, open, high, low, close, volume, vwap, trades, symbol,
                             timeframe, source)
    VALUES (to_timestamp($1::float8), now(), $2, $3, $4, $5, $6, $7, $8, 'BTC', '1m', 'polygon')
    ON CONFLICT (symbol, timeframe, timestamp) DO UPDATE
    SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, vwap = excluded.vwap, trades = excluded.trades, fetched_at = now()
"""


def simulated_pages(count: int) -> list[Bars]:
    """*count* pages of a coin's minutes, one after the other."""
    pages = []
    for number in range(count):
        rng = np.random.default_rng(number)
        close = np.round(20_000 + np.cumsum(rng.normal(0, 4, PAGE)), 2)
        open_ = np.round(close + rng.normal(0, 2, PAGE), 2)
        pages.append(
            Bars(
                FIRST_MS + (number * PAGE + np.arange(PAGE)) * MINUTE_MS,
                open_,
                np.maximum(open_, close) + 1,
                np.minimum(open_, close) - 1,
                close,
                np.round(rng.exponential(3, PAGE), 8),
                np.round((open_ + close) / 2, 4),
                rng.integers(1, 400, PAGE),
            )
        )
    return pages


def body_of(bars: Bars) -> bytes:
    """A page as the vendor writes it."""
    columns = (bars.volume, bars.vwap, bars.open, bars.close, bars.high, bars.low, bars.t, bars.trades)
    results = [
        dict(zip(("v", "vw", "o", "c", "h", "l", "t", "n"), row, strict=True))
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]
    head = {"ticker": "X:BTCUSD", "queryCount": len(bars), "resultsCount": len(bars), "adjusted": False}
    return json.dumps({**head, "results": results, "status": "OK", "count": len(bars)}).encode()


@asynccontextmanager
async def scratch_database() -> AsyncIterator[tuple[Database, SessionTable]]:
    """An embedded database of its own, as a user gets it, and the calendar of coins."""
    async with scratch() as databases, open_url(await databases.database()) as database:
        async with database.connection() as connection:
            sessions = await load_sessions(connection, ALWAYS_OPEN)
        yield database, sessions


async def empty(connection: asyncpg.Connection) -> None:
    """Empty what a write fills, so that every write finds the same."""
    await connection.execute("TRUNCATE market_data, fetch_log, session_audit")
    await connection.execute("CHECKPOINT")


class _Writer:
    def __init__(self, connection: asyncpg.Connection, sessions: SessionTable) -> None:
        self._connection, self._sessions = connection, sessions

    async def ours(self, pages: Sequence[Bars]) -> None:
        for bars in pages:
            await self.page(bars)

    async def page(self, bars: Bars) -> None:
        end = int(bars.t[-1]) + MINUTE_MS
        answer = Answer(COIN, Timeframe.M1, int(bars.t[0]), end, bars, (), datetime.now(UTC))
        await write_answer(self._connection, answer, self._sessions, derive=False)

    async def plain_copy(self, pages: Sequence[Bars]) -> None:
        """The same rows by the same driver and encoder: nothing is looked up, nothing recorded."""
        series, now = Series(COIN.symbol, Timeframe.M1), datetime.now(UTC)
        for bars in pages:
            await write_bars(self._connection, series, bars, Bars.empty(), source=VENDOR, fetched_at=now)

    async def bodies(self, bodies: Sequence[bytes]) -> None:
        """From JSON: the next page is decoded while one is being written."""
        coming = asyncio.create_task(asyncio.to_thread(decoded, bodies[0]))
        for following in [*bodies[1:], None]:
            bars = await coming
            if following is not None:
                coming = asyncio.create_task(asyncio.to_thread(decoded, following))
            await self.page(bars)

    async def executemany(self, bodies: Sequence[bytes]) -> None:
        """What most scripts do: json, then one upsert a bar."""
        for body in bodies:
            rows = [
                (b["t"] / 1000, b["o"], b["h"], b["l"], b["c"], b["v"], b["vw"], b["n"])
                for b in json.loads(body)["results"]
            ]
            async with self._connection.transaction():
                await self._connection.executemany(UPSERT, rows)


def http_answer(body: bytes, encoding: str = "") -> HttpAnswer:
    """*body* as if it had just come off the wire. *encoding*: gzip, or none."""
    return HttpAnswer(
        subject="benchmark",
        status=200,
        body=body,
        encoding=encoding,
        sent_at=None,
        retry_after_seconds=None,
        redactor=Redactor(Secret("")),
        longest_body=MAX_BODY_BYTES,
    )


def decoded(body: bytes, encoding: str = "") -> Bars:
    """The bars of a body as the client reads them."""
    answer = http_answer(body, encoding)
    envelope = decode(answer, BarsAnswer)
    assert isinstance(envelope, BarsAnswer)
    return to_bars(answer, envelope.results or [])


async def measure(pages_count: int = 10, pairs: int = 5) -> list[Figure]:
    """All figures of the write path."""
    pages = simulated_pages(pages_count)
    async with scratch_database() as (database, sessions), database.connection() as connection:
        writer = _Writer(connection, sessions)
        return [
            *await _against_copy(connection, writer, pages, pairs),
            *await _rewrite(connection, writer, pages, pairs),
            *await _from_json(connection, writer, pages[: min(4, pages_count)], pairs),
        ]


async def _against_copy(
    connection: asyncpg.Connection, writer: _Writer, pages: Sequence[Bars], pairs: int
) -> list[Figure]:
    taken = []
    for _ in range(pairs + 1):  # the first warms up
        await empty(connection)
        plain = await seconds(lambda: writer.plain_copy(pages))
        await empty(connection)
        taken.append((plain, await seconds(lambda: writer.ours(pages))))
    rows = PAGE * len(pages)
    return [
        shown("plain binary COPY", rows / statistics.median(t[0] for t in taken[1:]), "rows/s"),
        shown("write path, empty table", rows / statistics.median(t[1] for t in taken[1:]), "rows/s"),
        at_least("write path / plain COPY (median of pairs)", median_ratio(taken[1:]), 0.9),
    ]


async def _rewrite(
    connection: asyncpg.Connection, writer: _Writer, pages: Sequence[Bars], pairs: int
) -> list[Figure]:
    taken, wal = [], 0
    for _ in range(pairs):
        await empty(connection)
        first = await seconds(lambda: writer.ours(pages))
        again = await seconds(lambda: writer.ours(pages))
        await connection.execute("CHECKPOINT")
        before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
        second = await seconds(lambda: writer.ours(pages))
        taken.append((first, again, second))
        wal = await connection.fetchval(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)", before
        )
    again_ratio = median_ratio([(first, again) for first, again, _ in taken])
    second_ratio = median_ratio([(first, second) for first, _, second in taken])
    return [
        at_least("unchanged re-write, times as fast as the first (median)", again_ratio, 2.0),
        shown("the second time", second_ratio),
        at_most("WAL of the second unchanged re-write", float(wal) / (PAGE * len(pages)), 1.0, "bytes/row"),
    ]


async def _from_json(
    connection: asyncpg.Connection, writer: _Writer, pages: Sequence[Bars], pairs: int
) -> list[Figure]:
    bodies = [body_of(page) for page in pages]
    taken = []
    for _ in range(pairs):
        await empty(connection)
        many = await seconds(lambda: writer.executemany(bodies))
        await empty(connection)
        taken.append((many, await seconds(lambda: writer.bodies(bodies))))
    return [
        shown("json + executemany", PAGE * len(pages) / statistics.median(t[0] for t in taken), "rows/s"),
        shown(
            "JSON body to committed rows",
            PAGE * len(pages) / statistics.median(t[1] for t in taken),
            "rows/s",
        ),
        at_least("JSON to rows, times as fast as json + executemany", median_ratio(taken), 3.5),
    ]
