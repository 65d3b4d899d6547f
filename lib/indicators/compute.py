"""All features of a series at once."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray
from lib.indicators.features import FEATURES, HOLE_BARS, WINDOW_BARS
from lib.indicators.recursive import on_balance_volume, recursive
from lib.indicators.windowed import windowed

BoolArray = npt.NDArray[np.bool_]
Features = dict[str, FloatArray]

_BLOCK = 16_384  # bars; what a block's windows need stays in the processor's cache


def compute(
    bars: Bars,
    bars_per_year: float,
    *,
    after_hole: BoolArray | None = None,
    obv_known: tuple[int, float] | None = None,
) -> Features:
    """Every feature of ``FEATURES`` by name, shape (n,), NaN where it has no value.

    *bars*: split-adjusted, oldest first. *bars_per_year*: of the market's calendar, not of the data.
    *after_hole*: true where sessions are missing between a bar and the one before it. *obv_known*: index and
    stored on-balance volume of a bar, where *bars* are only the end of the series.

    A value is the same, to 1e-9 and mostly to the last bit, whether *bars* begin at the series' first bar or
    ``LOOKBACK_BARS`` before the bar it belongs to. A bar whose prices are not positive numbers has no values
    and is left out of the windows of the others.
    """
    usable = _usable(bars)
    if usable.all():
        return _compute(bars, bars_per_year, after_hole, obv_known)
    return _scattered(bars, usable, bars_per_year, after_hole, obv_known)


def _usable(bars: Bars) -> BoolArray:
    """Which bars hold nothing but positive finite prices and a finite volume."""
    lowest = np.minimum(np.minimum(bars.open, bars.high), np.minimum(bars.low, bars.close))
    total = bars.open + bars.high + bars.low + bars.close + bars.volume
    return (lowest > 0) & np.isfinite(total) & (bars.volume >= 0)


def _scattered(
    bars: Bars,
    usable: BoolArray,
    bars_per_year: float,
    after_hole: BoolArray | None,
    obv_known: tuple[int, float] | None,
) -> Features:
    if after_hole is not None:
        # A hole before a bar left out lies before the next one that stays.
        holes = np.cumsum(after_hole)[usable]
        after_hole = np.diff(holes, prepend=0) > 0
    if obv_known is not None:
        obv_known = (int(np.count_nonzero(usable[: obv_known[0]])), obv_known[1])
    result = {}
    for name, values in _compute(bars.take(usable), bars_per_year, after_hole, obv_known).items():
        result[name] = np.full(len(bars), np.nan)
        result[name][usable] = values
    return result


def _compute(
    bars: Bars, bars_per_year: float, after_hole: BoolArray | None, obv_known: tuple[int, float] | None
) -> Features:
    result = {feature.name: np.empty(len(bars)) for feature in FEATURES}
    if not len(bars):
        return result
    result["obv"] = on_balance_volume(bars, obv_known)
    result["bars_since_hole"] = _bars_since_hole(len(bars), after_hole)
    result.update(recursive(bars))
    for start, end in _blocks(len(bars)):
        reach = slice(max(0, start - WINDOW_BARS), end)
        for name, values in windowed(bars.take(reach), bars_per_year).items():
            _place(result[name][start:end], values)
    return result


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, _BLOCK):
        yield start, min(start + _BLOCK, n)


def _place(target: FloatArray, values: FloatArray) -> None:
    """Align *values* at the end of *target*; what is left in front of them has no value."""
    head = max(0, len(target) - len(values))
    target[:head] = np.nan
    target[head:] = values[len(values) - len(target) + head :]


def _bars_since_hole(n: int, after_hole: BoolArray | None) -> FloatArray:
    index = np.arange(n)
    begun = np.maximum.accumulate(np.where(after_hole, index, 0)) if after_hole is not None else 0
    return np.minimum(index - begun + 1, HOLE_BARS).astype(np.float64)


def adjusted(bars: Bars, factors: FloatArray) -> Bars:
    """*bars* with prices multiplied and volumes divided by *factors*, shape (n,): a 2:1 split later is 0.5."""
    return Bars(
        bars.t,
        bars.open * factors,
        bars.high * factors,
        bars.low * factors,
        bars.close * factors,
        bars.volume / factors,
        bars.vwap * factors,
        bars.trades,
    )
