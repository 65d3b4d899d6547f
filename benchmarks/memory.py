"""Peak memory of the core fetch: of a run of some ten million bars against one of a tenth of it."""

from collections.abc import Sequence
from datetime import date, timedelta

from benchmarks.processes import Finished, emulator_process, run_python
from benchmarks.report import Finding, Listing, at_most
from benchmarks.scratch import Scratch, scratch

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE")  # every minute of theirs has a bar
LAST = date(2024, 12, 31)
MOST_MB, MOST_GROWTH = 350.0, 1.15


async def measure(bars: int = 10_000_000, database_url: str | None = None) -> Sequence[Finding]:
    """Runs of a tenth of *bars* and of all of them, each with derived timeframes, into a new database."""
    async with scratch(database_url) as databases, emulator_process(exponents=False) as vendor:
        small, few = await _run(databases, vendor.url, bars // 10)
        large, many = await _run(databases, vendor.url, bars)
    return [
        Listing(
            "the process of scripts/backfill_ohlcv.py alone",
            ("bars of 1m", "peak MB", "seconds", "CPU seconds", "bars/s"),
            (_row(few, small), _row(many, large)),
        ),
        at_most(f"peak of a run of {many / 1e6:.1f} M bars", large.peak_mb, MOST_MB, "MB"),
        at_most(f"against one of {few / 1e6:.1f} M bars", large.peak_mb / small.peak_mb, MOST_GROWTH),
    ]


def _row(bars: int, ended: Finished) -> tuple[str, float, float, float, float]:
    return f"{bars:,}", ended.peak_mb, ended.seconds, ended.cpu_seconds, bars / ended.seconds


async def _run(databases: Scratch, vendor_url: str, bars: int) -> tuple[Finished, int]:
    """The process, and how many minute bars it stored."""
    days = round(bars / len(COINS) / (24 * 60))
    database_url = await databases.database()
    ended = await run_python(
        "scripts/backfill_ohlcv.py",
        *("--symbols", ",".join(COINS), "--timeframe", "1m", "--rate-limit", "0", "--json"),
        *("--start", str(LAST - timedelta(days=days - 1)), "--end", str(LAST)),
        POLYGON_BASE_URL=vendor_url,
        DATABASE_URL=database_url,
    )
    await databases.drop(database_url)
    return ended, ended.result["summary"]["total_records"]
