"""The twenty indicators of speed.md as others compute them: pandas with rolling and ewm, and pandas-ta-classic.

Each function gives columns by the names of ours, so that what is timed can be compared. Smoothed averages begin
with the first value instead of a mean: after a thousand bars that makes no difference.
"""

from typing import Any

import numpy as np
import pandas as pd

from lib.bars import Bars, FloatArray

Columns = dict[str, "pd.Series[float]"]


def frame_of(bars: Bars) -> pd.DataFrame:
    """The bars as other programs hold them."""
    index = pd.DatetimeIndex(bars.t.astype("datetime64[ms]"), tz="UTC")
    names = ("open", "high", "low", "close", "volume", "vwap")
    return pd.DataFrame({name: getattr(bars, name) for name in names}, index=index)


def by_pandas(frame: pd.DataFrame, bars_per_year: float) -> Columns:
    """All twenty."""
    return {
        **_returns(frame, np.sqrt(bars_per_year)),
        **_averages(frame["close"]),
        **_wilder(frame),
        **_bands(frame["close"]),
        **_oscillators(frame),
        **_volume(frame),
    }


def _returns(frame: pd.DataFrame, annual: float) -> Columns:
    close = frame["close"]
    log_return = np.log(close / close.shift())
    high_low = np.log(frame["high"] / frame["low"]) ** 2
    close_open = np.log(close / frame["open"]) ** 2
    garman_klass = (0.5 * high_low - (2 * np.log(2) - 1) * close_open).rolling(20).mean()
    return {
        "return_1": close.pct_change(),
        "log_return": log_return,
        "roc_10": close.pct_change(10) * 100,
        "volatility_20": log_return.rolling(20).std() * annual,
        "parkinson_20": np.sqrt(high_low.rolling(20).mean() / (4 * np.log(2))) * annual,
        "garman_klass_20": np.sqrt(garman_klass.clip(lower=0)) * annual,
    }


def _averages(close: "pd.Series[float]") -> Columns:
    fast, slow = (close.ewm(span=n, adjust=False).mean() for n in (12, 26))
    macd = fast - slow
    signal = macd.ewm(span=9, adjust=False).mean()
    means = {f"sma_{n}": close.rolling(n).mean() for n in (20, 50, 200)}
    return {
        **means,
        "ema_12": fast,
        "ema_26": slow,
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": macd - signal,
    }


def _smoothed(values: "pd.Series[float]") -> "pd.Series[float]":
    return values.ewm(alpha=1 / 14, adjust=False).mean()


def _wilder(frame: pd.DataFrame) -> Columns:
    high, low, close = frame["high"], frame["low"], frame["close"]
    change = close.diff()
    gain, loss = _smoothed(change.clip(lower=0)), _smoothed(-change.clip(upper=0))
    before = close.shift()
    true_range = np.maximum(high, before) - np.minimum(low, before)
    average = _smoothed(true_range)
    up, down = high.diff(), -low.diff()
    plus = 100 * _smoothed(up.where((up > down) & (up > 0), 0.0)) / average
    minus = 100 * _smoothed(down.where((down > up) & (down > 0), 0.0)) / average
    return {
        "rsi_14": 100 * gain / (gain + loss),
        "atr_14": average,
        "adx_14": _smoothed(100 * (plus - minus).abs() / (plus + minus)),
    }


def _bands(close: "pd.Series[float]") -> Columns:
    window = close.rolling(20)
    middle, deviation = window.mean(), window.std(ddof=0)
    upper, lower = middle + 2 * deviation, middle - 2 * deviation
    return {
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_percent": (close - lower) / (upper - lower),
    }


def _oscillators(frame: pd.DataFrame) -> Columns:
    high, low, close = frame["high"], frame["low"], frame["close"]
    highest, lowest = high.rolling(14).max(), low.rolling(14).min()
    place = 100 * (close - lowest) / (highest - lowest)
    slow_k = place.rolling(3).mean()
    typical = (high + low + close) / 3
    mean = typical.rolling(20).mean()
    # The mean distance from the mean, by 20 shifted columns: a rolling apply takes minutes.
    deviation = sum(((typical.shift(lag) - mean).abs() for lag in range(20)), start=0 * mean) / 20
    return {
        "stoch_k": slow_k,
        "stoch_d": slow_k.rolling(3).mean(),
        "williams_r_14": -100 * (highest - close) / (highest - lowest),
        "cci_20": (typical - mean) / (0.015 * deviation),
        "high_distance_20": close / high.rolling(20).max() - 1,
        "low_distance_20": close / low.rolling(20).min() - 1,
    }


def _volume(frame: pd.DataFrame) -> Columns:
    close, volume = frame["close"], frame["volume"]
    typical = (frame["high"] + frame["low"] + close) / 3
    change = typical.diff()
    flow = typical * volume
    risen = flow.where(change > 0, 0.0).rolling(14).sum()
    fallen = flow.where(change < 0, 0.0).rolling(14).sum()
    window = volume.rolling(20)
    direction = np.sign(close.diff()).fillna(1.0)
    return {
        "obv": (direction * volume).cumsum(),
        "mfi_14": 100 * risen / (risen + fallen),
        "vwap_20": (frame["vwap"] * volume).rolling(20).sum() / window.sum(),
        "volume_z_20": (volume - window.mean()) / window.std(),
    }


def by_classic(frame: pd.DataFrame, *, talib: bool) -> Columns:
    """Those that pandas-ta-classic has. *talib*: let it hand them on to TA-Lib where it can."""
    import pandas_ta_classic as ta

    bars = {name: frame[name] for name in ("high", "low", "close")}
    close, volume = frame["close"], frame["volume"]
    use: dict[str, Any] = {"talib": talib}
    macd, bands = ta.macd(close, **use), ta.bbands(close, 20, **use)
    stochastic = ta.stoch(**bars, k=14, d=3, smooth_k=3, **use)
    return {
        "return_1": ta.percent_return(close),
        "log_return": ta.log_return(close),
        **{f"sma_{n}": ta.sma(close, n, **use) for n in (20, 50, 200)},
        **{f"ema_{n}": ta.ema(close, n, **use) for n in (12, 26)},
        **dict(zip(("macd", "macd_hist", "macd_signal"), (macd[name] for name in macd), strict=True)),
        "rsi_14": ta.rsi(close, 14, **use),
        "atr_14": ta.atr(**bars, length=14, **use),
        "adx_14": ta.adx(**bars, length=14, **use).iloc[:, 0],
        **dict(zip(("bb_lower", "bb_middle", "bb_upper"), (bands[name] for name in bands), strict=False)),
        "bb_percent": bands.iloc[:, 4],
        "obv": ta.obv(close, volume, **use),
        "vwap_20": ta.vwma(frame["vwap"], volume, 20),
        "stoch_k": stochastic.iloc[:, 0],
        "stoch_d": stochastic.iloc[:, 1],
        "cci_20": ta.cci(**bars, length=20, **use),
        "roc_10": ta.roc(close, 10, **use),
        "mfi_14": ta.mfi(**bars, volume=volume, length=14, **use),
        "williams_r_14": ta.willr(**bars, length=14, **use),
        "volume_z_20": ta.zscore(volume, 20),
    }


def agreement(ours: dict[str, FloatArray], theirs: Columns, after: int) -> dict[str, float]:
    """By column, the share of values from the bar *after* on that are the same to 1e-6."""
    out = {}
    for name, column in theirs.items():
        a, b = ours[name][after:], column.to_numpy(np.float64)[after:]
        out[name] = float(np.isclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True).mean())
    return out
