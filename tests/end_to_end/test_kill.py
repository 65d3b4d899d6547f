"""A run killed at any moment is continued by the next one, and nothing shows that it was."""

import asyncio
import random
from contextlib import suppress

from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

JOB = ("--symbols", "BTC,KO", "--start", "2025-02-24", "--end", "2025-03-14", "--rate-limit", "0")


async def test_ten_kills_leave_what_an_undisturbed_run_leaves(command, workbench_of, postgres):
    moments = random.Random(7)
    settings = EmulatorSettings(page_cap=300, latency_seconds=0.02)
    async with Emulator(SimulatedMarket(), settings) as emulator:
        bench, progress = workbench_of(emulator), []
        for _ in range(10):
            process = await command.start("scripts/backfill_ohlcv.py", *JOB, POLYGON_BASE_URL=emulator.url)
            last_page = emulator.counts.pages + moments.randint(6, 12)
            while process.returncode is None and emulator.counts.pages < last_page:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.sleep(moments.random() * 0.04)
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
            progress.append((await bench.fetch("SELECT count(*) FROM market_data"))[0][0])
        assert len(set(progress)) >= 8, "the kills did not fall into the job"
        finished = await command("scripts/backfill_ohlcv.py", *JOB, POLYGON_BASE_URL=emulator.url)
        assert finished.status == 0, finished.stderr
        killed = await bench.tables()

        with postgres.migrated() as fresh:
            again = await command(
                "scripts/backfill_ohlcv.py", *JOB, POLYGON_BASE_URL=emulator.url, DATABASE_URL=fresh
            )
            assert again.status == 0, again.stderr
            bench.database_url = fresh
            undisturbed = await bench.tables()

    assert len(killed[0]) > 30_000
    assert killed == undisturbed
