"""From the vendor's splits to the prices a reader sees; raw bars stay what they were."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from lib.vendor.emulator.folder import read_bars
from lib.vendor.emulator.market import MemoryMarket, Split
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.zones import NEW_YORK, midnight_ms
from tests.emulator import Emulator
from tests.end_to_end.corporate_actions.asking import ALL, PRICES, as_of, before_splits, flat, refreshed, view

# --- real data

AAPL_SPLITS = [
    Split("AAPL", date(2000, 6, 21), 1, 2),
    Split("AAPL", date(2005, 2, 28), 1, 2),
    Split("AAPL", date(2014, 6, 9), 1, 7),
]
# Where the sources report another close altogether, by more than a hundredth of a per cent.
AAPL_OTHER_CLOSE = ["2005-04-21", "2006-06-09", "2006-10-03", "2007-02-26", "2009-03-24"]
# Where the raw close has fractions of a cent, 54.935, and the other file was made of whole cents, 54.94: up to
# half a cent, which is more than 2e-5 of a price below 250 dollars.
AAPL_OF_WHOLE_CENTS = [
    *("2004-11-16", "2004-12-16", "2005-03-02", "2006-01-19", "2006-02-03", "2006-02-14", "2006-06-06"),
    *("2006-06-07", "2006-07-05", "2006-07-25", "2007-04-25", "2007-10-12", "2007-11-08", "2009-03-10"),
    *("2009-07-24", "2009-10-05", "2010-01-20", "2010-01-25", "2010-02-10", "2010-03-30"),
]


def days_of(chosen):
    return [f"{day:%Y-%m-%d}" for day in chosen.index[chosen]]


def read_file(path):
    frame = pd.read_csv(path, float_precision="round_trip")
    return frame.set_index(pd.to_datetime(frame.pop("timestamp"), utc=True))


async def test_real_prices_of_aapl_through_three_splits_and_a_fourth(workbench_of, shared_data):
    folder = shared_data / "stocks" / "AAPL"
    market = MemoryMarket(day_bars={"AAPL": read_bars(folder / "1d.csv.gz")}, split_list=AAPL_SPLITS)
    theirs = read_file(folder / "1d_splitadj.csv.gz")
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("AAPL", "1d,1w", "2000-03-01", "2013-03-01")
        outcome = await refreshed(bench, "AAPL")

        assert outcome.whole and outcome.suspects == []
        assert len(outcome.splits.new) == 3
        ours = await view(bench, "AAPL", "1d")
        both = ours.join(theirs, rsuffix="_theirs", how="inner")
        assert len(both) == 2148
        off = (both.close / both.close_theirs - 1).abs()
        assert days_of(off > 1e-4) == AAPL_OTHER_CLOSE
        off = off[off <= 1e-4]
        assert off.quantile(0.99) <= 2e-5  # 1.98e-5; 2.11e-5 of all 2148 days
        assert days_of(off > 2e-5) == AAPL_OF_WHOLE_CENTS
        raw = read_file(folder / "1d.csv.gz").close[off.index]
        whole_cents = (raw * 100 - (raw * 100).round()).abs() < 1e-6
        assert whole_cents.sum() == 2010 and off[whole_cents].max() < 1e-6
        as_traded = both.close_theirs * (raw / both.close).round()
        assert (raw - as_traded).abs().max() < 0.005 + 3e-5, "half a cent, and their six decimals"
        volume = both.volume / both.volume_theirs - 1
        assert days_of(volume.abs() > 1e-9) == ["2005-02-28"], "they double the volume of the split's own day"

        market.split_list = [*AAPL_SPLITS, Split("AAPL", date(2020, 8, 31), 1, 4)]
        outcome = await refreshed(bench, "AAPL", full=True)

        assert list(outcome.rebased) == ["AAPL"]
        quarter = await view(bench, "AAPL", "1d")
        for name in PRICES:
            assert (quarter[name] == ours[name] / 4).all()
        assert (quarter.volume == ours.volume * 4).all()


async def test_kos_split_takes_the_raw_series_to_the_adjusted_file(workbench_of, shared_data):
    file = read_bars(shared_data / "stocks" / "KO" / "1d_splitadj.csv.gz")
    split = Split("KO", date(2012, 8, 13), 1, 2)
    market = MemoryMarket(day_bars={"KO": before_splits(file, [split])}, split_list=[split])
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("KO", "1d,1w", "2012-01-03", "2014-12-31")
        outcome = await refreshed(bench, "KO")

        assert outcome.suspects == []
        ours = await view(bench, "KO", "1d")
        for name in (*PRICES, "volume"):
            assert (ours[name].to_numpy() == getattr(file, name)).all(), name


# --- a split that comes after the bars

LATE_SPLITS = {
    "a forward split on a Monday": [Split("KO", date(2025, 3, 10), 1, 7)],
    "a reverse split on a Wednesday": [Split("KO", date(2025, 3, 5), 10, 1)],
    "two in one year, one of them 3:2 in mid-week": [
        Split("KO", date(2025, 2, 27), 2, 3),
        Split("KO", date(2025, 3, 17), 1, 4),
    ],
}
SPAN = ("2025-02-18", "2025-03-21")


@pytest.fixture(scope="module")
def traded():
    """A month of a stock that never split: minutes and days."""
    market = SimulatedMarket()
    start, end = (midnight_ms(date.fromisoformat(day), NEW_YORK) for day in ("2025-02-16", "2025-03-23"))
    return (
        market.minutes("KO", start, end, 50_000),
        market.days("KO", start, end, 1000),
    )


@pytest.mark.parametrize("name", LATE_SPLITS)
async def test_a_late_split_is_right_at_once_in_all_timeframes(name, traded, workbench_of, postgres):
    splits = LATE_SPLITS[name]
    minutes, days = (before_splits(bars, splits) for bars in traded)
    market = MemoryMarket({"KO": minutes}, {"KO": days})
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("KO", ALL, *SPAN)
        assert (await refreshed(bench, "KO")).splits.new == []
        stored, asked = await bench.tables(), emulator.counts.by_kind["aggs"]
        raw_before = await view(bench, "KO", "1h")
        pd.testing.assert_frame_equal(raw_before, await view(bench, "KO", "1h", "market_data"))

        market.split_list = splits
        outcome = await refreshed(bench, "KO", full=True)

        assert list(outcome.rebased) == ["KO"] and outcome.suspects == []
        assert emulator.counts.by_kind["aggs"] == asked, "a bar was fetched again"
        assert await bench.tables() == stored
        with postgres.migrated() as fresh:
            truth = workbench_of(Emulator(MemoryMarket({"KO": traded[0]}, {"KO": traded[1]})))
            truth.database_url = fresh
            async with truth.emulator:
                await truth.run("KO", ALL, *SPAN)
            for timeframe in ALL.split(","):
                ours, theirs = (
                    await view(bench, "KO", timeframe),
                    await view(truth, "KO", timeframe, "market_data"),
                )
                assert len(ours) > 4
                pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12, atol=0)


# --- an event and its day


async def test_an_event_of_tomorrow_changes_nothing_today_and_everything_tomorrow(at_noon):
    market = MemoryMarket(day_bars={"KO": flat()}, split_list=[Split("KO", date(2025, 3, 4), 1, 4)])
    async with at_noon(market) as desk:
        await desk.bench.run("KO", "1d", "2025-01-02", "2025-03-01")

        outcome = await desk.refresh("KO")
        assert len(outcome.splits.new) == 1 and outcome.rebased == {}
        assert set(await desk.closes("KO")) == {100.0}
        # The last minute of New York's day, then the first of the next: no job needed in between.
        assert set(await desk.closes("KO", datetime(2025, 3, 4, 4, 59, tzinfo=UTC))) == {100.0}
        assert set(await desk.closes("KO", datetime(2025, 3, 4, 5, 0, tzinfo=UTC))) == {25.0}

        outcome = await desk.refresh("KO", later=timedelta(days=1))
        assert outcome.rebased == {"KO": "2025-03-04 4:1"}
        assert set(await desk.closes("KO")) == {25.0}
        assert (await desk.refresh("KO")).rebased == {}


async def test_the_view_itself_goes_by_the_database_clock(workbench_of):
    today = datetime.now(UTC)
    tomorrow = date.fromordinal(today.toordinal() + 1)
    bars = flat(first=today.date() - timedelta(days=30), days=25)
    market = MemoryMarket(day_bars={"KO": bars}, split_list=[Split("KO", tomorrow, 1, 2)])
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("KO", "1d", bars_start(bars), bars_end(bars))
        assert len((await refreshed(bench, "KO")).splits.new) == 1

        assert set((await view(bench, "KO", "1d")).close) == {100.0}
        assert set((await view(bench, "KO", "1d", as_of(today + timedelta(days=2)))).close) == {50.0}

        market.split_list = [Split("KO", tomorrow - timedelta(days=3), 1, 2)]
        await refreshed(bench, "KO")
        assert set((await view(bench, "KO", "1d")).close) == {50.0}


def bars_start(bars):
    return datetime.fromtimestamp(bars.t[0] / 1000, UTC).date().isoformat()


def bars_end(bars):
    return datetime.fromtimestamp(bars.t[-1] / 1000, UTC).date().isoformat()
