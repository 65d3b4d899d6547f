"""The database restarted, cut off, deaf in mid-run: the run goes on, and nothing is lost or twice."""

import asyncio
import signal
from datetime import UTC, datetime

import pytest

from lib.clock import ScaledClock
from lib.outcome import RunStatus
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.end_to_end.conftest import Workbench
from tests.faults.server import proxied

NOW = datetime(2025, 3, 20, 12, tzinfo=UTC)
JOB = ("BTC,KO", "all", "2025-02-24", "2025-03-07")


@pytest.fixture
async def vendor():
    async with Emulator(SimulatedMarket(), EmulatorSettings(page_cap=300, latency_seconds=0.01)) as emulator:
        yield emulator


@pytest.fixture
async def undisturbed(vendor, database_url):
    """The tables of a run that nothing disturbed."""
    bench = Workbench(database_url, vendor, ScaledClock(NOW, speed=60))
    report = await bench.run(*JOB, gap_retries=2)
    assert report.status is RunStatus.COMPLETE
    vendor.counts.pages = 0
    return await bench.tables()


async def test_three_restarts_during_a_run(mortal, vendor, undisturbed):
    bench = Workbench(mortal.url, vendor, ScaledClock(NOW, speed=60))
    running = asyncio.ensure_future(bench.run(*JOB, gap_retries=2))
    for number, how in enumerate((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), 1):
        while vendor.counts.pages < number * 20 and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert not running.done()
        await mortal.restart(how)
    report = await running

    assert (report.status, report.exit_status) == (RunStatus.COMPLETE, 0)
    assert await bench.tables() == undisturbed
    runs = await bench.fetch("SELECT status FROM backfill_runs")
    assert [row["status"] for row in runs] == ["complete"]


async def test_every_third_answer_to_a_commit_is_lost(postgres, vendor, undisturbed):
    """What was committed already is done again, and nothing of it is left to write."""
    with postgres.migrated() as fresh:
        async with proxied(fresh) as (proxy, url):
            bench = Workbench(url, vendor, ScaledClock(NOW, speed=60))
            running = asyncio.ensure_future(bench.run(*JOB, gap_retries=2))
            seen = 0
            while not running.done():
                if vendor.counts.pages >= seen + 3:
                    seen = vendor.counts.pages
                    proxy.swallow_commit = True
                await asyncio.sleep(0.002)
            report = await running
        bench.database_url = fresh
        assert proxy.swallowed >= 8
        assert (report.status, report.exit_status) == (RunStatus.COMPLETE, 0)
        assert await bench.tables() == undisturbed
        results = await bench.fetch("SELECT run_id, symbol, timeframe FROM run_results")
        assert len(results) == 16


async def test_a_slow_line_that_is_cut_again_and_again(postgres, vendor, undisturbed):
    with postgres.migrated() as fresh:
        async with proxied(fresh) as (proxy, url):
            proxy.delay_seconds, proxy.bytes_per_second = 0.0005, 20_000_000
            bench = Workbench(url, vendor, ScaledClock(NOW, speed=60))
            running = asyncio.ensure_future(bench.run(*JOB, gap_retries=2))
            for pages in range(8, 60, 8):
                while vendor.counts.pages < pages and not running.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                proxy.cut()
            report = await running
        bench.database_url = fresh
        assert proxy.broken >= 6
        assert report.exit_status == 0
        assert await bench.tables() == undisturbed


MINUTES = """
    INSERT INTO market_data (symbol, timeframe, timestamp, open, high, low, close, volume, source, fetched_at)
    SELECT 'KO', '1m', '2020-01-02'::timestamptz + n * interval '1 minute', 10, 11, 9, 10 + n % 2, n, 'test', now()
    FROM generate_series(0, $1::int - 1) AS n"""
BLOCKED = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'market_data_v2'::regclass"


async def test_features_are_compared_anew_after_a_cut(command, database, through_proxy):
    proxy, url = through_proxy
    job = ("backfill_features.py", "--symbols", "KO", "--timeframes", "1m", "--output", "audit.json")
    async with database.connection() as connection, database.connection() as other:
        await connection.execute(MINUTES, 600)
        assert (await command(*job)).status == 0
        async with connection.transaction():
            await connection.execute("LOCK market_data_v2")
            process = await command.start(*job, "--verify", "--json", DATABASE_URL=url)
            while not await other.fetch(BLOCKED):
                assert process.returncode is None
            proxy.cut()
        finished = await command.end(process)

    assert finished.status == 0, finished.stderr
    assert "is back after" in finished.stderr
    summary = finished.result["summary"]
    assert (summary["verified"], summary["differing"], summary["bars"]) == (1, 0, 600)


async def test_an_export_that_is_cut_ends_with_10(command, database, through_proxy):
    """In mid-page: it cannot go on before what it wrote is read."""
    proxy, url = through_proxy
    async with database.connection() as connection:
        await connection.execute(MINUTES, 120_000)
    export = ("scripts/export_bars.py", "--symbols", "KO", "--timeframe", "1m", "--format", "csv")
    process = await command.start(*export, "--output", "-", DATABASE_URL=url)
    head = await process.stdout.readline()
    proxy.cut()
    finished = await command.end(process)

    assert head.startswith(b"symbol,timeframe,timestamp")
    assert finished.status == 10, finished.stderr
    assert "error: no connection to the database" in finished.stderr
    assert 0 < finished.stdout.count("\n") < 120_000
