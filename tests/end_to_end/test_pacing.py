"""The vendor's limit is kept, and used up: the whole toolkit with a minute that lasts three seconds."""

import pytest

from lib.clock import ScaledClock
from lib.concurrency import run_bounded
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

LIMIT, SPEED = 30, 20.0
JOB = {"symbols": "BTC,ETH,SOL", "timeframes": "1m", "start": "2024-03-04", "end": "2024-03-04"}
SMALL_PAGES = 60  # a coin's day is 24 of them


async def test_of_a_limit_nothing_is_exceeded_and_nothing_is_left_unused(workbench_of):
    clock = ScaledClock(speed=SPEED)
    settings = EmulatorSettings(page_cap=SMALL_PAGES, rate_limit=LIMIT)
    async with Emulator(SimulatedMarket(), settings, clock) as emulator:
        report = await workbench_of(emulator, clock).run(**JOB, rate_limit=LIMIT)

    assert report.exit_status == 0
    counts = emulator.counts
    assert (counts.total, counts.rate_limited) == (72, 0)
    # 72 requests are two whole windows and the first twelve of the third.
    sent = [(entry.time - counts.log[0].time).total_seconds() for entry in counts.log]
    assert 60 <= sent[LIMIT] <= 60 * 1.05
    assert 120 <= sent[2 * LIMIT] <= 120 * 1.05
    assert counts.busiest_window == LIMIT


@pytest.mark.parametrize(
    ("terms", "most"),
    [({}, 3), ({"at_once": 2}, 2), ({"rate_limit": 0}, 8), ({"rate_limit": 0, "at_once": 9}, 9)],
)
async def test_as_many_requests_are_on_their_way_as_symbols_and_more_where_there_is_no_limit(
    workbench_of, terms, most
):
    async with Emulator(SimulatedMarket(), EmulatorSettings(latency_seconds=0.3)) as emulator:
        bench = workbench_of(emulator)
        async with bench.toolkit(**terms) as toolkit:
            await run_bounded(range(20), lambda _: toolkit.vendor.ticker_details("KO"), limit=20)

    assert emulator.counts.most_in_flight == most


async def test_a_vendor_that_refuses_one_in_five_loses_nothing_and_every_refusal_is_counted(workbench_of):
    clock = ScaledClock(speed=600.0)
    refusal = {"kind": "rate_limited", "every": 5}
    settings = EmulatorSettings(page_cap=SMALL_PAGES).changed({"faults": [refusal]})
    async with Emulator(SimulatedMarket(), settings, clock) as emulator:
        bench = workbench_of(emulator, clock)
        report = await bench.run(**JOB, rate_limit=150)

    assert report.exit_status == 0
    assert emulator.counts.rate_limited == bench.audit["requests"]["rate_limited"] == 17
    [[bars]] = await bench.fetch("SELECT count(*) FROM market_data WHERE timeframe = '1m'")
    assert bars == 3 * 24 * 60


@pytest.mark.parametrize(("shared", "waits"), [(True, True), (False, False)])
async def test_the_next_run_with_the_key_finds_what_the_last_one_used(workbench_of, shared, waits):
    """But for the demo, whose vendor is its own."""
    clock = ScaledClock(speed=SPEED)
    async with Emulator(SimulatedMarket(), clock=clock) as emulator:
        bench = workbench_of(emulator, clock)
        async with bench.toolkit(rate_limit=5, shared=shared) as first:
            for _ in range(5):
                await first.vendor.ticker_details("KO")
        asked_at = clock.monotonic()
        async with bench.toolkit(rate_limit=5, shared=shared) as second:
            await second.vendor.ticker_details("KO")

    assert (clock.monotonic() - asked_at > 30) == waits
    assert emulator.counts.busiest_window == (5 if shared else 6)
