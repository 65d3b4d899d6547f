"""The features in which every earlier bar lives on, fading: those of TA-Lib that smooth exponentially.

One NaN inside TA-Lib makes RSI 0 and ADX frozen for ever, both finite and wrong: none may be among the bars.
"""

import numpy as np
import numpy.typing as npt
import talib

from lib.bars import Bars, FloatArray
from lib.indicators.windows import window_max, window_min

Features = dict[str, FloatArray]

# After this many bars without any movement RSI and ADX show none. TA-Lib would show the last direction until
# it fades below a fixed threshold: a value that depends on what was before the bars at hand.
STILL_BARS = 200

# TA-Lib takes what is below 1e-14 for zero, whatever the price. A power of two moves prices away from there and
# leaves every digit of a ratio as it is.
_AWAY_FROM_ZERO = 2.0**60


def recursive(bars: Bars) -> Features:
    """All of them, shape (n,) each, NaN in the warm-up."""
    macd, signal, histogram = talib.MACD(bars.close, 12, 26, 9)
    return {
        "ema_12": talib.EMA(bars.close, 12),
        "ema_26": talib.EMA(bars.close, 26),
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": histogram,
        "atr_14": talib.ATR(bars.high, bars.low, bars.close, 14),
        "rsi_14": _rsi(bars.close),
        "adx_14": _adx(bars),
    }


def _rsi(close: FloatArray) -> FloatArray:
    rsi = talib.RSI(close * _AWAY_FROM_ZERO, 14)
    rsi[_still(close, close) & np.isfinite(rsi)] = 50.0
    return rsi


def _adx(bars: Bars) -> FloatArray:
    adx = talib.ADX(bars.high * _AWAY_FROM_ZERO, bars.low * _AWAY_FROM_ZERO, bars.close * _AWAY_FROM_ZERO, 14)
    adx[_still(bars.high, bars.low) & np.isfinite(adx)] = 0.0
    return adx


def _still(high: FloatArray, low: FloatArray) -> npt.NDArray[np.bool_]:
    """Where nothing has moved for STILL_BARS bars, or since the first one."""
    span = STILL_BARS + 1
    still = np.maximum.accumulate(high[:span]) == np.minimum.accumulate(low[:span])
    return np.concatenate((still[: span - 1], window_max(high, span) == window_min(low, span)))


def on_balance_volume(bars: Bars, known: tuple[int, float] | None) -> FloatArray:
    """On-balance volume, shape (n,): the volume of rising bars less that of falling ones.

    *known*: the index of a bar and its stored value, from which it goes on, to the same last digit as if
    computed from the first bar of all; values before it are NaN. None: *bars* are the whole series.
    """
    start, value = known or (0, float(bars.volume[0]))
    result = np.full(len(bars), np.nan)
    steps = np.sign(np.diff(bars.close[start:])) * bars.volume[start + 1 :]
    result[start:] = np.cumsum(np.concatenate(([value], steps)))
    return result
