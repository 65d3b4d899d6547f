"""Memory does not grow with the number of bars: the script's own peak, by the system's account."""

from datetime import UTC, datetime

import pytest

from benchmarks.processes import run_python
from lib.store.sessions import refresh_sessions
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.leaks import KEY, with_password

# Small pages: what is under way at one time is little from the beginning, so that growth shows.
PAGE_BARS = 2_000


@pytest.fixture
async def peak_mb(database, database_url):
    """Runs the script for minutes of a coin; its peak memory and the bars it stored."""
    async with database.connection() as connection:
        # Else the library of calendars would be loaded by the first run and not by the second.
        await refresh_sessions(connection, datetime.now(UTC).date())

    async def run(start, end):
        async with Emulator(SimulatedMarket(), EmulatorSettings(page_cap=PAGE_BARS)) as emulator:
            ended = await run_python(
                "scripts/backfill_ohlcv.py",
                *("--symbols", "BTC", "--timeframe", "1m", "--rate-limit", "0", "--json"),
                *("--start", start, "--end", end),
                POLYGON_BASE_URL=emulator.url,
                DATABASE_URL=with_password(database_url),
                POLYGON_API_KEY=KEY,
            )
        return ended.peak_mb, ended.result["summary"]["total_records"]

    return run


async def test_five_times_the_bars_need_no_more_memory(peak_mb):
    small, few = await peak_mb("2023-01-01", "2023-01-31")
    large, many = await peak_mb("2024-01-01", "2024-06-03")

    assert (few, many) == (31 * 1440, 5 * 31 * 1440)
    # Were the bars kept, their columns alone would take 64 bytes each, 11 MB more.
    assert large < small + 10
    assert large < 350


COLUMNS = "symbol, timeframe, timestamp, open, high, low, close, volume"
SERIES = """
    INSERT INTO {table} ({columns}) SELECT 'BTC', '1m', t, 9, 11, 8, 10, 100{more} FROM generate_series(
        '2024-01-01 00:00+00'::timestamptz, '2024-01-01 00:00+00'::timestamptz + interval '1 minute' * {last},
        interval '1 minute') AS t"""


@pytest.fixture
async def export_peak_mb(database, database_url, tmp_path):
    """Runs the export of as many minutes of a coin, features included; its peak memory."""

    async def run(form, minutes):
        async with database.connection() as connection:
            await connection.execute("TRUNCATE market_data, market_data_v2")
            last = minutes - 1
            bars = SERIES.format(
                table="market_data",
                columns=f"{COLUMNS}, source, fetched_at",
                more=", 'polygon', now()",
                last=last,
            )
            rows = SERIES.format(
                table="market_data_v2", columns=f"{COLUMNS}, computed_at", more=", now()", last=last
            )
            for statement in (bars, rows):
                await connection.execute(statement)
        path = tmp_path / "bars"
        options = ("--symbols", "BTC", "--timeframe", "1m", "--format", form, "--features")
        ended = await run_python(
            "scripts/export_bars.py", *options, "--output", str(path), "--json", DATABASE_URL=database_url
        )
        return ended.peak_mb, path.stat().st_size

    return run


@pytest.mark.parametrize("form", ["parquet", "csv"])
async def test_five_times_the_bars_exported_with_features_need_no_more_memory(form, export_peak_mb):
    small, few = await export_peak_mb(form, 100_000)
    large, many = await export_peak_mb(form, 500_000)

    assert many > few * 2
    # Were they kept, bars and features would take some 350 bytes a row, 140 MB more; the pages under way at one
    # time vary by some 35 MB.
    assert large < small + 70
