"""Features, in one run: computing against pandas, reading and the whole job against COPY, a night against all."""

import asyncio
import statistics
from collections.abc import Sequence
from functools import partial

import asyncpg

from benchmarks.detect import scratch_toolkit
from benchmarks.feature_peers import agreement, by_classic, by_pandas, frame_of
from benchmarks.nightly import carry_out, nights
from benchmarks.report import Figure, Finding, at_least, at_most, median_ratio, seconds, shown
from benchmarks.write import COIN, PAGE, simulated_pages
from lib.bars import Bars
from lib.indicators import LOOKBACK_BARS, compute
from lib.jobs.feature_pages import PAGE_BARS
from lib.store.bars import VENDOR, Series, write_bars
from lib.store.feature_rows import Page, read_rows, write_rows
from lib.store.features import EVER
from lib.timeframe import Timeframe
from lib.wiring import FeatureTools, feature_tools

PAGES = 10
YEAR = 525_600.0  # bars of a coin
SERIES = Series(COIN.symbol, Timeframe.M1)
WARMED_UP = 1_000  # bars after which averages that begin in another way agree
RAW = """
    SELECT timestamp, open, high, low, close, volume, vwap, trades FROM market_data
    WHERE symbol = $1 AND timeframe = $2 ORDER BY timestamp
"""


async def measure(
    names: Sequence[str] | None = None, years: int = 4, pairs: int = 5, database_url: str | None = None
) -> list[Finding]:
    """All figures; the last ones from *years* of these symbols (None: the tracked ones)."""
    pages = simulated_pages(PAGES)
    found: list[Finding] = [*await _computing(Bars.concat(pages), pairs)]
    async with scratch_toolkit(database_url) as (toolkit, database), database.connection() as connection:
        tools = await feature_tools(toolkit.settings, toolkit.clock, database)
        await _fill(connection, tools, pages)
        found += await _reading(connection, tools, pages, pairs)
        found += await _whole_job(connection, tools, pairs)
    return [*found, *await nights(names, years, database_url)]


async def _computing(bars: Bars, pairs: int) -> list[Figure]:
    frame = frame_of(bars)
    theirs = by_pandas(frame, YEAR)
    ours = partial(compute, bars, YEAR, names=list(theirs))
    equal = agreement(ours(), theirs, WARMED_UP)
    works = (ours, partial(by_pandas, frame, YEAR), partial(by_classic, frame))
    taken = [[await seconds(partial(asyncio.to_thread, work)) for work in works] for _ in range(pairs + 1)]
    own, pandas, classic = zip(*taken[1:], strict=True)  # the first warms up
    return [
        # The worst is the money flow: a typical price that equals the one before but for its last bit counts.
        at_least("values that pandas finds too, of the worst column", min(equal.values()), 0.99),
        shown("20 indicators by us", statistics.median(own) * 1000, "ms"),
        shown("by pandas with rolling and ewm", statistics.median(pandas) * 1000, "ms"),
        shown("by pandas-ta-classic, those it has", statistics.median(classic) * 1000, "ms"),
        at_most("us / pandas (median of pairs)", median_ratio([*zip(own, pandas, strict=True)]), 0.25),
        at_most("us / pandas-ta-classic", median_ratio([*zip(own, classic, strict=True)]), 0.10),
    ]


async def _fill(connection: asyncpg.Connection, tools: FeatureTools, pages: Sequence[Bars]) -> None:
    now = tools.clock.now()
    for bars in pages:
        await write_bars(connection, SERIES, bars, Bars.empty(), source=VENDOR, fetched_at=now)
    await connection.execute("VACUUM ANALYZE market_data")


async def _reading(
    connection: asyncpg.Connection, tools: FeatureTools, pages: Sequence[Bars], pairs: int
) -> list[Figure]:
    starts = [int(page.t[0]) for page in pages]
    taken = [
        (await seconds(lambda: _read(tools, starts)), await seconds(lambda: _copy_out(connection)))
        for _ in range(pairs + 1)
    ]
    return [
        shown(
            "raw COPY of the bars", PAGE * PAGES / statistics.median(raw for _, raw in taken[1:]), "rows/s"
        ),
        at_most("reading the bars into columns / raw COPY", median_ratio(taken[1:]), 1.3),
    ]


async def _read(tools: FeatureTools, starts: Sequence[int]) -> None:
    """Page by page as the job does, with what each looks back to."""
    for start in starts:
        async with tools.store.reading(SERIES, tools.clock.now()) as features:
            await features.bars((start, EVER[1]), lookback=LOOKBACK_BARS, limit=PAGE_BARS)


async def _copy_out(connection: asyncpg.Connection) -> None:
    async def sink(data: bytes) -> None: ...

    await connection.copy_from_query(RAW, SERIES.symbol, SERIES.timeframe, output=sink, format="binary")


async def _whole_job(connection: asyncpg.Connection, tools: FeatureTools, pairs: int) -> list[Figure]:
    job = partial(carry_out, tools, [SERIES.symbol], (SERIES.timeframe,))
    await job()
    pages = await _computed(connection)
    taken = []
    for _ in range(pairs + 1):
        await _empty(connection)
        whole = await seconds(job)
        await _empty(connection)
        taken.append((whole, await seconds(lambda: _write(connection, tools, pages))))
    rows = sum(map(len, pages))
    return [
        shown("writing the rows alone", rows / statistics.median(alone for _, alone in taken[1:]), "rows/s"),
        shown("read, computed and written", rows / statistics.median(job for job, _ in taken[1:]), "rows/s"),
        at_most("the whole job / writing alone (median of pairs)", median_ratio(taken[1:]), 1.25),
    ]


async def _computed(connection: asyncpg.Connection) -> list[Page]:
    """The rows that the job has written, as it has cut them."""
    rows = await read_rows(connection, SERIES, EVER)
    return [rows.take(slice(start, start + PAGE_BARS)) for start in range(0, len(rows), PAGE_BARS)]


async def _empty(connection: asyncpg.Connection) -> None:
    await connection.execute("TRUNCATE market_data_v2, feature_state")
    await connection.execute("CHECKPOINT")


async def _write(connection: asyncpg.Connection, tools: FeatureTools, pages: Sequence[Page]) -> None:
    for page in pages:
        async with connection.transaction():
            await write_rows(connection, SERIES, page, Page.empty(), tools.clock.now())
