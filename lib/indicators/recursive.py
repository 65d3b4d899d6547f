"""The features in which every earlier bar lives on, fading: those of TA-Lib that smooth exponentially.

One NaN inside TA-Lib makes RSI 0 and ADX frozen for ever, both finite and wrong: none may be among the bars.

RSI and ADX are ratios of averages. While nothing moves both averages fade alike, and the last direction stays
for as long as the digits reach: a value that depends on how far back the bars at hand go. So a still market
ends it: after ``STILL_BARS`` bars without a move RSI is 50 and ADX 0, and they begin anew with the next move.

TA-Lib is loaded when the first is computed: it brings pandas along, which a run without features need not load.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray

BoolArray = npt.NDArray[np.bool_]

STILL_BARS = 200


def recursive(bars: Bars) -> Iterator[tuple[Sequence[str], Callable[[], Sequence[FloatArray]]]]:
    """The names of each, and what computes their values: shape (n,), NaN in the warm-up."""
    import talib

    close, hlc = bars.close, (bars.high, bars.low, bars.close)
    yield ("ema_12",), lambda: (talib.EMA(close, 12),)
    yield ("ema_26",), lambda: (talib.EMA(close, 26),)
    yield ("macd", "macd_signal", "macd_hist"), lambda: talib.MACD(close, 12, 26, 9)
    yield ("atr_14",), lambda: (talib.ATR(*hlc, 14),)
    yield ("rsi_14",), lambda: (_rsi(close),)
    yield ("adx_14",), lambda: (_adx(bars),)


def _rsi(close: FloatArray) -> FloatArray:
    import talib

    moved = close[1:] != close[:-1]
    return _ended_by_stillness(lambda part: talib.RSI(close[part], 14), moved, 14, 50.0)


def _adx(bars: Bars) -> FloatArray:
    import talib

    high, low, close = bars.high, bars.low, bars.close
    higher, lower = high[1:] > high[:-1], low[1:] < low[:-1]
    moved = higher | lower
    both = np.flatnonzero(higher & lower)  # the wider side counts; of two alike, neither
    moved[both] = high[both + 1] - high[both] != low[both] - low[both + 1]
    return _ended_by_stillness(lambda part: talib.ADX(high[part], low[part], close[part], 14), moved, 27, 0.0)


def _ended_by_stillness(
    indicator: Callable[[slice], FloatArray], moved: BoolArray, warmup: int, still: float
) -> FloatArray:
    """*indicator* of all bars, *still* where nothing moves, and begun anew after that.

    *moved*: from each bar to the next. A new beginning takes the last *warmup* still bars with it.
    """
    n = len(moved) + 1
    result = indicator(slice(0, n))
    for (begin, resumed), (end, _) in pairwise([*_still_spans(moved), (n, n)]):
        result[max(begin, warmup) : resumed] = still
        if begin and resumed < n:
            result[resumed:end] = indicator(slice(resumed - warmup, end))[warmup:]
    return result


def _still_spans(moved: BoolArray) -> list[tuple[int, int]]:
    """[begin, end) of the bars with no move since the first one, then of those STILL_BARS after the last."""
    n, half = len(moved), STILL_BARS // 2
    from_first = (0, int(np.argmax(moved)) + 1 if moved.any() else n + 1)
    # A span that long covers one of these pieces whole; nearly always there is none to look for.
    if moved[: n // half * half].reshape(-1, half).any(axis=1).all():
        return [from_first]
    last = np.flatnonzero(moved) + 1
    following = np.append(last[1:], n + 1)
    long = np.flatnonzero(following - last > STILL_BARS)
    return [from_first, *((int(last[i]) + STILL_BARS, int(following[i])) for i in long)]


def on_balance_volume(bars: Bars, known: tuple[int, float] | None, out: FloatArray) -> None:
    """Write into *out*, shape (n,), the volume of rising bars less that of falling ones, summed up.

    *known*: the index of a bar and its stored value, from which it goes on, to the same last digit as if
    computed from the first bar of all; values before it are NaN. None: *bars* are the whole series.
    """
    start, value = known or (0, float(bars.volume[0]))
    close = bars.close[start:]
    out[:start] = np.nan
    out[start] = value
    steps = out[start + 1 :]
    np.subtract(close[1:], close[:-1], out=steps)
    np.sign(steps, out=steps)
    steps *= bars.volume[start + 1 :]
    np.cumsum(out[start:], out=out[start:])
