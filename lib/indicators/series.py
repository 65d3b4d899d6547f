"""All features of a series at once."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray
from lib.indicators.features import FEATURES, HOLE_BARS, WINDOW_BARS
from lib.indicators.recursive import on_balance_volume, recursive
from lib.indicators.windowed import windowed

BoolArray = npt.NDArray[np.bool_]
Features = dict[str, FloatArray]

BLOCK_BARS = 65_536  # windows are computed so many bars at a time, from what stays in the processor's cache


def compute(
    bars: Bars,
    bars_per_year: float,
    *,
    after_hole: BoolArray | None = None,
    obv_known: tuple[int, float] | None = None,
    names: Collection[str] | None = None,
) -> Features:
    """The features of ``FEATURES`` by name, shape (n,), NaN where one has no value.

    *bars*: split-adjusted, oldest first. *bars_per_year*: of the market's calendar, not of the data.
    *after_hole*: true where sessions are missing between a bar and the one before it. *obv_known*: index and
    stored on-balance volume of a bar, where *bars* are only the end of the series. *names*: those wanted; None:
    all.

    A value is the same, to 1e-9 and mostly to the last bit, whether *bars* begin at the series' first bar or
    ``LOOKBACK_BARS`` before the bar it belongs to. A bar whose prices are not positive numbers has no values
    and is left out of the windows of the others.
    """
    usable = _usable(bars)
    wanted = [feature.name for feature in FEATURES if names is None or feature.name in names]
    if usable.all():
        return _compute(bars, bars_per_year, after_hole, obv_known, wanted)
    return _scattered(bars, usable, bars_per_year, after_hole, obv_known, wanted)


def _usable(bars: Bars) -> BoolArray:
    """Which bars hold nothing but positive finite prices and a finite volume that is not negative."""
    fine = (bars.volume >= 0) & (bars.volume < np.inf)
    for prices in (bars.open, bars.high, bars.low, bars.close):
        fine &= (prices > 0) & (prices < np.inf)
    return fine


def _scattered(
    bars: Bars,
    usable: BoolArray,
    bars_per_year: float,
    after_hole: BoolArray | None,
    obv_known: tuple[int, float] | None,
    wanted: Sequence[str],
) -> Features:
    if after_hole is not None:
        # A hole before a bar left out lies before the next one that stays.
        holes = np.cumsum(after_hole)[usable]
        after_hole = np.diff(holes, prepend=0) > 0
    if obv_known is not None:
        obv_known = (int(np.count_nonzero(usable[: obv_known[0]])), obv_known[1])
    result = {}
    values_by_name = _compute(bars.take(usable), bars_per_year, after_hole, obv_known, wanted)
    for name, values in values_by_name.items():
        result[name] = np.full(len(bars), np.nan)
        result[name][usable] = values
    return result


def _compute(
    bars: Bars,
    bars_per_year: float,
    after_hole: BoolArray | None,
    obv_known: tuple[int, float] | None,
    wanted: Sequence[str],
) -> Features:
    # One allocation: a large one gets large pages, and separate arrays would cost as much as their values.
    table = np.empty((len(wanted), len(bars)))
    result = dict(zip(wanted, table, strict=True))
    if not len(bars):
        return result
    for name, values in recursive(bars):
        if name in result:
            result[name][:] = values
    if "obv" in result:
        on_balance_volume(bars, obv_known, out=result["obv"])
    if "bars_since_hole" in result:
        _count_since_hole(after_hole, out=result["bars_since_hole"])
    for start, end in _blocks(len(bars)):
        reach = slice(max(0, start - WINDOW_BARS), end)
        ranked = "volatility_rank_252" in result  # the one that takes as long as a dozen others
        for name, values in windowed(bars.take(reach), bars_per_year, ranked=ranked).items():
            if name in result:
                _place(result[name][start:end], values)
    return result


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, BLOCK_BARS):
        yield start, min(start + BLOCK_BARS, n)


def _place(target: FloatArray, values: FloatArray) -> None:
    """Align *values* at the end of *target*; what is left in front of them has no value."""
    head = max(0, len(target) - len(values))
    target[:head] = np.nan
    target[head:] = values[len(values) - len(target) + head :]


def _count_since_hole(after_hole: BoolArray | None, out: FloatArray) -> None:
    if after_hole is None or not after_hole.any():
        out[:] = HOLE_BARS
        out[:HOLE_BARS] = np.arange(1, min(len(out), HOLE_BARS) + 1)
        return
    index = np.arange(len(out))
    np.minimum(index - np.maximum.accumulate(np.where(after_hole, index, 0)) + 1, HOLE_BARS, out=out)


def adjusted(bars: Bars, factors: FloatArray) -> Bars:
    """*bars* with prices multiplied and volumes divided by *factors*, shape (n,): 0.5 before a 2:1 split."""
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
