"""Desks at which corporate actions are refreshed at a moment of the test's choice."""

from datetime import date

import pytest

from lib.vendor.emulator.market import MemoryMarket
from tests.emulator import Emulator
from tests.end_to_end.corporate_actions.asking import (
    ListVendor,
    MovedBench,
    flat,
)


@pytest.fixture
def at_noon(workbench_of, jump_clock):
    def opened(market, moment="2025-03-03T17:00"):
        return MovedBench(workbench_of, market, jump_clock(moment))

    return opened


@pytest.fixture
async def listing(workbench_of, jump_clock):
    """A desk whose vendor serves lists; KO, IBM and WMT have day bars, KO's halve on 2025-02-24."""
    market = MemoryMarket(day_bars={"KO": flat(jumps=[(date(2025, 2, 24), 2)]), "IBM": flat(), "WMT": flat()})
    clock = jump_clock("2025-03-03T17:00")
    async with ListVendor() as vendor, Emulator(market, clock=clock) as emulator:
        desk = MovedBench(workbench_of, market, clock)
        desk.bench.emulator = emulator
        await desk.bench.run("KO,IBM,WMT", "1d", "2025-01-02", "2025-03-01")
        desk.bench.emulator = desk.vendor = vendor
        yield desk
