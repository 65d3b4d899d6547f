"""Longer bars from shorter ones: 5m..4h from minutes, 1w from days. Pure, exact, column by column."""

from collections.abc import Sequence

import numpy as np

from lib.bars import NO_TRADES, Bars, FloatArray
from lib.coverage import Range, holds
from lib.timeframe import Timeframe
from lib.zones import on_grid, window_ends, window_starts


def roll_up(base: Bars, timeframe: Timeframe, zone: str, complete: Sequence[Range]) -> Bars:
    """The bars of *timeframe* made of *base* bars, for windows that lie whole in the range set *complete*.

    Open of the first, close of the last, highest high, lowest low, volume and trades summed, vwap weighted
    by volume. A window without base bars has no bar. vwap is NaN if any input's is, or the volume is 0;
    trades are unknown if any input's are. Sums are taken per window, so they do not depend on how the base
    bars were paged. Another program's bars that lie off the grid of the base are none of it.
    """
    ours = on_grid(base.t, timeframe.base, zone)
    base = base if ours.all() else base.take(ours)
    if not len(base):
        return base
    starts = window_starts(base.t, timeframe, zone)
    first = np.flatnonzero(np.r_[True, starts[1:] != starts[:-1]])
    last = np.r_[first[1:], len(base)] - 1
    rolled = Bars(
        t=starts[first],
        open=base.open[first],
        high=np.maximum.reduceat(base.high, first),
        low=np.minimum.reduceat(base.low, first),
        close=base.close[last],
        volume=np.add.reduceat(base.volume, first),
        vwap=_vwap(base, first),
        trades=np.where(
            np.minimum.reduceat(base.trades, first) == NO_TRADES,
            NO_TRADES,
            np.add.reduceat(base.trades, first),
        ),
    )
    return rolled.take(holds(complete, rolled.t, window_ends(rolled.t, timeframe, zone)))


def _vwap(base: Bars, first: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    volume = np.add.reduceat(base.volume, first)
    turnover = np.add.reduceat(base.vwap * base.volume, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(volume > 0, turnover / volume, np.nan)
