"""Every feature against numbers made elsewhere: TA-Lib for what it has, pandas or numpy for the rest."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view

from lib.bars import Bars
from lib.indicators import FEATURES, compute

FloatArray = npt.NDArray[np.float64]

PER_YEAR = 98_280.0


def simulated(n: int = 2_000) -> Bars:
    """Prices in whole cents, volumes in whole shares: ties and sums are exact in every implementation."""
    random = np.random.default_rng(7)
    close = np.round(10_000 * np.exp(np.cumsum(random.normal(0, 0.004, n))))
    open_ = np.r_[close[0], close[:-1] + random.integers(-5, 6, n - 1)]
    high = np.maximum(open_, close) + random.integers(1, 40, n)
    low = np.minimum(open_, close) - random.integers(1, 40, n)
    volume = random.integers(0, 1_000_000, n).astype(np.float64)
    vwap = np.where(random.random(n) < 0.3, np.nan, (high + low) / 2)
    return Bars(np.arange(n), open_, high, low, close, volume, vwap, np.ones(n, np.int64))


def from_file(path: Path) -> Bars:
    """The file's bars with prices in whole cents: in dollars TA-Lib's MFI sees rises between equal prices."""
    frame = pd.read_csv(path, float_precision="round_trip")
    prices = (np.round(100 * frame[name].to_numpy(np.float64)) for name in ("open", "high", "low", "close"))
    volume = frame["volume"].to_numpy(np.float64)
    unknown = np.full(len(frame), np.nan)
    return Bars(np.arange(len(frame)), *prices, volume, unknown, np.ones(len(frame), np.int64))


def expected(bars: Bars) -> dict[str, FloatArray]:
    """All features but those of holes, the way a reader of the table would check them."""
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    frame = pd.DataFrame({"o": bars.open, "h": high, "l": low, "c": close})
    return {**_by_talib(high, low, close, volume), **_by_pandas(frame), **_by_windows(bars)}


def _by_talib(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray
) -> dict[str, FloatArray]:
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    slow_k, slow_d = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    return {
        **{f"sma_{n}": talib.SMA(close, n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(close, n) for n in (12, 26)},
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": histogram,
        "rsi_14": talib.RSI(close, 14),
        "atr_14": talib.ATR(high, low, close, 14),
        "adx_14": talib.ADX(high, low, close, 14),
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "stoch_k": slow_k,
        "stoch_d": slow_d,
        "williams_r_14": talib.WILLR(high, low, close, 14),
        "cci_20": talib.CCI(high, low, close, 20),
        "roc_10": talib.ROC(close, 10),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "obv": talib.OBV(close, volume),
    }


def _by_pandas(frame: pd.DataFrame) -> dict[str, FloatArray]:
    o, h, l, c = (frame[name] for name in "ohlc")  # noqa: E741 - the columns' usual letters
    range_, move = np.log(h / l) ** 2, np.log(c / o) ** 2
    annual = np.sqrt(PER_YEAR)
    highs, lows = h.rolling(10).max(), l.rolling(10).min()
    series = {
        "return_1": c.pct_change(),
        "log_return": np.log(c / c.shift()),
        "gap": o / c.shift() - 1,
        "parkinson_20": np.sqrt(range_.rolling(20).mean() / (4 * np.log(2))) * annual,
        "garman_klass_20": np.sqrt((0.5 * range_ - (2 * np.log(2) - 1) * move).rolling(20).mean()) * annual,
        "trend_200": c / c.rolling(200).mean() - 1,
        "high_distance_20": c / h.rolling(20).max() - 1,
        "low_distance_20": c / l.rolling(20).min() - 1,
        "structure_20": (np.sign(highs - highs.shift(10)) + np.sign(lows - lows.shift(10))) / 2,
    }
    return {name: values.to_numpy() for name, values in series.items()}


def _by_windows(bars: Bars) -> dict[str, FloatArray]:
    """Window by window: what pandas gets from running sums is good to 1e-9 at best."""
    typical = (bars.high + bars.low + bars.close) / 3
    price = np.where(np.isnan(bars.vwap), typical, bars.vwap)
    closes, volumes, prices = (sliding_window_view(x, 20) for x in (bars.close, bars.volume, price))
    values = {
        "bb_percent": 0.5 + (bars.close[19:] - closes.mean(axis=1)) / (4 * closes.std(axis=1)),
        "volume_z_20": (bars.volume[19:] - volumes.mean(axis=1)) / volumes.std(axis=1, ddof=1),
        "vwap_20": (prices * volumes).sum(axis=1) / volumes.sum(axis=1),
    }
    log_returns = sliding_window_view(np.log(bars.close[1:] / bars.close[:-1]), 20)
    volatility = np.r_[np.full(20, np.nan), log_returns.std(axis=1, ddof=1)]
    past = sliding_window_view(np.floor(1000 * np.log2(volatility[20:])), 252)
    rank = 100 * np.where(past[:, :-1] == past[:, -1:], 0.5, past[:, :-1] < past[:, -1:]).mean(axis=1)
    return {
        **{name: np.r_[np.full(19, np.nan), column] for name, column in values.items()},
        "volatility_20": volatility * np.sqrt(PER_YEAR),
        "volatility_rank_252": np.r_[np.full(271, np.nan), rank],
    }


def assert_expected(bars: Bars, flat: dict[str, npt.NDArray[np.bool_]] | None = None) -> None:
    """*flat*: by feature, where a flat window makes ours the middle of the scale by definition."""
    ours, theirs = compute(bars, PER_YEAR), expected(bars)
    assert set(ours) == set(theirs) | {"bars_since_hole"}
    for name, values in theirs.items():
        compared = ~(flat or {}).get(name, np.zeros(len(bars), np.bool_))
        assert compared.mean() > 0.95, name
        np.testing.assert_array_equal(np.isnan(ours[name]), np.isnan(values), name)
        noise = 1e-10 * np.nanmedian(np.abs(values)) + 1e-13
        np.testing.assert_allclose(
            ours[name][compared], values[compared], rtol=1e-9, atol=noise, err_msg=name
        )


def test_simulated_bars() -> None:
    assert_expected(simulated())


@pytest.mark.parametrize("name", ["AAPL/1d", "GOOG/1d", "INTC/1d_splitadj"])
def test_real_days(shared_data: Path, name: str) -> None:
    assert_expected(from_file(shared_data / "stocks" / f"{name}.csv.gz"))


def test_real_minutes_with_thin_extended_hours(shared_data: Path) -> None:
    bars = from_file(shared_data / "etfs" / "SPY" / "1m.csv.gz").take(slice(0, 6_000))
    flat = talib.MAX(bars.high, 14) == talib.MIN(bars.low, 14)

    assert_expected(bars, {"williams_r_14": flat, "stoch_k": _spread(flat, 3), "stoch_d": _spread(flat, 5)})


def _spread(where: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.bool_]:
    """Where any of the last *n* values is true."""
    return pd.Series(where).rolling(n, min_periods=1).max().to_numpy() > 0


def test_the_table_says_where_values_begin() -> None:
    ours = compute(simulated(400), PER_YEAR)

    assert [feature.name for feature in FEATURES] == list(ours)
    for feature in FEATURES:
        values = ours[feature.name]
        assert int(np.isnan(values).sum()) == feature.warmup, feature.name
        assert not np.isnan(values[feature.warmup :]).any(), feature.name
