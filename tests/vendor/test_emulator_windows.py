"""The emulator's windows and sessions, against pandas and exchange_calendars."""

from datetime import UTC, date, datetime

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from lib.bars import NO_TRADES, Bars
from lib.vendor.emulator import nyse
from lib.vendor.emulator.folder import FolderMarket
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.vendor.emulator.windows import EASTERN, UTC_ZONE, Unit, Windows, midnight_of, unit_end, unit_floor

FAR = 2**50


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


def table(bars: Bars) -> pd.DataFrame:
    columns = {
        name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "vwap", "trades")
    }
    frame = pd.DataFrame(columns, index=pd.to_datetime(bars.t, unit="ms", utc=True))
    return frame.assign(turnover=frame.vwap * frame.volume)


def pandas_roll_up(bars: Bars, key: pd.Series) -> pd.DataFrame:
    frame = table(bars)
    rolled = frame.groupby(key.to_numpy()).agg(
        {
            "open": "first",
            "high": "max",
            "low": "min",
            "close": "last",
            "volume": "sum",
            "trades": "sum",
            "turnover": "sum",
        }
    )
    return rolled.assign(vwap=rolled.turnover / rolled.volume)


def assert_same(ours: Bars, theirs: pd.DataFrame) -> None:
    stamps = pd.DatetimeIndex(theirs.index).as_unit("ms").asi8
    assert ours.t.tolist() == stamps.tolist()
    for name in ("open", "high", "low", "close"):
        assert getattr(ours, name).tolist() == theirs[name].tolist(), name
    np.testing.assert_allclose(ours.volume, theirs.volume, rtol=1e-14)
    assert ours.trades.tolist() == theirs.trades.tolist()
    np.testing.assert_allclose(ours.vwap, theirs.vwap, rtol=1e-12)


@pytest.mark.parametrize("ticker", ["AAPL", "UGA", "X:BTCUSD"])
@pytest.mark.parametrize(
    ("multiplier", "unit"), [(5, Unit.MINUTE), (30, Unit.MINUTE), (1, Unit.HOUR), (4, Unit.HOUR)]
)
def test_minutes_roll_up_as_in_pandas_across_the_change_of_clocks(ticker, multiplier, unit):
    start = ms(2024, 3, 7)
    bars = SimulatedMarket(7).minutes(ticker, start, ms(2024, 3, 13), 50_000)

    step = f"{multiplier}{'min' if unit is Unit.MINUTE else 'h'}"
    expected = pandas_roll_up(bars, table(bars).index.floor(step).to_series())
    assert_same(Windows(start, multiplier, unit, EASTERN).roll_up(bars), expected)


@pytest.mark.parametrize(("ticker", "zone"), [("SPY", EASTERN), ("X:ETHUSD", UTC_ZONE)])
@pytest.mark.parametrize(
    ("unit", "alias"), [(Unit.WEEK, "W-SAT"), (Unit.MONTH, "M"), (Unit.QUARTER, "Q-DEC"), (Unit.YEAR, "Y")]
)
def test_days_roll_up_as_in_pandas(ticker, zone, unit, alias):
    start = unit_floor(ms(2022, 1, 15), unit, zone)
    bars = SimulatedMarket(7).days(ticker, start, ms(2024, 7, 1), 50_000)

    local = table(bars).index.tz_convert(zone).tz_localize(None)
    begins = local.to_period(alias).start_time.tz_localize(zone).tz_convert("UTC")
    assert_same(Windows(start, 1, unit, zone).roll_up(bars), pandas_roll_up(bars, begins.to_series()))


def test_weeks_begin_on_sunday_new_york_whatever_the_offset():
    # The week of the change of clocks of 2025-03-09 begins at 05:00Z, the one after at 04:00Z.
    assert unit_floor(ms(2025, 3, 12), Unit.WEEK, EASTERN) == ms(2025, 3, 9, 5)
    assert unit_end(ms(2025, 3, 12), Unit.WEEK, EASTERN) == ms(2025, 3, 16, 4)
    assert unit_floor(ms(2025, 3, 12), Unit.WEEK, UTC_ZONE) == ms(2025, 3, 9)


def test_hours_are_counted_from_the_start_asked_for():
    # 05:00Z, midnight in New York in winter, is no multiple of 4 h since 1970; 08:00Z is.
    stamps = np.arange(ms(2025, 1, 6, 9), ms(2025, 1, 6, 21), 3_600_000)

    for start, first in ((ms(2025, 1, 6, 5), 9), (ms(2025, 1, 6, 4), 8)):
        windows = Windows(start, 4, Unit.HOUR, EASTERN)
        begins = np.unique(windows.start(windows.index(stamps)))
        assert begins.tolist() == [ms(2025, 1, 6, hour) for hour in range(first, 21, 4)]


def test_days_of_new_york_are_23_and_25_hours_long_at_the_change_of_clocks():
    spring, autumn = ((date(2024, m, d) - nyse.EPOCH).days for m, d in ((3, 10), (11, 3)))

    assert midnight_of(spring + 1, EASTERN) - midnight_of(spring, EASTERN) == 23 * 3_600_000
    assert midnight_of(autumn + 1, EASTERN) - midnight_of(autumn, EASTERN) == 25 * 3_600_000


def test_a_window_with_unknown_vwap_or_trades_has_none():
    columns = {name: np.array([1.0, 1.0, 1.0]) for name in ("open", "high", "low", "close")}
    bars = Bars(
        t=np.array([0, 60_000, 300_000]),
        volume=np.array([1.0, 1.0, 0.0]),
        vwap=np.array([1.0, np.nan, 1.0]),
        trades=np.array([3, NO_TRADES, 0]),
        **columns,
    )
    rolled = Windows(0, 5, Unit.MINUTE, UTC_ZONE).roll_up(bars)

    assert np.isnan(rolled.vwap).tolist() == [True, True]  # unknown; nothing traded
    assert rolled.trades.tolist() == [NO_TRADES, 0]


def test_sums_do_not_depend_on_the_order_of_addition():
    values = np.array([1e16, 1.0, -1e16, 0.5])  # left to right in doubles: 0.5; exactly: 1.5
    bars = Bars(np.arange(4) * 60_000, values, values, values, values, values, values, np.ones(4, np.int64))

    assert Windows(0, 5, Unit.MINUTE, UTC_ZONE).roll_up(bars).volume.tolist() == [1.5]


def test_sessions_are_those_of_exchange_calendars():
    calendar = exchange_calendars.get_calendar("XNYS", start="2003-01-01", end="2027-10-31")
    first, end = ((day - nyse.EPOCH).days for day in (date(2003, 1, 1), date(2027, 11, 1)))
    days, early = nyse.sessions(first, end)

    assert days.tolist() == calendar.sessions.to_numpy().astype("M8[D]").astype(int).tolist()
    assert days[early].tolist() == calendar.early_closes.to_numpy().astype("M8[D]").astype(int).tolist()


@pytest.mark.parametrize(("ticker", "zone"), [("SPY", EASTERN), ("UGA", EASTERN), ("X:BTCUSD", UTC_ZONE)])
@pytest.mark.parametrize(("multiplier", "unit", "alias"), [(15, Unit.MINUTE, "15min"), (4, Unit.HOUR, "4h")])
def test_recorded_minutes_roll_up_as_in_pandas(shared_data, ticker, zone, multiplier, unit, alias):
    bars = FolderMarket(shared_data).minutes(ticker, 0, FAR, 10**6)

    rolled = Windows(0, multiplier, unit, zone).roll_up(bars)
    expected = pandas_roll_up(bars, table(bars).index.floor(alias).to_series())
    expected["trades"] = NO_TRADES  # the files have neither trades nor vwap
    expected["vwap"] = np.nan
    assert len(rolled) > 10
    assert_same(rolled, expected)
