"""The features that look back over a fixed number of bars, on plain numpy.

Each function takes bars oldest first and gives arrays aligned at their end: the last value belongs to the
last bar, and the bars in front that have none are those of the warm-up. What a window without any movement
or volume means is decided here: the middle of the scale, never the edge.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray
from lib.indicators.windows import (
    window_deviation,
    window_max,
    window_mean,
    window_min,
    window_rank,
    window_spread,
    window_sum,
)

Features = dict[str, FloatArray]

_PARKINSON = 1 / (4 * np.log(2))
_GARMAN_KLASS = 2 * np.log(2) - 1
_TIE = 1e-12  # typical prices closer than this, relatively, are one price: the rest is rounding
_STEPS = 1000  # into which each doubling of volatility is divided for its rank


def windowed(bars: Bars, bars_per_year: float, *, ranked: bool = True) -> Iterator[tuple[str, FloatArray]]:
    """Name and values of each, one group after the other, so that few are held at a time.

    A feature for which *bars* is too short is an empty array. *ranked*: with the rank of the volatility.
    """
    returns = _returns(bars)
    yield from returns.items()
    yield from _volatility(bars, returns["log_return"], np.sqrt(bars_per_year), ranked)
    yield from _averages(bars).items()
    yield from _bollinger(bars).items()
    yield from _range(bars).items()
    typical = (bars.high + bars.low + bars.close) / 3
    yield from _oscillators(bars, typical).items()
    yield from _volume(bars, typical).items()


def _returns(bars: Bars) -> Features:
    ratio = bars.close[1:] / bars.close[:-1]
    return {
        "return_1": ratio - 1,
        "log_return": np.log(ratio),
        "gap": bars.open[1:] / bars.close[:-1] - 1,
        "roc_10": 100 * (bars.close[10:] / bars.close[:-10] - 1),
    }


def _averages(bars: Bars) -> Features:
    means = {f"sma_{n}": window_mean(bars.close, n) for n in (20, 50, 200)}
    return {**means, "trend_200": bars.close[199:] / means["sma_200"] - 1}


def _volatility(
    bars: Bars, log_return: FloatArray, annual: float, ranked: bool
) -> Iterator[tuple[str, FloatArray]]:
    deviation = np.sqrt(window_spread(log_return, 20)[1] / 19)
    if ranked:  # it takes as long as a dozen others
        yield "volatility_rank_252", window_rank(_steps(deviation), 252)
    yield "volatility_20", deviation * annual
    high_low = np.log(bars.high / bars.low) ** 2
    yield "parkinson_20", np.sqrt(window_mean(high_low, 20) * _PARKINSON) * annual
    close_open = np.log(bars.close / bars.open) ** 2
    garman_klass = window_mean(0.5 * high_low - _GARMAN_KLASS * close_open, 20)
    yield "garman_klass_20", np.sqrt(np.maximum(garman_klass, 0)) * annual


def _steps(deviation: FloatArray) -> npt.NDArray[np.int16]:
    """Volatility in steps of a thousandth of a doubling: what differs by rounding only is on one step."""
    doublings: FloatArray = np.log2(np.clip(deviation, 2.0**-32, 2.0**32))
    return np.floor(doublings * _STEPS).astype(np.int16)


def _bollinger(bars: Bars) -> Features:
    middle, squares = window_spread(bars.close, 20)
    deviation = np.sqrt(squares / 20)
    above_middle = _ratio(bars.close[19:] - middle, 4 * deviation, 0.0)
    return {
        "bb_upper": middle + 2 * deviation,
        "bb_middle": middle,
        "bb_lower": middle - 2 * deviation,
        "bb_percent": 0.5 + above_middle,
    }


def _range(bars: Bars) -> Features:
    highs, lows = window_max(bars.high, 10), window_min(bars.low, 10)
    return {
        "high_distance_20": bars.close[19:] / window_max(bars.high, 20) - 1,
        "low_distance_20": bars.close[19:] / window_min(bars.low, 20) - 1,
        "structure_20": (np.sign(highs[10:] - highs[:-10]) + np.sign(lows[10:] - lows[:-10])) / 2,
    }


def _oscillators(bars: Bars, typical: FloatArray) -> Features:
    highest, lowest = window_max(bars.high, 14), window_min(bars.low, 14)
    place = 100 * _ratio(bars.close[13:] - lowest, highest - lowest, 0.5)
    slow_k = window_mean(place, 3)
    mean = window_mean(typical, 20)
    deviation = window_deviation(typical, mean, 20)
    deviation[deviation <= _TIE * mean] = 0
    return {
        "stoch_k": slow_k[2:],  # the reference gives it from the bar on that has its average, too
        "stoch_d": window_mean(slow_k, 3),
        "williams_r_14": place - 100,
        "cci_20": _ratio(typical[19:] - mean, 0.015 * deviation, 0.0),
    }


def _volume(bars: Bars, typical: FloatArray) -> Features:
    price = np.where(np.isfinite(bars.vwap), bars.vwap, typical)
    traded, volume = window_sum(np.stack((price * bars.volume, bars.volume)), 20)
    mean, squares = window_spread(bars.volume, 20)
    return {
        "vwap_20": _ratio(traded, volume, window_mean(price, 20)),
        "volume_z_20": _ratio(bars.volume[19:] - mean, np.sqrt(squares / 19), 0.0),
        "mfi_14": _money_flow_index(bars, typical),
    }


def _money_flow_index(bars: Bars, typical: FloatArray) -> FloatArray:
    flow = (typical * bars.volume)[1:]
    change, tie = np.diff(typical), _TIE * typical[1:]
    risen, fallen = window_sum(np.stack((flow * (change > tie), flow * (change < -tie))), 14)
    return 100 * _ratio(risen, risen + fallen, 0.5)


def _ratio(over: FloatArray, under: FloatArray, otherwise: FloatArray | float) -> FloatArray:
    """*over* / *under*, and *otherwise* where nothing is under it."""
    result = np.empty_like(under)
    result[...] = otherwise
    return np.divide(over, under, out=result, where=under > 0)
