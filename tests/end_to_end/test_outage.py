"""The vendor is down in the middle of a run: an hour of its clock lasts seconds here."""

from datetime import timedelta
from itertools import pairwise

import pytest

from lib.clock import ScaledClock
from lib.errors import VendorDown
from lib.vendor.emulator.counts import Counts
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

SPEED = 120.0
JOB = {"symbols": "BTC,ETH,SOL", "timeframes": "1m,1d", "start": "2024-03-04", "end": "2024-03-06"}
SMALL_PAGES = EmulatorSettings(page_cap=60)  # a coin's day is 24 of them
HALF_AN_HOUR = timedelta(minutes=30)


def outage(clock, after, lasting, kind="error_html"):
    """The fault that begins *after* from now."""
    begins = clock.now() + after
    return {"kind": kind, "status": 503, "since": begins.isoformat(), "until": (begins + lasting).isoformat()}


async def opened(bench):
    """The workbench once the calendars are there: they take seconds of the machine's time."""
    await bench.run("BTC", "1d", "2024-03-01", "2024-03-01", shared=False)
    bench.emulator.counts = Counts()
    return bench


@pytest.mark.parametrize("kind", ["error_html", "reset", "html_under_200"])
async def test_half_an_hour_without_the_vendor_costs_a_probe_in_thirty_seconds_and_nothing_else(
    workbench_of, kind
):
    clock = ScaledClock(speed=SPEED)
    async with Emulator(SimulatedMarket(), SMALL_PAGES, clock) as emulator:
        bench = await opened(workbench_of(emulator, clock))
        fault = outage(clock, timedelta(minutes=2), HALF_AN_HOUR, kind)
        emulator.change(faults=[fault])
        report = await bench.run(**JOB, rate_limit=60, shared=False)

    assert (report.exit_status, report.status) == (0, "complete")
    times = [entry.time.isoformat() for entry in emulator.counts.log]
    assert times[0] < fault["since"] and fault["until"] < times[-1]
    down = [e.time for e in emulator.counts.log if fault["since"] <= e.time.isoformat() < fault["until"]]
    # The breaker opens when the fifth failure and the witness's have come; from then on it is probes.
    gaps = [(later - at).total_seconds() for at, later in pairwise(down)]
    probes = [gap for gap in gaps if gap > 15]
    assert min(probes) >= 30
    assert len(down) - len(probes) <= 20
    assert len(probes) >= 45
    [[bars]] = await bench.fetch("SELECT count(*) FROM market_data WHERE timeframe = '1m'")
    assert bars == 3 * 3 * 24 * 60
    assert bench.audit["requests"]["failed"] == 0


async def test_an_outage_longer_than_the_patience_ends_with_status_1_and_an_audit_of_what_is_kept(
    workbench_of,
):
    clock = ScaledClock(speed=SPEED)
    async with Emulator(SimulatedMarket(), SMALL_PAGES, clock) as emulator:
        bench = await opened(workbench_of(emulator, clock))
        emulator.change(faults=[outage(clock, timedelta(minutes=1.5), timedelta(days=1))])
        report = await bench.run(**JOB, rate_limit=60, shared=False, max_outage_minutes=10)
        asked = emulator.counts.total
        first = bench.audit
        [[kept]] = await bench.fetch("SELECT count(*) FROM market_data WHERE timeframe = '1m'")

        emulator.change(faults=[])
        again = await bench.run(**JOB, shared=False)

    assert isinstance(report.error, VendorDown)
    assert (report.exit_status, first["status"]) == (1, "failed")
    assert kept > 0
    assert again.exit_status == 0
    [[bars]] = await bench.fetch("SELECT count(*) FROM market_data WHERE timeframe = '1m'")
    assert bars == 3 * 3 * 24 * 60
    assert emulator.counts.total - asked < 222


async def test_a_symbol_that_always_fails_is_no_outage(workbench_of):
    clock = ScaledClock(speed=SPEED)
    async with Emulator(SimulatedMarket(), SMALL_PAGES, clock) as emulator:
        emulator.change(faults=[{"kind": "error_json", "path": "X:ETHUSD"}])
        bench = workbench_of(emulator, clock)
        began = clock.monotonic()
        report = await bench.run(**JOB | {"symbols": "ETH,BTC"}, shared=False, gap_retries=2, concurrent=1)

    assert (report.exit_status, report.status) == (3, "partial")
    assert report.error is None
    assert clock.monotonic() - began < 600
