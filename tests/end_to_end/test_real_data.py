"""Real bars through the whole toolkit: equal to the last digit; derived frames to an independent sum."""

import numpy as np
import pandas as pd
import pytest

from lib.vendor.emulator.folder import FolderMarket
from tests.emulator import Emulator

MINUTES = {
    "SPY": ("2011-03-01", "2011-03-31", "etfs/SPY"),  # holds the change of clocks of 2011-03-13
    "JPM": ("2019-02-11", "2019-02-15", "stocks/JPM"),
    "AMZN": ("2019-02-11", "2019-02-15", "stocks/AMZN"),
    "UGA": ("2019-02-11", "2019-02-15", "etfs/UGA"),
    "BTC": ("2018-04-04", "2018-04-06", "crypto/BTC-USD"),
}
DAYS = {
    "SPY": ("2007-12-31", "2017-12-29", "etfs/SPY"),
    "JPM": ("2018-01-02", "2019-02-15", "stocks/JPM"),
    "AMZN": ("2018-01-02", "2019-02-15", "stocks/AMZN"),
    "UGA": ("2018-01-02", "2019-02-15", "etfs/UGA"),
    "BTC": ("2014-12-01", "2018-08-13", "crypto/BTC-USD"),
}
RULES = {"5m": "5min", "15m": "15min", "30m": "30min", "1h": "1h", "4h": "4h"}
PRICES = ["open", "high", "low", "close"]


@pytest.fixture
async def stored(workbench_of, shared_data):
    """The toolkit after it fetched everything it can of these files; by *derive*."""

    async def fill(derive):
        async with Emulator(FolderMarket(shared_data)) as emulator:
            bench = workbench_of(emulator)
            for symbol, (start, end, _) in MINUTES.items():
                report = await bench.run(symbol, "1m,5m,15m,30m,1h,4h", start, end, derive=derive)
                assert report.exit_status == 0
            for symbol, (start, end, _) in DAYS.items():
                assert (await bench.run(symbol, "1d,1w", start, end, derive=derive)).exit_status == 0
            return bench

    return fill


def read_file(shared_data, folder, timeframe):
    frame = pd.read_csv(shared_data / folder / f"{timeframe}.csv.gz", float_precision="round_trip")
    frame.index = pd.to_datetime(frame.pop("timestamp"), utc=True)
    return frame.rename(columns={"transactions": "trades"})


async def read_table(bench, symbol, timeframe):
    rows = await bench.fetch(
        """SELECT timestamp, open, high, low, close, volume, vwap, trades FROM market_data
           WHERE symbol = $1 AND timeframe = $2 ORDER BY timestamp""",
        symbol,
        timeframe,
    )
    columns = ["timestamp", *PRICES, "volume", "vwap", "trades"]
    frame = pd.DataFrame([tuple(row) for row in rows], columns=columns)
    frame.index = pd.to_datetime(frame.pop("timestamp"), utc=True)
    return frame


def rolled(frame, rule):
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return frame.resample(rule, origin="epoch", closed="left", label="left").agg(how).dropna(subset="open")


def weekly(frame, zone):
    """Sunday to Saturday, labelled by the Sunday's local midnight."""
    local = frame.tz_convert(zone)
    sundays = local.index.tz_localize(None).normalize() - pd.to_timedelta(
        (local.index.dayofweek + 1) % 7, "D"
    )
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    out = local.groupby(sundays).agg(how)
    out.index = out.index.tz_localize(zone).tz_convert("UTC")
    return out


def assert_same_bars(got, want):
    assert (got.index == want.index).all()
    for name in PRICES:
        assert (got[name].to_numpy() == want[name].to_numpy()).all(), name
    np.testing.assert_allclose(got["volume"].to_numpy(float), want["volume"].to_numpy(float), rtol=1e-14)


async def test_every_bar_of_the_files_is_stored_and_rolled_up_as_pandas_does(stored, shared_data):
    bench = await stored(derive=True)

    for symbol, (_, _, folder) in MINUTES.items():
        minutes = read_file(shared_data, folder, "1m")
        pd.testing.assert_frame_equal(
            (await read_table(bench, symbol, "1m")).astype(float),
            minutes.astype(float),
            check_exact=True,
            check_index_type=False,
            check_names=False,
        )
        for timeframe, rule in RULES.items():
            assert_same_bars(await read_table(bench, symbol, timeframe), rolled(minutes, rule))
    for symbol, (_, _, folder) in DAYS.items():
        days = read_file(shared_data, folder, "1d")
        got = await read_table(bench, symbol, "1d")
        assert_same_bars(got, days)
        zone = "UTC" if symbol == "BTC" else "America/New_York"
        whole_weeks = weekly(days, zone)
        assert_same_bars(await read_table(bench, symbol, "1w"), whole_weeks)


async def test_derived_frames_equal_what_the_vendor_answers_for_them(stored, postgres):
    derived = await stored(derive=True)
    query = """SELECT symbol, timeframe, timestamp, open, high, low, close, volume, vwap, trades
               FROM market_data WHERE timeframe NOT IN ('1m', '1d') ORDER BY 1, 2, 3"""
    ours = await derived.fetch(query)
    await derived.fetch("TRUNCATE market_data, fetch_log, session_audit")

    theirs = await (await stored(derive=False)).fetch(query)

    assert len(ours) == len(theirs) > 10_000
    for got, want in zip(ours, theirs, strict=True):
        assert tuple(got)[:7] == tuple(want)[:7]
        assert got["volume"] == pytest.approx(want["volume"], rel=1e-14)
        assert (got["vwap"] is None) == (want["vwap"] is None)


async def test_a_second_run_asks_nothing_and_writes_no_row(stored, shared_data):
    bench = await stored(derive=True)
    rows = "SELECT symbol, timeframe, timestamp, xmin::text FROM market_data ORDER BY 1, 2, 3"
    before = await bench.fetch(rows)

    async with Emulator(FolderMarket(shared_data)) as emulator:
        bench.emulator = emulator
        start, end, _ = MINUTES["SPY"]
        report = await bench.run("SPY", "1m,5m,15m,30m,1h,4h", start, end)

        assert report.exit_status == 0
        assert emulator.counts.total == 0
    assert await bench.fetch(rows) == before


async def test_bars_whose_open_lies_outside_their_range_are_kept(stored):
    bench = await stored(derive=True)

    odd = await bench.fetch(
        "SELECT timestamp::date FROM market_data WHERE symbol = 'SPY' AND timeframe = '1d' AND open < low"
    )

    assert len(odd) == 2
