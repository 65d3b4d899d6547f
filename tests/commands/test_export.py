"""``scripts/export_bars.py`` as a real process, and ``read_bars``: what comes out is what is stored."""

import asyncio
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lib.actions import Dividend, Split
from lib.bars import NO_TRADES, Bars
from lib.clock import SystemClock
from lib.commands.export import app
from lib.errors import SymbolUnknown, UsageError
from lib.jobs.frame import read_bars
from lib.store.actions import ActionStore, Listed
from lib.store.bars import VENDOR, Series, write_bars
from lib.store.outage import Outage
from lib.store.reading import PAGE_BARS
from lib.timeframe import MINUTE_MS, Timeframe
from lib.zones import NEW_YORK, midnight_ms

SCRIPT = "scripts/export_bars.py"
MINUTES = PAGE_BARS + 1000
SPLIT_DAY, EX_DAY = date(2024, 3, 4), date(2024, 3, 6)  # a Monday and a Wednesday
FIRST = midnight_ms(date(2024, 2, 1), NEW_YORK)


def made(t, price):
    n = len(t)
    price = np.asarray(price, np.float64) * np.ones(n)
    vwap = np.where(np.arange(n) % 7 == 0, np.nan, price)
    trades = np.where(np.arange(n) % 5 == 0, NO_TRADES, 3)
    return Bars(np.array(t, np.int64), price, price * 1.5, price / 2, price, np.full(n, 10.5), vwap, trades)


def days():
    dates = [date(2024, 2, 1) + timedelta(days=n) for n in range(60)]
    return [midnight_ms(day, NEW_YORK) for day in dates if day.weekday() < 5]


@pytest.fixture
async def filled(database_url):
    """KO halved by a split and paying a dividend; 1m of more than a page, 1d, and 1w made of it."""
    connection = await asyncpg.connect(database_url)
    minutes = made([FIRST + n * MINUTE_MS for n in range(MINUTES)], 100)
    t = np.array(days())
    daily = made(t, np.where(t < midnight_ms(SPLIT_DAY, NEW_YORK), 100.0, 50.0))
    sundays = [midnight_ms(date(2024, 2, 25) + timedelta(weeks=n), NEW_YORK) for n in range(3)]
    now = datetime.now(UTC)
    for timeframe, bars in (
        (Timeframe.M1, minutes),
        (Timeframe.D1, daily),
        (Timeframe.W1, made(sundays, 50)),
    ):
        series = Series("KO", Timeframe(timeframe))
        await write_bars(connection, series, bars, Bars.empty(), source=VENDOR, fetched_at=now)

    class Connecting:
        async def __aenter__(self):
            return connection

        async def __aexit__(self, *error): ...

    store = ActionStore(Connecting, Outage("test", SystemClock(), 0))
    split = Split("S1", "KO", SPLIT_DAY, Decimal(1), Decimal(2))
    await store.write(Listed(Split, ["KO"], None, [split]), now)
    await store.write(Listed(Dividend, ["KO"], None, [Dividend("D1", "KO", EX_DAY, Decimal("0.5"))]), now)
    yield connection
    await connection.close()


async def exported(command, tmp_path, *options, **settings):
    path = tmp_path / "bars.out"
    done = await command(SCRIPT, "--symbols", "KO", "--output", path, *options, **settings)
    assert done.status == 0, done.stderr
    return done, path


async def test_raw_minutes_in_parquet_are_the_table_to_the_last_digit(command, filled, tmp_path):
    done, path = await exported(command, tmp_path, "--timeframe", "1m", "--basis", "raw", "--json")

    assert done.result["rows"] == MINUTES and done.result["series"] == {"KO": {"1m": MINUTES}}
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 2, "written page by page"
    frame = pd.read_parquet(path)
    rows = await filled.fetch(
        """SELECT symbol, timeframe, timestamp, open, high, low, close, volume, vwap, trades FROM market_data
           WHERE timeframe = '1m' ORDER BY timestamp"""
    )
    assert list(frame.columns) == list(rows[0].keys())
    assert (frame.timestamp.astype("int64").to_numpy() == FIRST + np.arange(MINUTES) * MINUTE_MS).all()
    assert str(frame.timestamp.dt.tz) == "UTC"
    for name in ("open", "high", "low", "close", "volume", "vwap", "trades"):
        stored = [np.nan if row[name] is None else row[name] for row in rows]
        np.testing.assert_array_equal(frame[name].to_numpy(float), np.array(stored, float))
    assert pq.read_schema(path).metadata[b"basis"] == b"raw"


async def test_csv_is_read_back_to_the_last_digit_and_goes_to_stdout_too(command, filled, tmp_path):
    _, path = await exported(command, tmp_path, "--timeframe", "1d", "--format", "csv")
    piped = await command(
        SCRIPT, "--symbols", "KO", "--timeframe", "1d", "--format", "csv", "--output", "-", "--quiet"
    )

    assert piped.stdout == path.read_text()
    assert path.read_text().startswith("symbol,timeframe,timestamp,open,high,low,close,volume,vwap,trades\n")
    assert "\nKO,1d,2024-02-01T05:00:00Z,50.0,75.0,25.0,50.0,21.0,,\n" in path.read_text()
    frame = pd.read_csv(io.StringIO(piped.stdout), float_precision="round_trip")
    rows = await filled.fetch("SELECT * FROM market_data_adjusted WHERE timeframe = '1d' ORDER BY timestamp")
    assert frame.close.tolist() == [row["close"] for row in rows] == [50.0] * len(rows)


async def test_a_file_that_cannot_be_finished_leaves_the_old_one(command, filled, tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text("the old one")

    done = await command(SCRIPT, "--symbols", "KO,NOBODY", "--format", "csv", "--output", path)

    assert done.status == 1 and "not tracked: NOBODY" in done.stderr
    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".tmp"] == []


async def test_nothing_goes_to_stdout_where_nothing_is_exported(command, filled):
    words = (SCRIPT, "--format", "csv", "--output", "-", "--quiet", "--symbols")
    unknown = await command(*words, "KO,NOBODY")
    empty = await command(*words, "KO", "--start", "2099-01-01")

    assert (unknown.status, unknown.stdout) == (1, "")
    assert (empty.status, len(empty.stdout.splitlines())) == (0, 1), "the head alone"


@pytest.mark.parametrize(
    "options",
    [
        ["--output", "-"],  # Parquet
        ["--output", "-", "--format", "csv", "--json"],
        ["--output", "/nowhere/file"],
        ["--output", "file", "--start", "2024-02-02", "--end", "2024-02-01"],
        ["--output", "file", "--timeframe", "2h"],
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(options):
    nowhere = "postgresql://127.0.0.1:1/none"
    done = CliRunner().invoke(app, ["--symbols", "KO", "--database-url", nowhere, *options])

    assert done.exit_code == 2


async def test_a_symbol_without_bars_is_warned_about(command, filled, tmp_path):
    done, path = await exported(command, tmp_path, "--timeframe", "1d", "--start", "2030-01-01", "--quiet")

    assert "KO has no bars of 1d in the dates asked for" in done.stderr
    assert len(pd.read_parquet(path)) == 0


def in_thread(*arguments, **options):
    return asyncio.to_thread(read_bars, *arguments, **options)


async def test_a_frame_holds_the_dates_asked_for_on_the_basis_asked_for(filled, database_url):
    def frame(**options):
        return in_thread(
            "KO", "1d", start="2024-02-28", end=date(2024, 3, 7), database_url=database_url, **options
        )

    raw, adjusted, total = await frame(basis="raw"), await frame(), await frame(basis="total-return")

    assert [f"{t:%m-%d}" for t in raw.index] == [
        "02-28",
        "02-29",
        "03-01",
        "03-04",
        "03-05",
        "03-06",
        "03-07",
    ]
    assert str(raw.index.tz) == "UTC" and raw.index.name == "timestamp"
    assert raw.close.tolist() == [100] * 3 + [50] * 4
    assert adjusted.close.tolist() == [50] * 7
    factor = 1 - 0.5 / 50
    assert total.close.tolist() == pytest.approx([50 * factor] * 5 + [50] * 2, rel=1e-15)
    assert total.high.tolist() == pytest.approx([75 * factor] * 5 + [75] * 2, rel=1e-15)
    assert total.volume.tolist() == adjusted.volume.tolist() == [21] * 3 + [10.5] * 4
    assert list(raw.columns) == ["open", "high", "low", "close", "volume", "vwap", "trades"]
    assert raw.trades.isna().tolist() == [n % 5 == 0 for n in range(19, 26)]
    assert str(raw.trades.dtype) == "Int64"

    before = await frame(as_of=datetime(2024, 3, 5, 12, tzinfo=UTC), basis="total-return")
    assert before.close.tolist() == [50] * 7, "the dividend of the day after does not count yet"


async def test_a_week_with_an_ex_date_inside_is_of_one_basis_too(filled, database_url):
    weeks = await in_thread("KO", "1w", basis="total-return", database_url=database_url)

    factor = 1 - 0.5 / 50
    # Week of 2024-02-25: before both. 2024-03-03: ex date on Wednesday, from its days. 2024-03-10: after.
    assert weeks.close.tolist() == pytest.approx([25 * factor, 50, 50], rel=1e-15)
    assert weeks.open.tolist() == pytest.approx([25 * factor, 50 * factor, 50], rel=1e-15)
    assert weeks.low.tolist() == pytest.approx([12.5 * factor, 25 * factor, 25], rel=1e-15)

    await filled.execute("DELETE FROM market_data WHERE timeframe = '1d' AND timestamp > '2024-03-03'")
    weeks = await in_thread("KO", "1w", basis="total-return", database_url=database_url)
    assert np.isnan(weeks.close.iloc[1]), "unknown rather than of two bases"


async def test_features_come_beside_the_bars(filled, database_url, command, tmp_path):
    await filled.execute(
        """INSERT INTO market_data_v2
               (symbol, timeframe, timestamp, computed_at, open, high, low, close, volume, rsi_14)
           SELECT symbol, timeframe, timestamp, now(), open, high, low, close, volume, 55.5
           FROM market_data_adjusted WHERE timeframe = '1d' AND timestamp >= '2024-02-06'"""
    )

    frame = await in_thread("KO", "1d", features=True, database_url=database_url)
    _, path = await exported(command, tmp_path, "--timeframe", "1d", "--features")

    assert frame.rsi_14.isna().sum() == 3 and set(frame.rsi_14.dropna()) == {55.5}
    stored = pd.read_parquet(path)
    assert list(stored.columns[3:]) == list(frame.columns)
    assert stored.rsi_14.isna().tolist() == frame.rsi_14.isna().tolist()


async def test_an_empty_frame_has_its_columns(database_url):
    frame = await in_thread("SPY", database_url=database_url)

    assert len(frame) == 0 and "close" in frame and str(frame.index.tz) == "UTC"


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("NOBODY",), {}, SymbolUnknown),
        (("KO", "1d,1h"), {}, UsageError),
        (("KO",), {"basis": "real"}, UsageError),
        (("KO",), {"start": "yesterday"}, UsageError),
    ],
)
async def test_a_frame_of_what_there_is_not_is_an_error(arguments, options, error, database_url):
    with pytest.raises(error):
        await in_thread(*arguments, **options, database_url=database_url)
