import numpy as np
import pandas as pd
import pytest

from lib.bars import NO_TRADES, Bars
from lib.rollup import roll_up
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, UTC_ZONE

MINUTE = 60_000
EVERYTHING = [(-(2**60), 2**60)]


def bars(t, seed=1, trades=True):
    rng = np.random.default_rng(seed)
    n = len(t)
    open_, close = rng.uniform(10, 20, n), rng.uniform(10, 20, n)
    return Bars(
        np.array(t, np.int64),
        open_,
        np.maximum(open_, close) + 1,
        np.minimum(open_, close) - 1,
        close,
        rng.integers(1, 1000, n).astype(float),
        rng.uniform(11, 19, n),
        rng.integers(1, 50, n) if trades else np.full(n, NO_TRADES),
    )


def by_pandas(base, rule):
    frame = pd.DataFrame(
        {name: getattr(base, name) for name in ("open", "high", "low", "close", "volume", "trades")}
    )
    frame["turnover"] = base.vwap * base.volume
    frame.index = pd.to_datetime(base.t, unit="ms", utc=True)
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    rolled = frame.resample(rule, origin="epoch").agg(
        {**how, "volume": "sum", "trades": "sum", "turnover": "sum"}
    )
    return rolled.dropna(subset="open")


@pytest.mark.parametrize(
    ("timeframe", "rule"),
    [("5m", "5min"), ("15m", "15min"), ("30m", "30min"), ("1h", "1h"), ("4h", "4h")],
)
def test_equals_a_pandas_resample_with_minutes_missing(timeframe, rule):
    kept = np.flatnonzero(np.random.default_rng(2).random(6000) < 0.4)
    base = bars(1_299_900_000_000 + kept * MINUTE)

    got = roll_up(base, Timeframe(timeframe), UTC_ZONE, EVERYTHING)

    want = by_pandas(base, rule)
    assert (got.t == want.index.as_unit("ms").asi8).all()
    for name in ("open", "high", "low", "close", "volume", "trades"):
        assert (getattr(got, name) == want[name].to_numpy()).all(), name
    np.testing.assert_allclose(got.vwap, (want["turnover"] / want["volume"]).to_numpy(), rtol=1e-14)


def test_a_window_that_is_not_covered_whole_has_no_bar():
    base = bars([k * MINUTE for k in range(10)])

    got = roll_up(base, Timeframe.M5, UTC_ZONE, [(0, 9 * MINUTE)])

    assert got.t.tolist() == [0]


def test_a_covered_window_needs_no_bar_in_its_last_minute():
    base = bars([0, 1 * MINUTE])

    assert len(roll_up(base, Timeframe.M5, UTC_ZONE, [(0, 5 * MINUTE)])) == 1


def test_unknown_vwap_or_trades_of_one_minute_make_those_of_the_window_unknown():
    base = bars([0, MINUTE, 5 * MINUTE])
    base.vwap[1], base.trades[1] = np.nan, NO_TRADES

    got = roll_up(base, Timeframe.M5, UTC_ZONE, EVERYTHING)

    assert np.isnan(got.vwap).tolist() == [True, False]
    assert (got.trades == NO_TRADES).tolist() == [True, False]


def test_vwap_of_a_window_without_volume_is_unknown():
    base = bars([0, MINUTE])
    base.volume[:] = 0

    assert np.isnan(roll_up(base, Timeframe.M5, UTC_ZONE, EVERYTHING).vwap).all()


def test_weeks_begin_on_sunday_in_new_york_across_a_change_of_clocks():
    days = pd.date_range("2025-03-03", "2025-03-14", freq="B", tz=NEW_YORK)
    base = bars(days.as_unit("ms").asi8)

    got = roll_up(base, Timeframe.W1, NEW_YORK, EVERYTHING)

    sundays = pd.to_datetime(got.t, unit="ms", utc=True).tz_convert(NEW_YORK)
    assert [str(day) for day in sundays] == ["2025-03-02 00:00:00-05:00", "2025-03-09 00:00:00-05:00"]
    assert got.open.tolist() == [base.open[0], base.open[5]]


def test_no_bars_give_no_bars():
    assert len(roll_up(Bars.empty(), Timeframe.H1, UTC_ZONE, EVERYTHING)) == 0


def test_another_programs_bars_off_the_grid_are_no_part_of_a_window():
    base = bars([0, MINUTE, MINUTE + 17_000, 2 * MINUTE])

    got = roll_up(base, Timeframe.M5, UTC_ZONE, EVERYTHING)

    assert got.volume.tolist() == [base.volume[[0, 1, 3]].sum()]
    assert len(roll_up(bars([17_000]), Timeframe.M5, UTC_ZONE, EVERYTHING)) == 0
