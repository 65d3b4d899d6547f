"""RSI, ATR, Bollinger bands and ADX against worked examples that others have published."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from lib.bars import Bars
from lib.indicators import compute

FloatArray = npt.NDArray[np.float64]


def example(name: str) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name(f"{name}.csv"), comment="#", dtype=np.float64)


def bars_of(frame: pd.DataFrame) -> Bars:
    """Bars of the columns there are; the others as the close."""
    columns = {
        name: frame[name if name in frame else "close"].to_numpy() for name in ("high", "low", "close")
    }
    n = len(frame)
    return Bars(
        np.arange(n),
        columns["close"],
        columns["high"],
        columns["low"],
        columns["close"],
        np.ones(n),
        np.full(n, np.nan),
        np.ones(n, np.int64),
    )


def assert_published(ours: FloatArray, published: pd.Series, within: float) -> None:
    np.testing.assert_array_equal(np.isnan(ours), published.isna())
    np.testing.assert_allclose(ours, published, rtol=0, atol=within)


def test_rsi() -> None:
    frame = example("rsi_14")

    assert_published(compute(bars_of(frame), 252)["rsi_14"], frame["rsi"], 6e-4)


def test_atr() -> None:
    frame = example("atr_14")
    # The example counts the first bar's range; ours needs a bar before it, with a close inside that range.
    before = pd.DataFrame({"high": [48.7], "low": [47.79], "close": [48.0]})

    ours = compute(bars_of(pd.concat([before, frame], ignore_index=True)), 252)["atr_14"]

    assert np.isnan(ours[0])
    assert_published(ours[1:], frame["atr"], 6e-7)


def test_bollinger_bands() -> None:
    frame = example("bollinger_20")

    ours = compute(bars_of(frame), 252)

    for name in ("middle", "upper", "lower"):
        assert_published(ours[f"bb_{name}"], frame[name], 1e-6)


def wilder_adx(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Wilder's own arithmetic, step by step: sums of 14, then less a fourteenth plus the new one."""
    up, down = high[1:] - high[:-1], low[:-1] - low[1:]
    true_range = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    plus = np.where((up > down) & (up > 0), up, 0)
    minus = np.where((down > up) & (down > 0), down, 0)
    sums = np.array([true_range[:14].sum(), plus[:14].sum(), minus[:14].sum()])
    directions = []
    for i in range(13, len(true_range)):
        if i > 13:
            sums = sums - sums / 14 + (true_range[i], plus[i], minus[i])
        directions.append(100 * abs(sums[1] - sums[2]) / (sums[1] + sums[2]))
    adx = np.full(len(high), np.nan)
    adx[27] = np.mean(directions[:14])
    for i in range(28, len(high)):
        adx[i] = (13 * adx[i - 1] + directions[i - 14]) / 14
    return adx


def test_adx() -> None:
    frame = example("adx_14")
    columns = (frame[name].to_numpy() for name in ("high", "low", "close"))

    assert_published(wilder_adx(*columns), frame["adx"], 1e-9)
    # TA-Lib begins its sums with 13 values where Wilder has 14: near at first, the same before long.
    ours = compute(bars_of(frame), 252)["adx_14"]
    assert_published(ours, frame["adx"], 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_adx_becomes_wilders(seed: int) -> None:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, 600)))
    high, low = close * (1 + random.random(600) * 0.01), close * (1 - random.random(600) * 0.01)
    wilders = wilder_adx(high, low, close)

    ours = compute(bars_of(pd.DataFrame({"high": high, "low": low, "close": close})), 252)["adx_14"]

    assert np.nanargmax(~np.isnan(ours)) == 27
    np.testing.assert_allclose(ours[450:], wilders[450:], rtol=1e-9)
