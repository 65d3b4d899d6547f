"""The view of adjusted bars: right at its edges, and planned as if it were the table."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from lib.actions import Split
from lib.adjustment import split_eras
from lib.bars import NO_TRADES, Bars
from lib.store.adjusted import read_adjusted_bars, write_eras
from lib.store.bars import VENDOR, Series, write_bars
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.zones import NEW_YORK, midnight_ms

NOW = datetime(2025, 6, 2, 12, tzinfo=UTC)
EVER = (0, 4_102_444_800_000)
SPLITS = [
    Split(f"E{n}", "KO", day, Decimal(1), Decimal(new))
    for n, (day, new) in enumerate(
        [(date(2024, 3, 4), 2), (date(2024, 9, 4), 3), (date(2025, 3, 10), 7), (date(2025, 9, 3), 5)]
    )
]


def made(t, price=420.0, vwap=420.0, trades=5):
    n = len(t)
    close = np.full(n, price)
    return Bars(
        np.array(t, np.int64),
        close,
        close,
        close,
        close,
        np.full(n, 10.0),
        np.full(n, vwap),
        np.full(n, trades),
    )


def days(first, count):
    start = midnight_ms(first, NEW_YORK)
    return [midnight_ms(first + timedelta(days=n), NEW_YORK) for n in range(count)] if start else []


@pytest.fixture
async def connection(database):
    async with database.connection() as connection:
        yield connection


@pytest.fixture
def put(connection):
    async def write(timeframe, bars, symbol="KO"):
        series = Series(symbol, timeframe)
        await write_bars(connection, series, bars, Bars.empty(), source=VENDOR, fetched_at=NOW)

    return write


async def test_the_view_has_every_bar_of_the_table_tracked_or_not(connection, put):
    await put(Timeframe.D1, made(days(date(2024, 1, 1), 400)))
    await put(Timeframe.D1, made(days(date(2024, 1, 1), 400)), "NOBODY")
    await write_eras(connection, "KO", split_eras(SPLITS))

    counts = await connection.fetch("SELECT symbol, count(*) FROM market_data_adjusted GROUP BY 1 ORDER BY 1")

    assert [tuple(row) for row in counts] == [("KO", 400), ("NOBODY", 400)]


MOMENTS = {
    "before all": (datetime(2024, 3, 4, 4, 59, tzinfo=UTC), 0),
    "the last minute before the second": (datetime(2024, 9, 4, 3, 59, tzinfo=UTC), 1),
    "the first minute of its day": (datetime(2024, 9, 4, 4, tzinfo=UTC), 2),
    "the last split is to come": (NOW, 3),
    "after all": (datetime(2025, 9, 3, 4, tzinfo=UTC), 4),
}


@pytest.mark.parametrize("name", MOMENTS)
async def test_prices_are_divided_by_the_splits_between_the_bar_and_the_moment(name, connection, put):
    moment, known = MOMENTS[name]
    raw = made(days(date(2024, 2, 1), 600), vwap=np.nan, trades=NO_TRADES)
    await put(Timeframe.D1, raw)
    await write_eras(connection, "KO", split_eras(SPLITS))
    shares = np.ones(len(raw))
    for split in SPLITS[:known]:
        shares[raw.t < midnight_ms(split.day, NEW_YORK)] *= float(split.ratio)

    viewed = await read_adjusted_bars(connection, Series("KO", Timeframe.D1), *EVER, moment)

    for column in ("open", "high", "low", "close"):
        assert (getattr(viewed, column) == getattr(raw, column) / shares).all()
    assert (viewed.volume == raw.volume * shares).all()
    assert np.isnan(viewed.vwap).all() and (viewed.trades == NO_TRADES).all() and (viewed.t == raw.t).all()


async def test_an_era_ends_with_the_local_day_in_winter_and_summer(connection, put):
    stamps = [midnight_ms(date(2025, 3, 10), NEW_YORK) + n * MINUTE_MS for n in (-1, 0, 1)]
    stamps = [midnight_ms(date(2024, 3, 4), NEW_YORK) + n * MINUTE_MS for n in (-1, 0, 1)] + stamps
    await put(Timeframe.M1, made(stamps))
    await write_eras(connection, "KO", split_eras(SPLITS))

    viewed = await read_adjusted_bars(connection, Series("KO", Timeframe.M1), *EVER, NOW)

    assert viewed.close.tolist() == [10, 20, 20, 60, 420, 420]  # 420 / 42, / 21, / 21, / 7, 1, 1


async def test_a_week_of_two_bases_comes_from_its_days_and_is_null_without_them(connection, put):
    sunday = midnight_ms(date(2024, 9, 1), NEW_YORK)  # the split of that week is on Wednesday
    await put(Timeframe.W1, made([sunday - 7 * DAY_MS, sunday, sunday + 7 * DAY_MS]))
    await write_eras(connection, "KO", split_eras(SPLITS))

    viewed = await read_adjusted_bars(connection, Series("KO", Timeframe.W1), *EVER, NOW)
    assert viewed.close.tolist()[::2] == [20, 60] and np.isnan(viewed.close[1])
    row = await connection.fetchrow(
        "SELECT * FROM market_data_adjusted WHERE timeframe = '1w' AND timestamp = to_timestamp($1)",
        sunday / 1000,
    )
    assert [row[name] for name in ("open", "high", "low", "close", "volume", "vwap")] == [None] * 6

    week = days(date(2024, 9, 3), 4)  # Monday was Labor Day
    before, after = made(week[:1], 630.0, vwap=630.0), made(week[1:], 210.0, vwap=210.0)
    await put(Timeframe.D1, Bars.concat([before, after]))
    viewed = await read_adjusted_bars(connection, Series("KO", Timeframe.W1), *EVER, NOW)
    assert [viewed.open[1], viewed.high[1], viewed.low[1], viewed.close[1]] == [30, 30, 30, 30]
    assert viewed.volume[1] == 10 * 21 + 3 * 10 * 7
    assert viewed.vwap[1] == pytest.approx(30, rel=1e-15)
    assert viewed.trades[1] == 5, "of the raw week"


@pytest.fixture
async def filled(connection, put):
    """Minutes and days of a symbol with splits and of one without; enough to choose a plan for."""
    start = midnight_ms(date(2024, 1, 2), NEW_YORK)
    for symbol in ("KO", "SPY"):
        await put(Timeframe.M1, made([start + n * 10 * MINUTE_MS for n in range(20_000)]), symbol)
        await put(Timeframe.D1, made(days(date(2024, 1, 2), 250)), symbol)
    for n in range(200):
        await write_eras(connection, f"S{n}", split_eras(SPLITS))
    await write_eras(connection, "KO", split_eras(SPLITS))
    await connection.execute("ANALYZE market_data, split_eras")
    return connection


async def plan_of(connection, query):
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}")
    nodes, found = [json.loads(text)[0]["Plan"]], []
    while nodes:
        node = nodes.pop()
        found.append((node["Node Type"], node.get("Relation Name"), node.get("Index Cond", "")))
        nodes += node.get("Plans", [])
    return found


READS = {
    "a series": "WHERE symbol = 'KO' AND timeframe = '1m' ORDER BY timestamp",
    "a range": "WHERE symbol = 'SPY' AND timeframe = '1m' AND timestamp BETWEEN '2024-2-5' AND '2024-2-7'",
    "the last bars": "WHERE symbol = 'KO' AND timeframe = '1d' ORDER BY timestamp DESC LIMIT 20",
    "some symbols": "WHERE symbol IN ('KO', 'SPY') AND timeframe = '1d'",
    "a join": "JOIN (VALUES ('KO')) AS w (symbol) USING (symbol) WHERE timeframe = '1d'",
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
async def test_the_view_is_read_by_the_primary_keys(name, filled):
    for source in ("market_data_adjusted", f"adjusted_as_of('{NOW}')"):
        nodes = await plan_of(filled, f"SELECT * FROM {source} {READS[name]}")

        of_bars = [node for node in nodes if node[1] == "market_data"]
        assert of_bars, nodes
        assert all(kind != "Seq Scan" for kind, relation, _ in nodes if relation == "market_data"), nodes
        assert any("symbol" in condition and "timeframe" in condition for _, _, condition in nodes), nodes
        assert not {"Function Scan", "SubPlan"} & {kind for kind, _, _ in nodes}, (
            "the function was not inlined"
        )
        if "ORDER BY" in READS[name]:
            assert "Sort" not in {kind for kind, _, _ in nodes}, "the order of the key is lost"
