"""Splits and dividends from the vendor to the prices a reader sees; raw bars stay what they were."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from aiohttp import web

from lib.bars import Bars
from lib.clock import to_ms
from lib.jobs.actions import refresh_actions
from lib.vendor.emulator.folder import read_bars
from lib.vendor.emulator.market import Dividend, Listing, MemoryMarket, Split
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.zones import NEW_YORK, midnight_ms

PRICES = ("open", "high", "low", "close")
ALL = "1m,5m,15m,30m,1h,4h,1d,1w"


async def refreshed(bench, *symbols, full=False, **terms):
    async with bench.toolkit(rate_limit=0, **terms) as toolkit:
        instruments = await toolkit.store.instruments(symbols or None)
        return await refresh_actions(toolkit, instruments, full=full)


async def view(bench, symbol, timeframe, source="market_data_adjusted"):
    rows = await bench.fetch(
        f"""SELECT timestamp, open, high, low, close, volume, vwap, trades FROM {source}
            WHERE symbol = $1 AND timeframe = $2 ORDER BY timestamp""",
        symbol,
        timeframe,
    )
    frame = pd.DataFrame([tuple(row) for row in rows], columns=["t", *PRICES, "volume", "vwap", "trades"])
    return frame.set_index("t").astype(float)


def as_of(moment):
    return f"adjusted_as_of('{moment.isoformat()}')"


def before_splits(bars, splits):
    """The raw bars that adjust to *bars*: prices as they were traded before each of *splits*."""
    factor = np.ones(len(bars))
    for split in splits:
        factor[bars.t < midnight_ms(split.execution_date, NEW_YORK)] *= split.split_to / split.split_from
    return replace(
        bars,
        **{name: getattr(bars, name) * factor for name in (*PRICES, "vwap")},
        volume=bars.volume / factor,
    )


# --- real data

AAPL_SPLITS = [
    Split("AAPL", date(2000, 6, 21), 1, 2),
    Split("AAPL", date(2005, 2, 28), 1, 2),
    Split("AAPL", date(2014, 6, 9), 1, 7),
]
# Where the two sources disagree by more than a hundredth of a per cent; volume is half on one day.
AAPL_DISAGREE = ["2005-04-21", "2006-06-09", "2006-10-03", "2007-02-26", "2009-03-24"]


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
        off = (both.close / both.close_theirs - 1).abs()
        assert len(both) == 2148
        # 2.1e-5: our raw closes have fractions of a cent (54.935), theirs were made of whole cents.
        assert off.quantile(0.99) < 2.2e-5
        assert [f"{day:%Y-%m-%d}" for day in off.index[off > 1e-4]] == AAPL_DISAGREE
        cents = (both.close * 7).where(both.index >= "2005-02-28", both.close * 14).round(2)
        in_cents = cents / (both.close_theirs * 7).where(both.index >= "2005-02-28", both.close_theirs * 14)
        assert (in_cents - 1).abs().quantile(0.99) < 1e-6
        volume = both.volume / both.volume_theirs - 1
        assert [f"{day:%Y-%m-%d}" for day in volume.index[volume.abs() > 1e-9]] == ["2005-02-28"]

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
            truth = workbench_of(Emulator(MemoryMarket(dict(KO=traded[0]), dict(KO=traded[1]))))
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


def flat(price=100.0, first=date(2025, 1, 2), days=60, jumps=()):
    """Day bars of New York, one price but for *jumps*: (date, what the price is divided by from then on)."""
    dates = [first + timedelta(days=n) for n in range(days)]
    dates = [day for day in dates if day.weekday() < 5]
    t = np.array([midnight_ms(day, NEW_YORK) for day in dates], np.int64)
    close = np.full(len(t), price)
    for day, ratio in jumps:
        close[t >= midnight_ms(day, NEW_YORK)] /= ratio
    volume, trades = np.full(len(t), 1000.0), np.full(len(t), 10, np.int64)
    return Bars(t, close, close * 1.01, close * 0.99, close, volume, close, trades)


class MovedBench:
    """A workbench of stocks with flat day bars, at a moment of the test's choice."""

    def __init__(self, workbench_of, market, clock):
        self.emulator = Emulator(market, clock=clock)
        self.bench = workbench_of(self.emulator, clock)
        self.market, self.clock = market, clock

    async def __aenter__(self):
        await self.emulator.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.emulator.__aexit__(*error)

    async def refresh(self, *symbols, later=timedelta(0), full=False):
        self.clock.moment += later
        return await refreshed(self.bench, *symbols, full=full)

    async def closes(self, symbol, moment=None, timeframe="1d"):
        frame = await view(self.bench, symbol, timeframe, as_of(moment or self.clock.now()))
        return frame.close.tolist()

    async def rows(self, table="splits"):
        return await self.bench.fetch(f"SELECT * FROM {table} ORDER BY symbol, id")


@pytest.fixture
def at_noon(workbench_of, jump_clock):
    def opened(market, moment="2025-03-03T17:00"):
        return MovedBench(workbench_of, market, jump_clock(moment))

    return opened


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


# --- what the vendor changes, takes back, or gets wrong


class ListVendor:
    """Serves lists of events as they are, however odd; asked for its splits and its dividends only."""

    def __init__(self):
        self.splits, self.dividends, self.asked = [], [], []
        self.url = ""

    async def __aenter__(self):
        self._runner = web.ServerRunner(web.Server(self.answer))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://127.0.0.1:{}".format(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *error):
        await self._runner.cleanup()

    async def answer(self, request):
        events = {"/stocks/v1/splits": self.splits, "/stocks/v1/dividends": self.dividends}[request.path]
        self.asked.append(dict(request.query))
        since = next((text for name, text in request.query.items() if name.endswith(".gte")), "")
        listed = [e for e in events if str(e.get("execution_date", e.get("ex_dividend_date", "9"))) >= since]
        return web.json_response({"status": "OK", "results": listed})


def split_row(event_id, ticker="KO", day="2025-02-24", old=1, new=2, **more):
    row = {"id": event_id, "ticker": ticker, "execution_date": day, "split_from": old, "split_to": new}
    return {name: value for name, value in (row | more).items() if value is not ...}


def dividend_row(event_id, ticker="KO", day="2025-02-10", amount=0.5, **more):
    row = {
        "id": event_id,
        "ticker": ticker,
        "ex_dividend_date": day,
        "cash_amount": amount,
        "currency": "USD",
    }
    return row | more


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


async def test_a_changed_split_is_marked_and_what_it_was_is_kept(listing):
    listing.vendor.splits = [split_row("E1", new=3)]
    assert (await listing.refresh("KO")).rebased == {"KO": "2025-02-24 3:1"}

    listing.vendor.splits = [split_row("E1", new=2)]
    outcome = await listing.refresh("KO", later=timedelta(days=1))

    assert outcome.document()["splits"]["changed"] == ["KO 2025-02-24 3:1 is now KO 2025-02-24 2:1"]
    assert outcome.rebased == {"KO": "2025-02-24 2:1"}
    [row] = await listing.rows()
    [before] = json.loads(row["previous"])
    assert (before["split_to"], before["execution_date"]) == (3, "2025-02-24")
    assert row["changed_at"] == listing.clock.now()
    assert set(await listing.closes("KO")) == {50.0}


async def test_a_split_moved_to_a_date_long_ago_is_found_under_its_id(listing):
    listing.vendor.splits = [split_row("E1", day="2025-02-24")]
    await listing.refresh("KO")

    listing.vendor.splits = [split_row("E1", day="2024-06-03")]
    outcome = await listing.refresh("KO", later=timedelta(days=1))

    assert len(outcome.splits.changed) == 1 and outcome.splits.missing == []


async def test_what_cannot_be_used_is_refused_with_its_reason_and_the_rest_is_kept(listing):
    listing.vendor.splits = [
        split_row("E1"),
        split_row("E2", old=2, new=4),
        split_row("E3", "IBM", old=0),
        split_row("E4", "IBM", new="many"),
        split_row("E5", "IBM", day=...),
        split_row("E6", "IBM", day="soon"),
        split_row("E7", "ZZZ"),
        split_row("E8", ...),
    ]
    listing.vendor.dividends = [dividend_row("D1"), dividend_row("D2"), dividend_row("D3", "WMT", amount=-1)]

    outcome = await listing.refresh("KO", "IBM", "WMT")

    splits, dividends = outcome.document()["splits"], outcome.document()["dividends"]
    assert (splits["new"], splits["duplicates"], splits["ignored"]) == (1, 1, 1)
    assert splits["refused"] == [
        "E3: its split_from is 0",
        "E4: its split_to is 'many'",
        "E5: it has no execution_date",
        "E6: its execution_date 'soon' is not a date",
        "E8: it names no ticker",
    ]
    assert (dividends["new"], dividends["duplicates"]) == (1, 1)
    assert dividends["refused"] == ["D3: its cash_amount is -1"]
    assert not outcome.whole
    assert [row["id"] for row in await listing.rows()] == ["E1"]

    # Nothing is lost: whoever may own a refused event is asked about from the same date again.
    listing.vendor.splits, listing.vendor.asked = [split_row("E1"), split_row("E3", "IBM", "1999-03-01")], []
    outcome = await listing.refresh("KO", "IBM", "WMT", later=timedelta(days=1))
    assert outcome.whole and len(outcome.splits.new) == 1
    assert ["execution_date.gte" in query for query in listing.vendor.asked[:1]] == [False]


async def test_a_ticker_tracked_later_is_asked_about_from_the_beginning(listing):
    listing.vendor.splits = [split_row("E1"), split_row("E2", "IBM", "1999-05-27")]
    await listing.refresh("KO")

    outcome = await listing.refresh("KO", "IBM", later=timedelta(days=1))

    assert [split.event_id for split in outcome.splits.new] == ["E2"]
    about = [(query["ticker.any_of"], "execution_date.gte" in query) for query in listing.vendor.asked]
    assert about[2:4] == [("KO", True), ("IBM", False)]


async def test_everything_is_asked_anew_once_a_month(listing):
    await listing.refresh("KO")
    listing.vendor.splits = [split_row("E1", day="1999-05-27")]

    assert (await listing.refresh("KO", later=timedelta(days=29))).splits.new == []
    assert len((await listing.refresh("KO", later=timedelta(days=1))).splits.new) == 1


async def test_coins_have_no_corporate_actions(listing):
    outcome = await listing.refresh("BTC", "ETH")

    assert outcome.whole and listing.vendor.asked == []


async def test_a_split_that_disappears_is_asked_again_and_only_then_taken_back(at_noon):
    day = date(2025, 2, 24)
    market = MemoryMarket(day_bars={"KO": flat(jumps=[(day, 2)])}, split_list=[Split("KO", day, 1, 2)])
    async with at_noon(market) as desk:
        await desk.bench.run("KO", "1d", "2025-01-02", "2025-03-01")
        await desk.refresh("KO")
        market.split_list = []

        outcome = await desk.refresh("KO", later=timedelta(days=1))
        assert len(outcome.splits.missing) == 1 and outcome.rebased == {}
        assert set(await desk.closes("KO")) == {50.0}, "not believed at once"
        assert (await desk.refresh("KO", later=timedelta(minutes=20))).splits.withdrawn == []

        outcome = await desk.refresh("KO", later=timedelta(minutes=20))
        assert len(outcome.splits.withdrawn) == 1 and outcome.rebased == {"KO": ""}
        assert set(await desk.closes("KO")) == {100.0, 50.0}
        [row] = await desk.rows()
        assert row["withdrawn_at"] == desk.clock.now()

        market.split_list = [Split("KO", day, 1, 2)]
        outcome = await desk.refresh("KO", later=timedelta(days=1))
        assert len(outcome.splits.back) == 1 and outcome.rebased == {"KO": "2025-02-24 2:1"}
        assert [row["withdrawn_at"] for row in await desk.rows()] == [None]


async def test_a_split_the_bars_contradict_is_reported_and_not_applied(at_noon):
    day = date(2025, 2, 24)
    bars = {"KO": flat(), "IBM": flat(jumps=[(day, 4)]), "WMT": flat(jumps=[(day, 3)])}
    splits = [Split("KO", day, 1, 2), Split("IBM", day, 1, 2), Split("WMT", day, 1, 3)]
    async with at_noon(MemoryMarket(day_bars=bars, split_list=splits)) as desk:
        await desk.bench.run("KO,IBM,WMT", "1d", "2025-01-02", "2025-03-01")

        outcome = await desk.refresh("KO", "IBM", "WMT")

        found = {one["symbol"]: (one["observed"], one["applied"]) for one in outcome.document()["suspect"]}
        assert found == {"KO": (1.0, False), "IBM": (4.0, True)}
        assert set(await desk.closes("KO")) == {100.0}
        assert set(await desk.closes("IBM")) == {50.0, 25.0}
        assert sorted(outcome.rebased) == ["IBM", "WMT"]

        await desk.bench.fetch("UPDATE splits SET forced = NOT applied WHERE verdict = 'suspect'")
        outcome = await desk.refresh("KO", "IBM")
        assert outcome.rebased == {"KO": "2025-02-24 2:1", "IBM": ""}
        assert set(await desk.closes("KO")) == {50.0, 100.0}


async def test_bars_that_come_later_judge_a_split_that_was_believed(at_noon):
    day = date(2025, 2, 24)
    market = MemoryMarket(day_bars={"KO": flat()}, split_list=[Split("KO", day, 1, 2)])
    async with at_noon(market) as desk:
        await desk.bench.run("KO", "1d", "2025-01-02", "2025-02-21")
        assert (await desk.refresh("KO")).suspects == []
        assert set(await desk.closes("KO")) == {50.0}

        await desk.bench.run("KO", "1d", "2025-02-22", "2025-03-01")
        outcome = await desk.refresh("KO")

        assert outcome.rebased == {"KO": ""} and len(outcome.suspects) == 1


async def test_a_jump_without_a_split_is_reported_once(at_noon):
    day = date(2025, 2, 24)
    bars = {"KO": flat(jumps=[(day, 2)]), "IBM": flat(jumps=[(day, 1 / 10)]), "WMT": flat(jumps=[(day, 1.4)])}
    async with at_noon(MemoryMarket(day_bars=bars)) as desk:
        await desk.bench.run("KO,IBM,WMT", "1d", "2025-01-02", "2025-03-01")

        found = (await desk.refresh("KO", "IBM", "WMT")).document()["jumps"]
        assert [(one["symbol"], one["looks_like"], one["new"]) for one in found] == [
            ("IBM", "1:10", True),
            ("KO", "2:1", True),
        ]
        assert {one["date"] for one in found} == {"2025-02-24"}
        outcome = await desk.refresh("KO", "IBM", "WMT", later=timedelta(days=1))
        assert [jump.new for jump in outcome.jumps] == [False, False] and outcome.findings() == []

        await desk.bench.fetch("UPDATE price_jumps SET dismissed = true WHERE symbol = 'IBM'")
        desk.market.split_list = [Split("KO", day, 1, 2)]
        assert (await desk.refresh("KO", "IBM", "WMT")).jumps == []
