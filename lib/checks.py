"""Bars that cannot be true: looked for in whole columns, so that good pages cost next to nothing."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, RefusedBar
from lib.timeframe import Timeframe
from lib.zones import on_grid

_PRICES_AND_VOLUME = ("open", "high", "low", "close", "volume")


def refuse_impossible(bars: Bars, timeframe: Timeframe, zone: str) -> tuple[Bars, tuple[RefusedBar, ...]]:
    """The bars that may be true, and the others, each with the first reason that applies.

    Refused: a price or volume that is not finite or negative, a high below the low, a stamp that starts no
    window of *timeframe* in *zone*. Kept: an open or close outside low..high (see ``count_outside_range``)
    and any vwap; one that is not finite becomes NaN, which means unknown.
    """
    if np.isinf(bars.vwap).any():
        bars = replace(bars, vwap=np.where(np.isinf(bars.vwap), np.nan, bars.vwap))
    bad = _impossible(bars) | ~on_grid(bars.t, timeframe, zone)
    if not bad.any():
        return bars, ()
    rows = np.flatnonzero(bad).tolist()
    return bars.take(~bad), tuple(RefusedBar(int(bars.t[row]), _reason(bars, row, timeframe)) for row in rows)


def count_outside_range(bars: Bars) -> int:
    """How many bars open or close above their high or below their low."""
    opened = (bars.open < bars.low) | (bars.open > bars.high)
    closed = (bars.close < bars.low) | (bars.close > bars.high)
    return int(np.count_nonzero(opened | closed))


def _impossible(bars: Bars) -> npt.NDArray[np.bool_]:
    bad = bars.high < bars.low
    for name in _PRICES_AND_VOLUME:
        column = getattr(bars, name)
        bad |= ~((column >= 0) & (column < math.inf))  # NaN fails every comparison
    return bad


def _reason(bars: Bars, row: int, timeframe: Timeframe) -> str:
    for name in _PRICES_AND_VOLUME:
        value = float(getattr(bars, name)[row])
        if not math.isfinite(value):
            return f"{name} is not finite"
        if value < 0:
            return f"{name} {value} is negative"
    high, low = float(bars.high[row]), float(bars.low[row])
    return f"high {high} below low {low}" if high < low else f"not the start of a {timeframe} window"
