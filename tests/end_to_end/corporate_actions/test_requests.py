"""What a refresh costs, and what becomes of it when the vendor does not play along."""

from datetime import timedelta

import pytest

from lib.vendor.emulator.market import MemoryMarket
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.end_to_end.corporate_actions.asking import dividend_row, refreshed, split_row


async def track(bench, symbols):
    await bench.fetch(
        """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar)
           SELECT s, 'stock', s, 'XNYS' FROM unnest($1::text[]) AS s ON CONFLICT DO NOTHING""",
        symbols,
    )


async def test_a_night_of_500_symbols_without_news_takes_two_requests(workbench_of, jump_clock):
    market = SimulatedMarket(size=560)
    clock = jump_clock("2025-03-03T22:00")
    symbols = [one.ticker for one in market.listings() if one.market == "stocks"][:500]
    async with Emulator(market, clock=clock) as emulator:
        bench = workbench_of(emulator, clock)
        await track(bench, symbols)
        first = await refreshed(bench, *symbols)
        assert len(first.splits.new) > 50 and len(first.dividends.new) > 10_000
        asked = emulator.counts.total
        clock.moment += timedelta(days=1)

        outcome = await refreshed(bench, *symbols)

        assert outcome.whole and outcome.splits.new == [] and outcome.splits.missing == []
        assert outcome.dividends.missing == []
        assert emulator.counts.total - asked <= 2


@pytest.mark.parametrize("generation", ["v1", "v3"])
async def test_either_generation_of_the_endpoints_gives_the_same_events(generation, workbench_of, jump_clock):
    clock = jump_clock("2025-03-03T22:00")
    async with Emulator(SimulatedMarket(), EmulatorSettings(page_cap=40), clock=clock) as emulator:
        bench = workbench_of(emulator, clock)
        await refreshed(bench, "NVDA", "AAPL", "KO", "SPY")
        events = [await bench.fetch(f"SELECT symbol, {columns} ORDER BY 1, 2") for columns in EVENT_COLUMNS]
        assert [len(rows) for rows in events] == [6, len(events[1])] and len(events[1]) > 80

        # Known again by what they say: the ids of the generations differ.
        await bench.fetch("UPDATE splits SET id = 'other ' || id")
        emulator.change(actions=generation)
        outcome = await refreshed(bench, "NVDA", "AAPL", "KO", "SPY", full=True)

        assert outcome.whole and (outcome.splits.new, outcome.splits.missing) == ([], [])
        assert events == [
            await bench.fetch(f"SELECT symbol, {columns} ORDER BY 1, 2") for columns in EVENT_COLUMNS
        ]
        assert emulator.counts.by_status[404] == (1 if generation == "v3" else 0)


EVENT_COLUMNS = (
    "execution_date, split_from, split_to FROM splits",
    "ex_date, cash_amount, pay_date FROM dividends",
)


async def test_a_vendor_that_fails_leaves_what_was_known_in_force(listing):
    listing.vendor.splits = [split_row("E1")]
    await listing.refresh("KO")
    await listing.bench.fetch("DELETE FROM split_bases")
    listing.bench.emulator = Emulator(MemoryMarket())
    listing.bench.emulator.url = "http://127.0.0.1:1"

    outcome = await refreshed(listing.bench, "KO", max_attempts=1)

    assert outcome.failed and "connection" in outcome.splits.error
    assert outcome.rebased == {"KO": "2025-02-24 2:1"}, "the basis is settled all the same"


async def test_a_spent_budget_leaves_the_rest_for_the_next_run(listing):
    listing.vendor.splits, listing.vendor.dividends = [split_row("E1")], [dividend_row("D1")]

    outcome = await refreshed(listing.bench, "KO", max_requests=1)
    assert [outcome.splits.status, outcome.dividends.status] == ["ok", "left"]

    assert len((await listing.refresh("KO")).dividends.new) == 1
