"""Reading adjusted bars: against the raw ones, of a symbol with three splits and of one without."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from benchmarks.report import Figure, at_most, median_ratio, seconds, shown
from benchmarks.write import PAGE, scratch_database, simulated_pages
from lib.actions import Split
from lib.adjustment import split_eras
from lib.bars import Bars
from lib.store.adjusted import read_adjusted_bars, write_eras
from lib.store.bars import VENDOR, Series, read_bars, write_bars
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, local_date

SPLIT, WHOLE = Series("SPLIT", Timeframe.M1), Series("WHOLE", Timeframe.M1)
OTHERS = 500  # symbols with splits of their own in the table of eras
EVER = (0, 4_102_444_800_000)


def three_splits(symbol: str, pages: Sequence[Bars]) -> list[Split]:
    """Splits on the days at a quarter, a half and three quarters of the way."""
    stamps = [int(pages[len(pages) * part // 4].t[0]) for part in (1, 2, 3)]
    days = [local_date(stamp, NEW_YORK) for stamp in stamps]
    return [
        Split(f"{symbol} {day}", symbol, day, Decimal(1), Decimal(ratio))
        for day, ratio in zip(days, (2, 7, 4), strict=True)
    ]


async def measure(pages_count: int = 10, pairs: int = 9) -> list[Figure]:
    """All figures of reading adjusted bars; 500,000 minutes of each symbol with ten pages."""
    pages = simulated_pages(pages_count)
    async with scratch_database() as (database, _), database.connection() as connection:
        await _fill(connection, pages)
        raw, split = await _against_raw(connection, SPLIT, pairs)
        _, whole = await _against_raw(connection, WHOLE, pairs)
    return [
        shown("raw bars read", PAGE * pages_count / raw, "rows/s"),
        at_most("adjusted / raw, three splits (median of pairs)", split, 2.2),
        at_most("adjusted / raw, no split (median of pairs)", whole, 1.4),
    ]


async def _fill(connection: asyncpg.Connection, pages: Sequence[Bars]) -> None:
    await connection.execute("TRUNCATE market_data")
    now = datetime.now(UTC)
    for series in (SPLIT, WHOLE):
        for bars in pages:
            await write_bars(connection, series, bars, Bars.empty(), source=VENDOR, fetched_at=now)
    for symbol in (SPLIT.symbol, *(f"S{number}" for number in range(OTHERS))):
        await write_eras(connection, symbol, split_eras(three_splits(symbol, pages)))
    await connection.execute("VACUUM ANALYZE market_data, split_eras")


async def _against_raw(connection: asyncpg.Connection, series: Series, pairs: int) -> tuple[float, float]:
    """Seconds of reading the raw bars, and how many times as long the adjusted ones take."""
    now = datetime.now(UTC)
    taken = [
        (
            await seconds(lambda: read_adjusted_bars(connection, series, *EVER, now)),
            await seconds(lambda: read_bars(connection, series, *EVER)),
        )
        for _ in range(pairs + 1)  # the first warms up
    ]
    return statistics.median(raw for _, raw in taken[1:]), median_ratio(taken[1:])
