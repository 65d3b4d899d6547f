"""All features of a series at once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray
from lib.indicators.features import FEATURES, HOLE_BARS, WINDOW_BARS
from lib.indicators.recursive import on_balance_volume, recursive
from lib.indicators.windowed import windowed

BoolArray = npt.NDArray[np.bool_]
Features = dict[str, FloatArray]
Task = Callable[[], None]

BLOCK_BARS = 65_536  # windows are computed so many bars at a time, from what stays in the processor's cache
THREADS = 2  # of a computation; a third gains nothing while the database works beside it
FEW_TASKS = 9  # those of one block: not worth a thread


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
    if len(bars):
        _carry_out([*_whole(bars, after_hole, obv_known, result), *_blocks(bars, bars_per_year, result)])
    return result


def _carry_out(tasks: Sequence[Task]) -> None:
    """All *tasks*, on both of two cores: TA-Lib and numpy leave the interpreter to others while they work."""
    if len(tasks) <= FEW_TASKS:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


def _whole(
    bars: Bars, after_hole: BoolArray | None, obv_known: tuple[int, float] | None, result: Features
) -> Iterator[Task]:
    """What goes through the whole series, each a task that fills its part of *result*."""
    for names, values in recursive(bars):
        if not result.keys().isdisjoint(names):
            yield partial(_fill, result, names, values)
    if "obv" in result:
        yield partial(on_balance_volume, bars, obv_known, result["obv"])
    if "bars_since_hole" in result:
        yield partial(_count_since_hole, after_hole, result["bars_since_hole"])


def _fill(result: Features, names: Sequence[str], values: Callable[[], Sequence[FloatArray]]) -> None:
    for name, column in zip(names, values(), strict=True):
        if name in result:
            result[name][:] = column


def _blocks(bars: Bars, bars_per_year: float, result: Features) -> Iterator[Task]:
    """The windows, block by block, each a task that fills its part of *result*."""
    for start in range(0, len(bars), BLOCK_BARS):
        yield partial(_fill_block, bars, start, min(start + BLOCK_BARS, len(bars)), bars_per_year, result)


def _fill_block(bars: Bars, start: int, end: int, bars_per_year: float, result: Features) -> None:
    reach = bars.take(slice(max(0, start - WINDOW_BARS), end))
    for name, values in windowed(reach, bars_per_year, ranked="volatility_rank_252" in result):
        if name in result:
            _place(result[name][start:end], values)


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
