"""The twenty indicators of speed.md as others compute them: pandas with rolling and ewm, and pandas-ta-classic.

Each function gives columns by the names of ours, so that what is timed can be compared. Smoothed averages begin
with the first value instead of a mean: after a thousand bars that makes no difference.
"""

from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from lib.bars import Bars, FloatArray

Column: TypeAlias = "pd.Series[float]"
Columns = dict[str, Column]

NAMES = ("open", "high", "low", "close", "volume", "vwap")


def frame_of(bars: Bars) -> pd.DataFrame:
    """The bars as other programs hold them."""
    index = pd.DatetimeIndex(bars.t.astype("datetime64[ms]"), tz="UTC")
    return pd.DataFrame({name: getattr(bars, name) for name in NAMES}, index=index)


def by_pandas(frame: pd.DataFrame, bars_per_year: float) -> Columns:
    """All twenty, each by itself from the bars, as such functions are written."""
    annual = float(np.sqrt(bars_per_year))
    open_, high, low, close, volume, vwap = (frame[name] for name in NAMES)
    return {
        "return_1": close.pct_change(),
        "log_return": _log(close / close.shift()),
        "volatility_20": _log(close / close.shift()).rolling(20).std() * annual,
        "parkinson_20": ((_log(high / low) ** 2).rolling(20).mean() / (4 * np.log(2))) ** 0.5 * annual,
        "garman_klass_20": _garman_klass(open_, high, low, close) * annual,
        **{f"sma_{n}": close.rolling(n).mean() for n in (20, 50, 200)},
        **{f"ema_{n}": close.ewm(span=n, adjust=False).mean() for n in (12, 26)},
        **_macd(close),
        "rsi_14": _rsi(close),
        "atr_14": _smoothed(_true_range(high, low, close)),
        "adx_14": _adx(high, low, close),
        **_bands(close),
        "obv": (np.sign(close.diff()).fillna(1.0) * volume).cumsum(),
        "vwap_20": (vwap * volume).rolling(20).sum() / volume.rolling(20).sum(),
        **_stochastic(high, low, close),
        "cci_20": _cci((high + low + close) / 3),
        "roc_10": 100 * close.pct_change(10),
        "mfi_14": _mfi((high + low + close) / 3, volume),
        "williams_r_14": _williams_r(high, low, close),
        "high_distance_20": close / high.rolling(20).max() - 1,
        "low_distance_20": close / low.rolling(20).min() - 1,
        "volume_z_20": (volume - volume.rolling(20).mean()) / volume.rolling(20).std(),
    }


def _log(values: Column) -> Column:
    return cast("Column", np.log(values))


def _garman_klass(open_: Column, high: Column, low: Column, close: Column) -> Column:
    terms = 0.5 * _log(high / low) ** 2 - (2 * np.log(2) - 1) * _log(close / open_) ** 2
    return cast("Column", terms.rolling(20).mean().clip(lower=0) ** 0.5)


def _macd(close: Column) -> Columns:
    macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    signal = macd.ewm(span=9, adjust=False).mean()
    return {"macd": macd, "macd_signal": signal, "macd_hist": macd - signal}


def _smoothed(values: Column) -> Column:
    return values.ewm(alpha=1 / 14, adjust=False).mean()


def _rsi(close: Column) -> Column:
    change = close.diff()
    gain, loss = _smoothed(change.clip(lower=0)), _smoothed(-change.clip(upper=0))
    return 100 * gain / (gain + loss)


def _true_range(high: Column, low: Column, close: Column) -> Column:
    before = close.shift()
    return cast("Column", np.maximum(high, before) - np.minimum(low, before))


def _adx(high: Column, low: Column, close: Column) -> Column:
    average = _smoothed(_true_range(high, low, close))
    up, down = high.diff(), -low.diff()
    plus = 100 * _smoothed(up.where((up > down) & (up > 0), 0.0)) / average
    minus = 100 * _smoothed(down.where((down > up) & (down > 0), 0.0)) / average
    return _smoothed(100 * (plus - minus).abs() / (plus + minus))


def _bands(close: Column) -> Columns:
    middle, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    upper, lower = middle + 2 * deviation, middle - 2 * deviation
    percent = (close - lower) / (upper - lower)
    return {"bb_upper": upper, "bb_middle": middle, "bb_lower": lower, "bb_percent": percent}


def _stochastic(high: Column, low: Column, close: Column) -> Columns:
    highest, lowest = high.rolling(14).max(), low.rolling(14).min()
    slow_k = (100 * (close - lowest) / (highest - lowest)).rolling(3).mean()
    return {"stoch_k": slow_k, "stoch_d": slow_k.rolling(3).mean()}


def _cci(typical: Column) -> Column:
    mean = typical.rolling(20).mean()
    # The mean distance from the mean by 20 shifted columns: a rolling apply takes minutes.
    distance = sum(((typical.shift(lag) - mean).abs() for lag in range(20)), start=0 * mean) / 20
    return (typical - mean) / (0.015 * distance)


def _mfi(typical: Column, volume: Column) -> Column:
    flow, change = typical * volume, typical.diff()
    risen = flow.where(change > 0, 0.0).rolling(14).sum()
    fallen = flow.where(change < 0, 0.0).rolling(14).sum()
    return 100 * risen / (risen + fallen)


def _williams_r(high: Column, low: Column, close: Column) -> Column:
    highest, lowest = high.rolling(14).max(), low.rolling(14).min()
    return -100 * (highest - close) / (highest - lowest)


def by_classic(frame: pd.DataFrame) -> Columns:
    """Those that pandas-ta-classic has, as it computes them unless told to hand some on to TA-Lib."""
    import pandas_ta_classic as ta

    bars = {name: frame[name] for name in ("high", "low", "close")}
    close, volume = frame["close"], frame["volume"]
    use: dict[str, Any] = {"talib": False}  # its default
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
