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
