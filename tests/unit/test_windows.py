"""Sliding windows: right to the last digits, each window for itself."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from lib.indicators.windows import (
    window_deviation,
    window_max,
    window_mean,
    window_min,
    window_rank,
    window_spread,
    window_sum,
)

FloatArray = npt.NDArray[np.float64]


def values(seed: int, m: int) -> FloatArray:
    """Values of very different size: what a running sum would drown in."""
    random = np.random.default_rng(seed)
    return random.normal(size=m) * 10.0 ** random.integers(-3, 9, m)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 70), more=st.integers(0, 200))
def test_sums_and_extremes(seed: int, n: int, more: int) -> None:
    x = values(seed, n + more)
    windows = sliding_window_view(x, n)
    exact = np.array([math.fsum(window) for window in windows])

    np.testing.assert_allclose(
        window_sum(x, n), exact, rtol=0, atol=n * 2e-16 * np.abs(windows).sum(axis=1).max()
    )
    np.testing.assert_array_equal(window_max(x, n), windows.max(axis=1))
    np.testing.assert_array_equal(window_min(x, n), windows.min(axis=1))


@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 70),
    more=st.integers(0, 200),
    level=st.sampled_from([0.0, 1e6]),
)
def test_spread(seed: int, n: int, more: int, level: float) -> None:
    x = level + np.random.default_rng(seed).normal(size=n + more)
    windows = sliding_window_view(x, n)

    mean, squares = window_spread(x, n)

    np.testing.assert_allclose(mean, windows.mean(axis=1), rtol=1e-14, atol=1e-14)
    # The squares of 1e6 have 12 digits before the point: sums of squares would have lost these.
    np.testing.assert_allclose(squares, n * windows.var(axis=1), rtol=1e-8)


@pytest.mark.parametrize("n", [2, 10, 14, 20, 50, 200])
@pytest.mark.parametrize("value", [0.1, 1e-4, 123456.789])
def test_equal_values_have_no_spread_at_all(n: int, value: float) -> None:
    _, squares = window_spread(np.full(300, value), n)

    assert (squares[:-1] <= 1e-30 * value * value).all()
    if n in (2, 10, 20):  # of two powers of two: exactly none
        assert not squares.any()


@given(seed=st.integers(0, 2**32), start=st.integers(0, 150))
def test_a_window_knows_nothing_of_its_neighbours(seed: int, start: int) -> None:
    x = values(seed, 300)
    for window in (window_sum, window_max, lambda x, n: window_spread(x, n)[1]):
        np.testing.assert_array_equal(window(x[start:], 20), window(x, 20)[start:])


@given(seed=st.integers(0, 2**32), n=st.integers(2, 256))
def test_rank_counts_those_below_and_half_of_the_equal(seed: int, n: int) -> None:
    x = np.random.default_rng(seed).integers(0, 30, 300).astype(np.int16)
    windows = sliding_window_view(x, n)
    earlier, last = windows[:, :-1], windows[:, -1:]
    counted = (earlier < last).sum(axis=1) + (earlier == last).sum(axis=1) / 2

    np.testing.assert_allclose(window_rank(x, n), 100 * counted / (n - 1), rtol=1e-14)


def test_deviation_from_the_mean() -> None:
    x = np.array([1.0, 2.0, 6.0, 3.0])

    assert window_deviation(x, window_mean(x, 3), 3).tolist() == pytest.approx([2.0, 14 / 9])


def test_too_few_values_have_no_window() -> None:
    x = np.arange(5.0)

    for window in (window_sum, window_mean, window_max, window_min):
        assert window(x, 6).shape == (0,)
    assert window_spread(x, 6)[1].shape == (0,)
    assert window_rank(x.astype(np.int16), 6).shape == (0,)
    assert window_sum(x[:0], 3).shape == (0,)
    assert window_sum(np.stack((x, x)), 6).shape == (2, 0)
