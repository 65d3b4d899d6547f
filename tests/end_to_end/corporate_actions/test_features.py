"""A split and the features: computed on adjusted bars, stale when the basis changes, and only then."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from lib.jobs.features import FeatureRequest, carry_out_features, new_feature_report
from lib.settings import Settings
from lib.store.database import open_url
from lib.vendor.emulator.market import MemoryMarket, Split
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.wiring import feature_tools
from lib.zones import NEW_YORK, midnight_ms
from tests.emulator import Emulator
from tests.end_to_end.corporate_actions.asking import ALL, before_splits, refreshed

SPAN = ("2025-02-18", "2025-03-21")
# A reverse split, and two splits in one year of which one falls into the middle of a week. By powers of two, so
# that what was multiplied and is divided again is the same to the last bit: ADX and others tell ties apart.
SPLITS = [
    Split("KO", date(2025, 2, 27), 8, 1),
    Split("KO", date(2025, 3, 10), 1, 4),
    Split("KO", date(2025, 3, 19), 1, 2),
]


class Silent:
    """A progress display that shows nothing."""

    def planned(self, series): ...
    def page_done(self, rows): ...
    def series_done(self): ...
    def symbol_done(self, outcome): ...


async def computed(bench, *names):
    """Bring the features up to date; by symbol and timeframe, how many rows were written."""
    async with open_url(bench.database_url) as database:
        tools = await feature_tools(Settings(Path("/nonexistent")), bench.clock, database)
        report = new_feature_report(tools.settings, FeatureRequest(), tools.clock)
        await carry_out_features(tools, list(names), report, Silent(), {})
    assert report.error is None, report.error
    return {
        (one.symbol, series.timeframe): series.inserted + series.updated
        for one in report.outcomes
        for series in one.series
    }


async def rows(bench, symbol):
    found = await bench.fetch("SELECT * FROM market_data_v2 WHERE symbol = $1", symbol)
    assert len(found) > 10_000
    frame = pd.DataFrame([tuple(row) for row in found], columns=list(found[0].keys()))
    frame = frame.drop(columns=["symbol", "computed_at"]).set_index(["timeframe", "timestamp"])
    return frame.sort_index().astype(float)


@pytest.fixture(scope="module")
def traded():
    """A month of two stocks that never split: minutes and days by symbol."""
    market = SimulatedMarket()
    start, end = (midnight_ms(date.fromisoformat(day), NEW_YORK) for day in ("2025-02-16", "2025-03-23"))
    names = ("KO", "IBM")
    return (
        {name: market.minutes(name, start, end, 50_000) for name in names},
        {name: market.days(name, start, end, 100) for name in names},
    )


async def test_features_after_a_late_split_are_those_of_a_fresh_database(traded, workbench_of, postgres):
    raw = [bars | {"KO": before_splits(bars["KO"], SPLITS)} for bars in traded]
    market = MemoryMarket(*raw)
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("KO,IBM", ALL, *SPAN)
        await refreshed(bench, "KO", "IBM")
        await computed(bench, "KO", "IBM")
        assert set((await computed(bench, "KO", "IBM")).values()) == {0}

        market.split_list = SPLITS
        outcome = await refreshed(bench, "KO", "IBM", full=True)
        assert outcome.document()["features_stale"] == ["KO"]
        current = "SELECT symbol, count(*) FROM feature_state WHERE NOT isempty(computed) GROUP BY 1"
        assert [tuple(row) for row in await bench.fetch(current)] == [("IBM", 8)]
        written = await computed(bench, "KO", "IBM")

        assert {symbol for (symbol, _), count in written.items() if count} == {"KO"}
        assert len([count for count in written.values() if count]) == 8, "all timeframes"
        ours = await rows(bench, "KO")
        with postgres.migrated() as fresh:
            bench.database_url = fresh
            await bench.run("KO,IBM", ALL, *SPAN)
            await refreshed(bench, "KO", "IBM")
            await computed(bench, "KO", "IBM")
            assert_near(ours, await rows(bench, "KO"))
        with postgres.migrated() as never_split:
            bench.database_url = never_split
            market.minute_bars, market.day_bars, market.split_list = *traded, []
            await bench.run("KO", ALL, *SPAN)
            await computed(bench, "KO")
            assert_near(ours, await rows(bench, "KO"))


def assert_near(ours, theirs):
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-9)
