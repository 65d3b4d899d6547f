"""The table of features: its columns, what is written into it, and what makes rows stale."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from lib import sql
from lib.bars import NO_TRADES, Bars
from lib.clock import from_ms
from lib.indicators import FEATURES, compute
from lib.sessions import always_open_table
from lib.store.answers import Answer, write_answer
from lib.store.bars import VENDOR, Series, write_bars
from lib.store.feature_rows import NAMES, Page, compare, read_rows, write_rows
from lib.store.features import EVER, FeatureStore, mark_stale, mark_written
from lib.symbols import AssetClass, Instrument
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.zones import day_of

BTC = Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD")
M1, H1 = Timeframe.M1, Timeframe.H1
MINUTES = Series("BTC", M1)
FIRST = 1_700_006_400_000  # a midnight
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def walk(n, start_ms=FIRST, seed=1):
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.003, n))), 2)
    opens = np.r_[close[0], close[:-1]]
    return Bars(
        start_ms + np.arange(n) * MINUTE_MS,
        opens,
        np.maximum(opens, close),
        np.minimum(opens, close),
        close,
        random.integers(0, 900, n).astype(np.float64),
        np.where(random.random(n) < 0.2, np.nan, close),
        np.where(random.random(n) < 0.1, NO_TRADES, 5),
    )


def page_of(bars):
    return Page(bars, compute(bars, 525_600.0))


@pytest.fixture
async def connection(database):
    async with database.connection() as connection:
        yield connection


async def put(connection, page, stored=None):
    return await write_rows(connection, MINUTES, page, stored or Page.empty(), NOW)


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours.bars.t, theirs.bars.t)
    for name in ("open", "high", "low", "close", "volume", "vwap", "trades"):
        np.testing.assert_array_equal(getattr(ours.bars, name), getattr(theirs.bars, name), name)
    for name in NAMES:
        np.testing.assert_array_equal(ours.values[name], theirs.values[name], name)


class TestTable:
    async def test_it_has_a_column_for_each_feature_in_their_order(self, connection):
        rows = await connection.fetch(
            """SELECT column_name, data_type, is_nullable FROM information_schema.columns
               WHERE table_name = 'market_data_v2' ORDER BY ordinal_position"""
        )
        names = [row["column_name"] for row in rows]

        first = names.index(FEATURES[0].name)
        assert names[first : first + len(FEATURES)] == [feature.name for feature in FEATURES]
        features = rows[first : first + len(FEATURES)]
        assert {(row["data_type"], row["is_nullable"]) for row in features} == {("double precision", "YES")}
        assert set(names) - set(NAMES) == {
            *("symbol", "timeframe", "timestamp", "open", "high", "low", "close", "volume", "vwap", "trades"),
            "computed_at",
        }

    def test_the_query_reads_them_in_the_order_in_which_they_are_decoded(self):
        read = re.findall(r"coalesce\((\w+), ", sql.load("read_features"))

        assert read == ["open", "high", "low", "close", "volume", "vwap", "trades", *NAMES]


class TestRows:
    async def test_what_is_written_is_what_is_read(self, connection):
        page = page_of(walk(400))

        written = await put(connection, page)

        assert (written.inserted, written.updated, written.deleted) == (400, 0, 0)
        assert_same(await read_rows(connection, MINUTES, EVER), page)

    async def test_what_has_no_value_is_null_and_never_nan(self, connection):
        page = page_of(walk(400))
        await put(connection, page)

        for feature in FEATURES:
            nulls = f"SELECT count(*) FILTER (WHERE {feature.name} IS NULL) FROM market_data_v2"
            assert await connection.fetchval(nulls) == feature.warmup, feature.name
            nans = f"SELECT count(*) FROM market_data_v2 WHERE {feature.name} = 'NaN'"
            assert await connection.fetchval(nans) == 0, feature.name
        unknown = int(np.isnan(page.bars.vwap).sum()), int((page.bars.trades == NO_TRADES).sum())
        query = """SELECT count(*) FILTER (WHERE vwap IS NULL), count(*) FILTER (WHERE trades IS NULL)
                   FROM market_data_v2"""
        assert tuple(await connection.fetchrow(query)) == unknown
        assert min(unknown) > 10

    async def test_only_what_is_new_or_differs_is_written(self, connection):
        bars = walk(600)
        await put(connection, page_of(bars.take(slice(0, 500))))
        query = "SELECT timestamp, xmin::text FROM market_data_v2 ORDER BY 1"
        before = await connection.fetch(query)
        later = bars.close.copy()
        later[450] = bars.low[450]
        changed = page_of(replace(bars, close=later))
        stored = await read_rows(connection, MINUTES, EVER)

        written = await put(connection, changed, stored)

        assert (written.inserted, written.deleted) == (100, 0)
        after = await connection.fetch(query)
        assert before[:450] == after[:450]
        assert 30 < written.updated <= 50
        assert_same(await read_rows(connection, MINUTES, EVER), changed)

    async def test_rows_that_have_lost_their_bar_are_removed(self, connection):
        page = page_of(walk(300))
        await put(connection, page)
        kept = page.take(np.arange(300) != 200)

        written = await put(connection, kept, await read_rows(connection, MINUTES, EVER))

        assert (written.inserted, written.updated, written.deleted) == (0, 0, 1)
        assert_same(await read_rows(connection, MINUTES, EVER), kept)

    def test_a_rounding_that_comes_from_where_a_computation_began_is_no_difference(self):
        page = page_of(walk(300))
        rounded = replace(page, values={**page.values, "macd": page.values["macd"] * (1 + 1e-12)})
        moved = replace(page, values={**page.values, "macd": page.values["macd"] + 1e-6})

        assert not compare(rounded, page).changed.any()
        assert compare(moved, page).changed.sum() == 300 - 33
        assert compare(moved, page).columns == ("macd",)

    def test_a_value_that_is_gone_or_has_come_is_a_difference(self):
        page = page_of(walk(300))
        gone = replace(page, values={**page.values, "sma_20": np.full(300, np.nan)})

        assert compare(gone, page).changed.sum() == compare(page, gone).changed.sum() == 281


@pytest.fixture
async def store(database):
    """A store in which the features of 3,000 minutes of BTC are current up to the last, by the book."""
    bars = walk(3_000)
    store = FeatureStore(database)
    async with database.connection() as connection:
        await write_bars(connection, MINUTES, bars, Bars.empty(), source=VENDOR, fetched_at=NOW)
        await write_rows(connection, MINUTES, page_of(bars), Page.empty(), NOW)
    for timeframe in (M1, H1):
        async with store.writing(Series("BTC", timeframe), NOW) as features:
            await features.conclude(1, "basis", [(0, int(bars.t[-1]) + 1)], NOW)
    return store


async def computed(store, timeframe=M1):
    state = (await store.states([Series("BTC", timeframe)], NOW))[Series("BTC", timeframe)]
    return list(state.computed), state.changes


END = FIRST + 2_999 * MINUTE_MS + 1


class TestState:
    async def test_a_series_without_features_or_bars_has_an_empty_state(self, store):
        states = await store.states([Series("ETH", M1), Series("BTC", Timeframe.D1)], NOW)

        assert {(s.computed, s.changes, s.last_bar_ms) for s in states.values()} == {((), None, None)}

    async def test_the_newest_bar_is_seen(self, store):
        [state] = (await store.states([MINUTES], NOW)).values()

        assert state.last_bar_ms == FIRST + 2_999 * MINUTE_MS

    async def test_what_a_stamp_makes_stale_is_all_that_follows_it(self, store, connection):
        at = FIRST + 700 * MINUTE_MS

        await mark_written(connection, "BTC", {M1: at})

        assert await computed(store) == ([(0, at)], 1)
        assert await computed(store, H1) == ([(0, END)], 0)

    async def test_a_stamp_beyond_the_current_rows_is_noted_and_makes_none_stale(self, store, connection):
        await mark_written(connection, "BTC", {M1: END + 5})

        assert await computed(store) == ([(0, END)], 1)

    async def test_older_history_makes_all_stale(self, store, connection):
        async with store.writing(MINUTES, NOW) as features:
            await features.conclude(1, "basis", [(FIRST, END)], NOW)

        await mark_written(connection, "BTC", {M1: FIRST - DAY_MS})

        assert (await computed(store))[0] == []

    async def test_a_symbol_can_be_made_stale_in_all_timeframes(self, store, connection):
        await mark_stale(connection, "BTC")

        assert [await computed(store, timeframe) for timeframe in (M1, H1)] == [([], 1), ([], 1)]

    async def test_a_part_of_them_can_be_made_stale(self, store, connection):
        await mark_stale(connection, "BTC", [H1], FIRST)

        assert await computed(store) == ([(0, END)], 0)
        assert await computed(store, H1) == ([(0, FIRST)], 1)

    async def test_pieces_stay_pieces(self, store, connection):
        pieces = [(FIRST, FIRST + 100), (FIRST + 200, FIRST + 300)]
        async with store.writing(MINUTES, NOW) as features:
            await features.conclude(1, "basis", pieces, NOW)
        assert (await computed(store))[0] == pieces

        await mark_written(connection, "BTC", {M1: FIRST + 250})

        assert (await computed(store))[0] == [(FIRST, FIRST + 100), (FIRST + 200, FIRST + 250)]


class TestMarking:
    """The write path tells the features what it wrote."""

    async def write(self, connection, bars, *, derive=True):
        table = always_open_table(day_of(0), day_of(40_000))
        span = int(bars.t[0]), int(bars.t[-1]) + MINUTE_MS
        async with connection.transaction():
            await write_answer(connection, Answer(BTC, M1, *span, bars, (), NOW), table, derive=derive)

    async def test_an_unchanged_answer_makes_nothing_stale(self, store, connection):
        async with store.writing(MINUTES, NOW) as features:
            await features.conclude(1, "basis", [(0, END)], NOW)

        await self.write(connection, walk(3_000), derive=False)

        assert await computed(store) == ([(0, END)], 0)

    async def test_a_changed_bar_makes_it_and_what_follows_stale_in_every_timeframe_it_changes(
        self, store, connection
    ):
        await self.write(connection, walk(3_000))
        async with store.writing(Series("BTC", H1), NOW) as features:
            await features.conclude(1, "basis", [(0, END)], NOW)
        bars, at = walk(3_000), 1_234
        bars.volume[at] += 3

        await self.write(connection, bars)

        assert (await computed(store))[0] == [(0, FIRST + at * MINUTE_MS)]
        assert (await computed(store, H1))[0] == [(0, FIRST + at // 60 * 60 * MINUTE_MS)]

    async def test_a_late_bar_makes_it_and_what_follows_stale(self, store, connection):
        stamp = from_ms(FIRST + 50 * MINUTE_MS)
        await connection.execute("DELETE FROM market_data WHERE timestamp = $1", stamp)
        await self.write(connection, walk(3_000), derive=False)

        assert await computed(store) == ([(0, FIRST + 50 * MINUTE_MS)], 1)

    async def test_it_is_undone_with_the_bars(self, store, connection):
        bars = walk(3_000)
        bars.volume[:] += 1

        with pytest.raises(RuntimeError, match="too late"):
            async with connection.transaction():
                await self.write(connection, bars)
                raise RuntimeError("too late")

        assert await computed(store) == ([(0, END)], 0)

    async def test_it_takes_one_statement_and_an_index(self, connection):
        await connection.execute(
            """INSERT INTO feature_state (symbol, timeframe, version, basis, computed, computed_at)
               SELECT 'S' || n, tf, 1, '', '{}', now()
               FROM generate_series(1, 2000) AS n, unnest('{1m,5m,1d}'::text[]) AS tf"""
        )
        await connection.execute("ANALYZE feature_state")
        stamps = [from_ms(FIRST)] * 6

        plan = await connection.fetch(
            "EXPLAIN "
            + sql.load("mark_features_stale")
            .replace("$1", "'S77'")
            .replace("$2::text[]", "'{1m,5m,15m,30m,1h,4h}'::text[]")
            .replace("$3::timestamptz[]", f"ARRAY['{stamps[0]}'::timestamptz]")
        )

        text = "\n".join(row[0] for row in plan)
        assert "Seq Scan on feature_state" not in text, text


class TestBarsForAPage:
    async def read(self, store, span, lookback, limit, monkeypatch, few=None):
        if few is not None:
            monkeypatch.setattr("lib.store.features.FEW_BARS", few)
        async with store.reading(MINUTES, NOW) as features:
            return await features.bars(span, lookback=lookback, limit=limit)

    @pytest.mark.parametrize("few", [0, 10**9], ids=["by COPY", "as arrays"])
    async def test_a_page_comes_with_the_bars_it_looks_back_to(self, store, monkeypatch, few):
        start = FIRST + 1_000 * MINUTE_MS

        page = await self.read(store, (start, END), 100, 50, monkeypatch, few)
        first = await self.read(store, (0, END), 100, 50, monkeypatch, few)
        last = await self.read(store, (END - MINUTE_MS, END), 2_000, 50, monkeypatch, few)
        none = await self.read(store, (0, FIRST), 100, 50, monkeypatch, few)

        everything = walk(3_000)
        for got, want in ((page, (900, 1_050)), (first, (0, 50)), (last, (999, 3_000)), (none, (0, 0))):
            expected = everything.take(slice(*want))
            for name in ("t", "open", "close", "volume", "vwap", "trades"):
                np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), name)

    @pytest.mark.parametrize("few", [0, 10**9], ids=["by COPY", "as arrays"])
    async def test_bars_without_a_price_count_as_none_in_looking_back(
        self, store, connection, monkeypatch, few
    ):
        await connection.execute(
            "UPDATE market_data SET low = 0 WHERE timestamp BETWEEN $1 AND $2",
            from_ms(FIRST + 900 * MINUTE_MS),
            from_ms(FIRST + 999 * MINUTE_MS),
        )
        start = FIRST + 1_000 * MINUTE_MS

        page = await self.read(store, (start, END), 50, 30, monkeypatch, few)

        assert len(page) == 50 + 100 + 30
        assert page.t[0] == FIRST + 850 * MINUTE_MS

    async def test_where_the_sums_go_on_from(self, store, connection):
        async with store.reading(MINUTES, NOW) as features:
            expected = (await read_rows(connection, MINUTES, EVER)).values["obv"]
            assert features.known == (END - 1, expected[-1])
            assert await features.obv_before(FIRST + 60_000) == (FIRST, expected[0])
            assert await features.obv_before(FIRST) is None
        await mark_written(connection, "BTC", {M1: FIRST + 10 * MINUTE_MS})
        async with store.reading(MINUTES, NOW) as features:
            assert features.known == (FIRST + 9 * MINUTE_MS, expected[9])
