"""How many bars a transaction should hold on this database: the same bars in parts of several sizes."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg

from benchmarks.report import Finding, Listing, Note, at_least, seconds
from benchmarks.scratch import scratch
from benchmarks.write import COIN, empty, simulated_pages
from lib.bars import Bars
from lib.sessions import SessionTable
from lib.store.answers import Answer, write_answer
from lib.store.database import open_url
from lib.store.sessions import load_sessions
from lib.symbols import ALWAYS_OPEN
from lib.timeframe import MINUTE_MS, Timeframe

SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
VENDOR_PAGE = 50_000
LEAST_OF_BEST = 0.9


async def measure(pages: int, repeats: int, database_url: str | None = None) -> Sequence[Finding]:
    """Write *pages* of 50,000 minutes with derived timeframes in each size, *repeats* times, in turn."""
    bars = Bars.concat(simulated_pages(pages))
    taken: dict[int, list[float]] = {size: [] for size in SIZES}
    async with (
        scratch(database_url) as databases,
        open_url(await databases.database()) as database,
        database.connection() as connection,
    ):
        sessions = await load_sessions(connection, ALWAYS_OPEN)
        for _ in range(repeats):
            for size in SIZES:
                await empty(connection)
                taken[size].append(await _written(connection, sessions, bars, size))
    speed = {size: len(bars) / statistics.median(times) for size, times in taken.items()}
    best = max(speed, key=lambda size: speed[size])
    rows = tuple((f"{size:,}", rate, rate / speed[best]) for size, rate in speed.items())
    return [
        Listing(
            f"{len(bars):,} minutes and their frames", ("bars a transaction", "bars/s", "of the best"), rows
        ),
        at_least("the vendor's page of 50,000, of the best", speed[VENDOR_PAGE] / speed[best], LEAST_OF_BEST),
        Note(_conclusion(best, speed)),
    ]


async def _written(connection: asyncpg.Connection, sessions: SessionTable, bars: Bars, size: int) -> float:
    parts = [bars.take(slice(first, first + size)) for first in range(0, len(bars), size)]

    async def write() -> None:
        for part in parts:
            start, end = int(part.t[0]), int(part.t[-1]) + MINUTE_MS
            answer = Answer(COIN, Timeframe.M1, start, end, part, (), datetime.now(UTC))
            await write_answer(connection, answer, sessions, derive=True)

    return await seconds(write)


def _conclusion(best: int, speed: dict[int, float]) -> str:
    share = speed[VENDOR_PAGE] / speed[best]
    text = f"Best on this database: {best:,} bars a transaction."
    if share >= LEAST_OF_BEST:
        return f"{text} The toolkit writes a page as it came, up to 50,000: leave it so."
    return f"{text} Whole pages reach {share:.0%} of that: look at the disk of PostgreSQL's log first."
