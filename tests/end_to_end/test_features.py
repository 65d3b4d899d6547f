"""Features kept up to date step by step are those of a computation from scratch, whatever happens."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.actions import Split
from lib.adjustment import split_eras
from lib.bars import NO_TRADES, Bars
from lib.clock import SystemClock, from_ms, to_ms
from lib.indicators import FEATURES, compute
from lib.jobs.feature_pages import PAGE_BARS
from lib.jobs.features import FeatureRequest, Mode, carry_out_features, new_feature_report
from lib.sessions import after_hole, bars_per_year
from lib.settings import Settings
from lib.store.adjusted import read_adjusted_bars, write_eras
from lib.store.answers import Answer, write_answer
from lib.store.bars import VENDOR, Series, read_bars, write_bars
from lib.store.feature_rows import read_rows
from lib.store.features import EVER, FeatureStore
from lib.symbols import AssetClass, Instrument
from lib.timeframe import DAY_MS, Timeframe, parse_timeframes
from lib.wiring import FeatureTools, feature_tools
from lib.zones import local_days, midnight_ms

SPY = Instrument("SPY", AssetClass.ETF, "SPY")
JPM = Instrument("JPM", AssetClass.STOCK, "JPM")
BTC = Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD")
M1, D1 = Timeframe.M1, Timeframe.D1
BY_NAME = {feature.name: feature for feature in FEATURES}


class Silent:
    """A progress display that shows nothing."""

    def planned(self, series): ...
    def page_done(self, rows): ...
    def series_done(self): ...
    def symbol_done(self, outcome): ...


@dataclass
class Bench:
    """A database into which bars are written as the backfill does it, and the features job."""

    database: object
    tools: FeatureTools

    async def write(self, instrument, timeframe, bars, span=None):
        """As if the vendor had answered *bars* for *span*, by default from the first to the last of them."""
        if span is None:
            step = timeframe.step_ms
            span = int(bars.t[0]), int(bars.t[-1]) + step
            if timeframe is D1:
                last = int(local_days(bars.t[-1:], instrument.zone)[0]) + 1
                span = span[0], midnight_ms(date(1970, 1, 1) + timedelta(days=last), instrument.zone)
        answer = Answer(instrument, timeframe, *span, bars, (), datetime.now(UTC))
        async with self.database.connection() as connection:
            await write_answer(connection, answer, self.tools.sessions[instrument.calendar], derive=True)

    async def features(self, *names, progress=None, tools=None, **request):
        if isinstance(request.get("timeframes"), str):
            request["timeframes"] = parse_timeframes(request["timeframes"])
        tools = tools or self.tools
        report = new_feature_report(tools.settings, FeatureRequest(**request), tools.clock)
        await carry_out_features(tools, list(names), report, progress or Silent(), {})
        assert report.error is None, report.error
        return report

    async def fetch(self, query, *arguments):
        async with self.database.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def assert_as_from_scratch(self, *instruments, adjusted=None):
        """Every row of features is what all bars of its series give at once; the number of rows."""
        count = 0
        for instrument in instruments:
            for timeframe in Timeframe:
                series = Series(instrument.symbol, timeframe)
                async with self.database.connection() as connection:
                    bars = await read_bars(connection, series, *EVER)
                    rows = await read_rows(connection, series, EVER)
                sessions = self.tools.sessions[instrument.calendar]
                bars = adjusted(timeframe, bars) if adjusted else bars
                values = compute(
                    bars,
                    bars_per_year(sessions, timeframe),
                    after_hole=after_hole(sessions, timeframe, bars.t),
                )
                assert_same(rows, bars, values, f"{instrument.symbol} {timeframe}")
                count += len(rows)
        return count


def assert_same(rows, bars, values, name):
    np.testing.assert_array_equal(rows.bars.t, bars.t, name)
    for column in ("open", "high", "low", "close", "volume", "vwap", "trades"):
        np.testing.assert_array_equal(getattr(rows.bars, column), getattr(bars, column), f"{name} {column}")
    for feature, expected in values.items():
        scale = 1.0
        if BY_NAME[feature].scales_with == "price":
            scale = bars.close
        elif BY_NAME[feature].recursive:
            scale = 100.0 if feature != "obv" else np.maximum(np.abs(expected), 1)
        np.testing.assert_allclose(
            rows.values[feature] / scale, expected / scale, rtol=1e-9, atol=1e-9, err_msg=f"{name} {feature}"
        )


@pytest.fixture
async def bench(database):
    return Bench(database, await feature_tools(Settings(Path("/nonexistent")), SystemClock(), database))


def from_file(folder, name):
    frame = pd.read_csv(folder / f"{name}.csv.gz", float_precision="round_trip")
    stamps = pd.to_datetime(frame["timestamp"], utc=True).dt.tz_localize(None)
    columns = {c: frame[c].to_numpy(np.float64) for c in ("open", "high", "low", "close", "volume", "vwap")}
    trades = frame["transactions"].fillna(NO_TRADES).to_numpy(np.int64)
    t = stamps.to_numpy("datetime64[ms]").astype(np.int64)
    return Bars(t=t, trades=trades, **columns)


def changed_by(bars, some, random_):
    """*bars* with other closes and volumes in *some* of them."""
    close, volume = bars.close.copy(), bars.volume.copy()
    close[some] = np.where(random_.random(len(some)) < 0.5, bars.low[some], bars.high[some])
    volume[some] += 1
    return replace(bars, close=close, volume=volume)


def deliveries(instrument, timeframe, bars, n, random_):
    """The pieces in which *bars* arrive: some out of turn, with bars that are late or wrong at first."""
    cuts = [0, *sorted(random_.choice(np.arange(1, len(bars)), n - 1, replace=False).tolist()), len(bars)]
    pieces = [bars.take(slice(a, b)) for a, b in pairwise(cuts)]
    pieces = pieces[n // 5 :] + pieces[: n // 5]  # older history comes last
    for _ in range(3):
        a, b = random_.choice(n, 2, replace=False)
        pieces[a], pieces[b] = pieces[b], pieces[a]
    out = []
    for piece in pieces:
        kind = random_.integers(0, 4)
        some = random_.choice(len(piece), min(len(piece) - 1, 3), replace=False)
        first = piece
        if kind == 0 and len(some):
            inside = some[(some > 0) & (some < len(piece) - 1)]
            first = piece.take(np.setdiff1d(np.arange(len(piece)), inside))
        elif kind == 1:
            first = changed_by(piece, some, random_)
        out.append([(instrument, timeframe, first)] + [(instrument, timeframe, piece)] * (first is not piece))
    return out


async def test_fifty_pieces_with_late_and_changed_bars_equal_a_computation_from_scratch(
    bench, shared_data, monkeypatch
):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 700)
    random_ = np.random.default_rng(11)
    files = {
        (SPY, M1): (from_file(shared_data, "etfs/SPY/1m").take(slice(0, 4_000)), 16),
        (SPY, D1): (from_file(shared_data, "etfs/SPY/1d").take(slice(0, 1_500)), 10),
        (BTC, M1): (from_file(shared_data, "crypto/BTC-USD/1m"), 12),
        (BTC, D1): (from_file(shared_data, "crypto/BTC-USD/1d"), 12),
    }
    queues = [deliveries(*series, bars, n, random_) for series, (bars, n) in files.items()]
    assert sum(map(len, queues)) == 50
    corrections, written = [], 0
    while any(queues) or corrections:
        waiting = [queue for queue in queues if queue]
        if corrections and (not waiting or random_.random() < 0.4):
            piece = corrections.pop(int(random_.integers(len(corrections))))
        else:
            queue = waiting[int(random_.integers(len(waiting)))]
            piece, *later = queue.pop(0)
            corrections += later
        await bench.write(*piece)
        if random_.random() < 0.7:
            names = ["SPY", "BTC"] if random_.random() < 0.5 else [piece[0].symbol]
            report = await bench.features(*random_.permutation(names))
            written += sum(one.written for outcome in report.outcomes for one in outcome.series)
            if random_.random() < 0.08:
                await bench.assert_as_from_scratch(piece[0])
    await bench.features("BTC", "SPY")

    rows = await bench.assert_as_from_scratch(SPY, BTC)

    assert rows > 10_000
    assert written > 1.5 * rows, "the pieces came in order"
    assert await bench.fetch("SELECT FROM market_data_v2 WHERE close = 'NaN' OR rsi_14 = 'NaN'") == []
    await assert_second_run_writes_nothing(bench, "SPY", "BTC")


async def assert_second_run_writes_nothing(bench, *names, **request):
    query = "SELECT symbol, timeframe, timestamp, xmin::text FROM market_data_v2 ORDER BY 1, 2, 3"
    before = await bench.fetch(query)
    report = await bench.features(*names, **request)
    assert await bench.fetch(query) == before
    assert report.exit_status == 0
    return report


# --- what limits or widens a run


async def test_a_run_without_anything_new_looks_at_no_bar(bench, shared_data):
    await bench.write(SPY, D1, from_file(shared_data, "etfs/SPY/1d"))
    await bench.features("SPY")

    report = await assert_second_run_writes_nothing(bench, "SPY")

    assert {one.bars for one in report.outcomes[0].series} == {0}
    full = await assert_second_run_writes_nothing(bench, "SPY", mode=Mode.FULL)
    assert sum(one.computed for one in full.outcomes[0].series) > 2_900


async def test_dates_limit_what_is_written_and_not_where_sums_begin(bench, shared_data, monkeypatch):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 500)
    await bench.write(BTC, D1, from_file(shared_data, "crypto/BTC-USD/1d"))
    dates = "SELECT min(timestamp)::date, max(timestamp)::date FROM market_data_v2 WHERE timeframe = '1d'"

    await bench.features("BTC", start=date(2016, 3, 1), end=date(2017, 2, 28), timeframes="1d")
    assert [tuple(row) for row in await bench.fetch(dates)] == [(date(2016, 3, 1), date(2017, 2, 28))]
    sums = "SELECT timestamp, obv FROM market_data_v2 WHERE timeframe = '1d' ORDER BY 1"
    within = await bench.fetch(sums)

    await bench.features("BTC", start=date(2018, 1, 1), timeframes="1d")
    [apart] = await bench.fetch("SELECT computed FROM feature_state WHERE timeframe = '1d'")
    assert len(apart["computed"]) == 2
    await bench.features("BTC")

    await bench.assert_as_from_scratch(BTC)
    assert set(within) <= set(await bench.fetch(sums))
    [whole] = await bench.fetch("SELECT computed FROM feature_state WHERE timeframe = '1d'")
    assert len(whole["computed"]) == 1


async def test_days_count_from_today_and_a_week_is_written_whole(bench):
    midnight = to_ms(datetime.now(UTC)) // DAY_MS * DAY_MS
    await bench.write(BTC, D1, steps(midnight - 40 * DAY_MS, 40, DAY_MS))

    report = await bench.features("BTC", days=10)

    [count] = await bench.fetch("SELECT count(*) FROM market_data_v2 WHERE timeframe = '1d'")
    assert count["count"] == 9, "ten days, of which today has no bar yet"
    weeks = await bench.fetch("SELECT timestamp FROM market_data_v2 WHERE timeframe = '1w' ORDER BY 1")
    tenth = datetime.now(UTC).date() - timedelta(days=9)
    assert weeks[0]["timestamp"].date() == tenth - timedelta(days=(tenth.weekday() + 1) % 7)
    assert report.audit()["config"]["start"] is not None


def steps(start_ms, n, step_ms, price=100.0, seed=3):
    """Bars of a walk, one right after the other."""
    random_ = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(random_.normal(0, 0.002, n)))
    opens = np.r_[price, close[:-1]]
    return Bars(
        start_ms + np.arange(n) * step_ms,
        opens,
        np.maximum(opens, close) * 1.001,
        np.minimum(opens, close) * 0.999,
        close,
        np.round(random_.exponential(1_000, n)),
        (opens + close) / 2,
        random_.integers(1, 99, n),
    )


async def test_another_feature_set_makes_every_row_stale(bench, shared_data, monkeypatch):
    await bench.write(SPY, D1, from_file(shared_data, "etfs/SPY/1d").take(slice(0, 900)))
    await bench.features("SPY")
    monkeypatch.setattr("lib.jobs.feature_pages.FEATURE_SET_VERSION", 2)
    await bench.fetch("UPDATE market_data_v2 SET sma_20 = 7 WHERE timeframe = '1d'")

    report = await bench.features("SPY")

    days = next(one for one in report.outcomes[0].series if one.timeframe is D1)
    assert days.computed == days.updated == 900
    await bench.assert_as_from_scratch(SPY)


async def test_a_closure_announced_later_makes_the_days_after_it_right(bench, shared_data):
    bars = from_file(shared_data, "etfs/SPY/1d").take(slice(0, 900))
    at = 400
    await bench.write(SPY, D1, bars.take(np.arange(900) != at))
    await bench.features("SPY")
    query = """SELECT bars_since_hole FROM market_data_v2
               WHERE timeframe = '1d' ORDER BY timestamp OFFSET 400 LIMIT 1"""
    assert [row[0] for row in await bench.fetch(query)] == [1]

    day = datetime.fromtimestamp(bars.t[at] / 1000, UTC).date()
    await bench.fetch(
        """INSERT INTO calendar_overrides (calendar, session_date, kind, source)
           VALUES ('XNYS', $1, 'closed', 'x')""",
        day,
    )
    bench.tools = await feature_tools(bench.tools.settings, bench.tools.clock, bench.database)
    await bench.features("SPY")

    assert [row[0] for row in await bench.fetch(query)] == [272]
    await bench.assert_as_from_scratch(SPY)


# --- several at once


class Meddling(FeatureStore):
    """A store at whose doors something happens."""

    def __init__(self, database, *, after_reading=None, while_writing=None):
        super().__init__(database)
        self._after_reading, self._while_writing = after_reading, while_writing

    @asynccontextmanager
    async def reading(self, series, moment):
        async with super().reading(series, moment) as features:
            yield features
        if self._after_reading:
            await self._after_reading(series)

    @asynccontextmanager
    async def writing(self, series, moment):
        async with super().writing(series, moment) as features:
            if self._while_writing:
                await self._while_writing(series)
            yield features


async def test_bars_that_change_after_a_page_was_read_ahead_are_read_again(bench, shared_data, monkeypatch):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 500)
    bars = from_file(shared_data, "etfs/SPY/1d")
    await bench.write(SPY, D1, bars)
    changes = []

    async def change(series):
        if series.timeframe is D1 and len(changes) < 3:
            at = (700, 100, 2_400)[len(changes)]
            changes.append(at)
            one = bars.take(slice(at, at + 1))
            await bench.write(SPY, D1, replace(one, close=one.low, volume=one.volume + 5))

    await bench.features(
        "SPY", tools=replace(bench.tools, store=Meddling(bench.database, after_reading=change))
    )

    assert len(changes) == 3
    report = await bench.features("SPY")
    await bench.assert_as_from_scratch(SPY)
    assert sum(one.written for one in report.outcomes[0].series) == 0, (
        "the run that was disturbed made it good"
    )


async def test_who_writes_bars_waits_for_the_page_that_rests_on_them(bench, shared_data):
    bars = from_file(shared_data, "etfs/SPY/1d").take(slice(0, 300))
    await bench.write(SPY, D1, bars)
    writers = []

    async def write_meanwhile(series):
        if series.timeframe is D1 and not writers:
            one = bars.take(slice(100, 101))
            work = bench.write(SPY, D1, replace(one, close=one.low))
            writers.append(asyncio.create_task(work))
            await asyncio.sleep(0.15)
            assert not writers[0].done()

    tools = replace(bench.tools, store=Meddling(bench.database, while_writing=write_meanwhile))
    await bench.features("SPY", tools=tools, timeframes="1d")
    await writers[0]
    await bench.features("SPY")

    await bench.assert_as_from_scratch(SPY)


async def test_runs_and_backfills_at_once_end_in_the_same_rows(bench, shared_data, monkeypatch):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 400)
    bars = from_file(shared_data, "etfs/SPY/1d")
    pieces = [bars.take(slice(a, a + 250)) for a in range(0, len(bars), 250)]
    await bench.write(SPY, D1, pieces[3])

    async def backfill():
        for number in (4, 5, 2, 6, 1, 8, 0, 7, 9, 10):
            await bench.write(SPY, D1, pieces[number])

    async def features(filling):
        while not filling.done():
            await bench.features("SPY")

    filling = asyncio.create_task(backfill())
    await asyncio.gather(filling, *(features(filling) for _ in range(3)))
    await bench.features("SPY")

    assert await bench.assert_as_from_scratch(SPY) > 3_000


# --- splits


async def apply_splits(bench, symbol, *splits):
    """Put the eras of *splits* (date, ratio) in force, without telling the features."""
    events = [Split(str(day), symbol, day, Decimal(1), Decimal(ratio)) for day, ratio in splits]
    async with bench.database.connection() as connection:
        await write_eras(connection, symbol, split_eras(events))


async def adjusted_series(bench, instrument):
    """Its bars as the view of adjusted bars has them, by timeframe."""
    out = {}
    async with bench.database.connection() as connection:
        for timeframe in Timeframe:
            series = Series(instrument.symbol, timeframe)
            out[timeframe] = await read_adjusted_bars(connection, series, *EVER, datetime.now(UTC))
    return out


async def test_a_split_makes_every_row_before_and_after_it_right(bench, shared_data):
    await bench.write(SPY, D1, from_file(shared_data, "etfs/SPY/1d").take(slice(0, 1_200)))
    await bench.write(SPY, M1, from_file(shared_data, "etfs/SPY/1m").take(slice(0, 3_000)))
    await bench.features("SPY")

    wednesday = date(2011, 3, 2)  # within the minutes, and within a week
    await apply_splits(bench, "SPY", (wednesday, 4), (date(2009, 6, 1), 3), (date(2100, 1, 4), 2))
    await bench.features("SPY")

    adjusted = await adjusted_series(bench, SPY)
    days = adjusted[D1]
    assert days.close[0] == pytest.approx(146.21 / 12, abs=0.01)
    rows = await bench.assert_as_from_scratch(SPY, adjusted=lambda timeframe, _: adjusted[timeframe])
    assert rows > 4_500
    await assert_second_run_writes_nothing(bench, "SPY")


async def test_a_week_of_two_bases_without_its_days_has_a_row_without_a_price(bench):
    first = 1_736_053_200_000  # Sunday, 2025-01-05, New York
    weeks = steps(first, 40, 7 * DAY_MS)  # no change of clocks before March
    weeks = weeks.take(slice(0, 9))
    await bench.write(SPY, Timeframe.W1, weeks, (first, first + 9 * 7 * DAY_MS))
    await apply_splits(bench, "SPY", (date(2025, 1, 22), 2))

    await bench.features("SPY")

    rows = await bench.fetch("SELECT open, close, return_1, obv FROM market_data_v2 ORDER BY timestamp")
    assert len(rows) == 9
    assert tuple(rows[2]) == (None, None, None, None)
    assert rows[1]["close"] == weeks.close[1] / 2
    assert rows[3]["return_1"] == pytest.approx(weeks.close[3] / (weeks.close[1] / 2) - 1)


# --- input that is odd


def flat_day(bars):
    return replace(bars, **dict.fromkeys(("open", "high", "low", "close", "vwap"), np.full(len(bars), 33.33)))


ODD = {
    "one bar": lambda bars: bars.take(slice(0, 1)),
    "two bars": lambda bars: bars.take(slice(0, 2)),
    "flat throughout": flat_day,
    "a flat day": lambda bars: Bars.concat(
        [bars.take(slice(0, 700)), flat_day(bars.take(slice(700, 1_400))), bars.take(slice(1_400, None))]
    ),
    "a hole of a week": lambda bars: Bars.concat([bars.take(slice(0, 900)), bars.take(slice(6_000, None))]),
    "no volume": lambda bars: replace(bars, volume=np.zeros(len(bars)), vwap=np.full(len(bars), np.nan)),
    "a price of 0.0001": lambda bars: scaled(bars, 1e-6),
    "a price of 400,000": lambda bars: scaled(bars, 4_000.0),
    "prices of 0 for two days": lambda bars: Bars.concat(
        [
            bars.take(slice(0, 900)),
            scaled(bars.take(slice(900, 3_000)), 0.0),
            bars.take(slice(3_000, None)),
        ]
    ),
}


def scaled(bars, by):
    names = ("open", "high", "low", "close", "vwap")
    return replace(bars, **{name: getattr(bars, name) * by for name in names})


@pytest.mark.parametrize("name", ODD)
async def test_odd_bars_give_numbers_wherever_one_is_defined(bench, name, monkeypatch):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 1_500)
    bars = ODD[name](steps(1_522_800_000_000, 8_000, 60_000))
    half = len(bars) // 2
    for part in (bars.take(slice(0, half)), bars.take(slice(half, None))):
        if len(part):
            await bench.write(BTC, M1, part)
        if half:
            await bench.features("BTC")
    await bench.features("BTC")

    await bench.assert_as_from_scratch(BTC)
    for timeframe in await bench.fetch("SELECT DISTINCT timeframe FROM market_data_v2"):
        series = Series("BTC", Timeframe(timeframe[0]))
        async with bench.database.connection() as connection:
            rows = await read_rows(connection, series, EVER)
        priced = np.flatnonzero(rows.bars.low > 0)
        for feature in FEATURES:
            values = rows.values[feature.name][priced]
            assert np.isfinite(values[feature.warmup :]).all(), f"{series} {feature.name}"
            assert np.isnan(values[: feature.warmup]).all(), f"{series} {feature.name}"


# --- verification


async def test_verification_finds_what_another_program_changed(bench, shared_data, monkeypatch):
    monkeypatch.setattr("lib.jobs.feature_pages.PAGE_BARS", 1_000)
    await bench.write(SPY, D1, from_file(shared_data, "etfs/SPY/1d"))
    await bench.features("SPY")
    fine = await assert_second_run_writes_nothing(bench, "SPY", mode=Mode.VERIFY)
    assert fine.verified == 2
    assert sum(one.computed for one in fine.outcomes[0].series) > 3_000

    at = [
        row[0]
        for row in await bench.fetch("SELECT timestamp FROM market_data_v2 WHERE timeframe = '1d' ORDER BY 1")
    ]
    days = "WHERE timeframe = '1d' AND timestamp = $1"
    await bench.fetch(f"UPDATE market_data_v2 SET rsi_14 = rsi_14 + 1e-6 {days}", at[700])
    await bench.fetch(f"UPDATE market_data_v2 SET sma_20 = NULL {days}", at[1_500])
    await bench.fetch(f"DELETE FROM market_data_v2 {days}", at[2_000])
    await bench.fetch(f"DELETE FROM market_data {days}", at[2_518])

    report = await bench.features("SPY", mode=Mode.VERIFY, timeframes="1d")

    assert report.exit_status == 3
    [outcome] = report.outcomes[0].series
    assert outcome.difference.rows == 4
    assert outcome.difference.first_ms == to_ms(at[700])
    assert outcome.difference.columns == {"rsi_14", "sma_20", "(no row)", "(no bar)"}
    assert report.audit()["differences"]["SPY"]["1d"]["rows"] == 4

    repaired = await bench.features("SPY", mode=Mode.FULL, timeframes="1d")
    counts = repaired.outcomes[0].series[0]
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 2, 1)
    await bench.assert_as_from_scratch(SPY)
    assert (await bench.features("SPY", mode=Mode.VERIFY)).exit_status == 0


async def test_verification_takes_a_sample(bench, shared_data, monkeypatch):
    monkeypatch.setattr("lib.jobs.features.SAMPLE_SERIES", 3)
    await bench.write(BTC, M1, from_file(shared_data, "crypto/BTC-USD/1m").take(slice(0, 900)))
    await bench.features("BTC")

    seen = set()
    for _ in range(12):
        report = await bench.features("BTC", mode=Mode.VERIFY)
        assert report.verified == len(report.outcomes[0].series) == 3
        seen |= {one.timeframe for one in report.outcomes[0].series}

    assert len(seen) > 3


# --- killed


async def test_a_killed_run_is_continued_by_the_next(bench, command, feature_gate):
    bars = steps(1_522_800_000_000, 220_000, 60_000)
    async with bench.database.connection() as connection:
        series, now = Series("BTC", M1), datetime.now(UTC)
        await write_bars(connection, series, bars, Bars.empty(), source=VENDOR, fetched_at=now)
    seen = [0]
    for pages in (1, 3):
        await feature_gate.stand_before(from_ms(int(bars.t[pages * PAGE_BARS])))
        process = await command.start("backfill_features.py", "--symbols", "BTC", "--output", "a.json")
        await feature_gate.reached()
        process.kill()
        await command.end(process)
        seen.append(await reached(bench))
    await feature_gate.stand_before(from_ms(int(bars.t[-1]) + 60_000))

    finished = await command("backfill_features.py", "--symbols", "BTC", "--output", "a.json")

    assert finished.status == 0, finished.stderr
    # the end of a page lies right after its last bar
    assert seen == [0, *(int(bars.t[pages * PAGE_BARS - 1]) + 1 for pages in (1, 3))]
    assert await bench.assert_as_from_scratch(BTC) == len(bars)


async def reached(bench):
    """The stamp (ms) before which rows are current; rows beyond it are not there, for they commit with it."""
    rows = await bench.fetch(
        """SELECT upper(computed) AS reached, (SELECT max(timestamp) FROM market_data_v2) AS last
           FROM feature_state"""
    )
    assert all(row["last"] < row["reached"] for row in rows)
    return to_ms(rows[0]["reached"]) if rows else 0
