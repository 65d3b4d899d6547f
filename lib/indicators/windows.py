"""Sums, spreads, extremes and ranks over sliding windows, each window for itself.

A running sum carries the rounding of everything before it: the same window would give another last digit in
a longer series, and a spike would stay in it for ever. Here a window's result depends on its own values only
and on nothing else, bit for bit, so that a tail computed alone equals the whole, and powers of two pass
through exactly. Windows are put together from windows of 1, 2, 4, ... values: a handful of passes each.

All of them take the last axis, length m, oldest first, and give its m - n + 1 windows of *n* values, the
first of which ends at index n - 1; none if m < n. No NaN may be among the values.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lib.bars import FloatArray

Combine = Callable[[FloatArray, FloatArray], FloatArray]


def window_sum(x: FloatArray, n: int) -> FloatArray:
    """The sum of each window."""
    count = max(0, x.shape[-1] - n + 1)
    part, size, covered = x, 1, 0
    total = np.zeros((*x.shape[:-1], count))
    while count:
        if n & size:
            total += part[..., covered : covered + count]
            covered += size
        if covered == n:
            break
        part, size = part[..., :-size] + part[..., size:], 2 * size
    return total


def window_mean(x: FloatArray, n: int) -> FloatArray:
    """The mean of each window."""
    total = window_sum(x, n)
    total /= n
    return total


def window_spread(x: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """The mean of each window, and the sum of its squared distances from it: exactly 0 where all are equal.

    Windows are joined by the distance of their means, so that large values do not drown small differences.
    """
    count = max(0, x.shape[-1] - n + 1)
    part, square, size = x, np.zeros_like(x), 1
    total, squares, covered = np.zeros((*x.shape[:-1], count)), np.zeros((*x.shape[:-1], count)), 0
    while count:
        if n & size:
            piece = slice(covered, covered + count)
            if covered:
                squares += _between(total, covered, part[..., piece], size)
            squares += square[..., piece]
            total += part[..., piece]
            covered += size
        if covered == n:
            break
        older, newer = part[..., :-size], part[..., size:]
        # Of equal windows a power of two long: as _between has it, to the last bit.
        apart = newer - older
        apart *= apart
        apart *= 0.5 / size
        apart += square[..., :-size]
        apart += square[..., size:]
        part, square, size = older + newer, apart, 2 * size
    total /= n
    return total, squares


def _between(older: FloatArray, older_n: int, newer: FloatArray, newer_n: int) -> FloatArray:
    """What the distance of the means of two neighbouring windows adds to the squares of their union."""
    apart = newer / newer_n
    apart -= older / older_n
    apart *= apart
    apart *= older_n * newer_n / (older_n + newer_n)
    return apart


def window_max(x: FloatArray, n: int) -> FloatArray:
    """The largest value of each window."""
    return _extreme(x, n, np.maximum)


def window_min(x: FloatArray, n: int) -> FloatArray:
    """The smallest value of each window."""
    return _extreme(x, n, np.minimum)


def _extreme(x: FloatArray, n: int, better: Combine) -> FloatArray:
    count = x.shape[-1] - n + 1
    if count <= 0:
        return np.empty((*x.shape[:-1], 0))
    part, size = x, 1
    while 2 * size <= n:
        part, size = better(part[..., :-size], part[..., size:]), 2 * size
    # Two windows that overlap cover one that is no power of two long.
    return better(part[..., :count], part[..., n - size : n - size + count])


def window_deviation(x: FloatArray, mean: FloatArray, n: int) -> FloatArray:
    """The mean distance of each window's values from *mean*, its own mean."""
    total, distance = np.zeros_like(mean), np.empty_like(mean)
    for lag in range(n):
        np.subtract(x[lag : lag + len(mean)], mean, out=distance)
        total += np.abs(distance, out=distance)
    total /= n
    return total


def window_rank(x: npt.NDArray[np.int16], n: int) -> FloatArray:
    """Where the last value of each window stands among the n - 1 before it: 0 below all, 100 above all.

    An equal value counts half. n is at most 256. Small integers, because they are compared n times.
    """
    last = x[n - 1 :]
    below, not_above = np.zeros(len(last), np.uint8), np.zeros(len(last), np.uint8)
    for lag in range(n - 1):
        earlier = x[lag : lag + len(last)]
        below += (earlier < last).view(np.uint8)  # as it stands the sum would convert every value
        not_above += (earlier <= last).view(np.uint8)
    rank = not_above.astype(np.float64)
    rank += below
    rank *= 50 / (n - 1)
    return rank
