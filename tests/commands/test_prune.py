"""``backfill_status.py prune`` as it is typed: said first, done when asked; and what a later run says."""

import pytest

from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

PRUNE = ("scripts/backfill_status.py", "prune")
BARS = ("--before", "2025-01-15", "--timeframes", "1d", "--symbols", "AAPL")
FETCH = ("scripts/backfill_ohlcv.py", "--symbols", "AAPL", "--timeframes", "1d", "--end", "2025-01-31")


@pytest.fixture
async def vendor():
    async with Emulator(SimulatedMarket()) as emulator:
        yield emulator


async def test_it_is_said_before_it_is_done(command, vendor, database):
    await command(*FETCH, "--start", "2025-01-06", POLYGON_BASE_URL=vendor.url)

    said = await command(*PRUNE, *BARS, "--json")
    again = await command(*PRUNE, *BARS, "--json", "--apply")
    after = await command(*PRUNE, *BARS, "--json")

    assert [ended.status for ended in (said, again, after)] == [0, 0, 0]
    assert said.result["bars"] == [{"symbol": "AAPL", "timeframe": "1d", "before": "2025-01-15", "bars": 6}]
    assert (said.result["applied"], again.result["applied"]) == (False, True)
    assert again.result["bars"] == said.result["bars"]
    assert after.result["bars"][0]["bars"] == 0
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM market_data WHERE timeframe = '1d'") == 12


async def test_a_run_over_dropped_dates_says_so_and_asks_nothing(command, vendor):
    await command(*FETCH, "--start", "2025-01-06", POLYGON_BASE_URL=vendor.url)
    await command(*PRUNE, *BARS, "--apply")
    sent = vendor.counts.total

    ended = await command(*FETCH, "--start", "2024-12-02", POLYGON_BASE_URL=vendor.url)

    assert (ended.status, vendor.counts.total) == (0, sent)
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("pruned ")]
    lifting = line.partition("python scripts/backfill_status.py ")[2].split()
    assert "1 series before 2025-01-15" in line

    assert (await command("scripts/backfill_status.py", *lifting)).status == 0
    ended = await command(*FETCH, "--start", "2025-01-06", "--json", POLYGON_BASE_URL=vendor.url)
    assert ended.result["symbols_processed"]["AAPL"]["1d"]["inserted"] == 6


@pytest.mark.parametrize(
    "typed",
    [
        ("--before", "2025-01-15"),
        ("--timeframes", "1m"),
        ("--lift",),
        ("--lift", "--before", "2025-01-15", "--timeframes", "1m"),
        ("--before", "2025-01-15", "--timeframes", "1m", "--symbols", "NONE"),
    ],
)
async def test_what_is_not_clear_is_not_done(command, typed):
    assert (await command(*PRUNE, *typed, "--apply")).status == 2
