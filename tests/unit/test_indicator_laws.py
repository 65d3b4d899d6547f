"""What must hold for any bars: no look ahead, a tail equals the whole, scales as defined, finite always."""

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.bars import Bars
from lib.indicators import FEATURES, LOOKBACK_BARS, compute

FloatArray = npt.NDArray[np.float64]

PER_YEAR = 98_280.0
KINDS = ("walk", "quiet", "flat", "one range", "jump", "crash", "no volume", "spike of volume")

segments = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 400), st.integers(0, 2**32)), min_size=1, max_size=8
)
long_series = st.tuples(segments, segments, segments).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def bars_of(parts: list[tuple[str, int, int]], price: float = 100.0) -> Bars:
    """A series of moods, each some bars long."""
    pieces = []
    for kind, n, seed in parts:
        pieces.append(_piece(kind, n, np.random.default_rng(seed), price))
        price = pieces[-1][0][-1]
    opens = [np.concatenate((close[:1], close[:-1])) for close, _, _ in pieces]
    close, wick, volume = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    open_ = np.concatenate(opens)
    high, low = np.maximum(open_, close) + wick, np.minimum(open_, close) - wick
    n = len(close)
    unknown = np.full(n, np.nan)
    return Bars(np.arange(n), open_, high, low, close, volume, unknown, np.ones(n, np.int64))


def _piece(
    kind: str, n: int, random: np.random.Generator, price: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Closes, how far beyond them the bars reach, and volumes."""
    steps = {"walk": 0.003, "quiet": 1e-7, "no volume": 0.001, "spike of volume": 0.001}.get(kind, 0.0)
    close = price * np.exp(np.cumsum(random.normal(0, 1, n) * steps))
    if kind in ("jump", "crash"):
        close = close * (20.0 if kind == "jump" else 0.05)
    wick = close[0] * (0.0 if kind == "flat" else 0.001) * np.ones(n)
    if kind not in ("flat", "one range"):
        wick *= random.random(n)
    volume = random.integers(0, 10_000, n).astype(np.float64)
    if kind == "no volume":
        volume[:] = 0
    if kind == "spike of volume":
        volume[0] = 1e12
    return close, wick, volume


def assert_same(ours: FloatArray, theirs: FloatArray, name: str, within: float = 0.0) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=within, atol=within * 100, err_msg=name)


@given(parts=segments, share=st.floats(0, 1))
@settings(max_examples=60)
def test_bars_to_come_change_nothing(parts: list[tuple[str, int, int]], share: float) -> None:
    bars = bars_of(parts)
    n = int(share * len(bars))

    whole, so_far = compute(bars, PER_YEAR), compute(bars.take(slice(0, n)), PER_YEAR)

    for name in whole:
        np.testing.assert_array_equal(so_far[name], whole[name][:n], name)


@given(parts=long_series, share=st.floats(0, 1))
@example(parts=[("walk", 100, 1), ("one range", 1_200, 2), ("walk", 150, 3)], share=0.3)
@example(
    parts=[("walk", 400, 1), ("flat", 195, 2), ("quiet", 400, 3), ("flat", 195, 2), ("walk", 600, 5)],
    share=0.0,
)
@example(
    parts=[("crash", 400, 1), ("jump", 300, 2), ("quiet", 399, 3), ("flat", 350, 4), ("walk", 40, 5)],
    share=0.9,
)
@settings(max_examples=60)
def test_a_tail_with_its_look_back_equals_the_whole(parts: list[tuple[str, int, int]], share: float) -> None:
    bars = bars_of(parts)
    first = int(
        share * max(0, len(bars) - LOOKBACK_BARS)
    )  # of the tail; its values begin LOOKBACK_BARS later
    whole = compute(bars, PER_YEAR)
    at = min(LOOKBACK_BARS, len(bars) - 1 - first)
    known = (at, float(whole["obv"][first + at])) if first else None

    tail = compute(bars.take(slice(first, None)), PER_YEAR, obv_known=known)

    for feature in FEATURES:
        new = slice(at if first else 0, None)
        expected = whole[feature.name][first:][new]
        if feature.recursive and feature.name != "obv":
            scale = bars.close[first:][new] if feature.scales_with == "price" else 1.0
            assert_same(tail[feature.name][new] / scale, expected / scale, feature.name, 1e-11)
        else:
            np.testing.assert_array_equal(tail[feature.name][new], expected, feature.name)


@given(parts=segments, power=st.integers(-60, 40))
@example(parts=[("walk", 40, 1), ("quiet", 150, 2)], power=-60)
@settings(max_examples=40)
def test_a_power_of_two_scales_to_the_last_digit(parts: list[tuple[str, int, int]], power: int) -> None:
    bars, by = bars_of(parts), 2.0**power

    values, scaled = compute(bars, PER_YEAR), compute(priced(bars, by), PER_YEAR)

    for feature in FEATURES:
        expected = values[feature.name] * (by if feature.scales_with == "price" else 1)
        np.testing.assert_array_equal(scaled[feature.name], expected, feature.name)


@given(seed=st.integers(0, 2**32), by=st.floats(1e-6, 1e6))
@settings(max_examples=40)
def test_any_factor_of_the_price_scales_as_the_table_says(seed: int, by: float) -> None:
    bars = bars_of([("walk", 700, seed)])

    values, scaled = compute(bars, PER_YEAR), compute(priced(bars, by), PER_YEAR)

    for feature in FEATURES:
        factor = by if feature.scales_with == "price" else 1
        assert_same(scaled[feature.name] / factor, values[feature.name], feature.name, 1e-9)


@given(seed=st.integers(0, 2**32), by=st.floats(1e-6, 1e6))
@settings(max_examples=40)
def test_any_factor_of_the_volume_scales_as_the_table_says(seed: int, by: float) -> None:
    bars = bars_of([("walk", 700, seed)])
    traded = Bars(
        bars.t, bars.open, bars.high, bars.low, bars.close, bars.volume * by, bars.vwap, bars.trades
    )

    values, scaled = compute(bars, PER_YEAR), compute(traded, PER_YEAR)

    for feature in FEATURES:
        factor = by if feature.scales_with == "volume" else 1
        assert_same(scaled[feature.name] / factor, values[feature.name], feature.name, 1e-9)


@given(parts=segments, price=st.sampled_from([0.0001, 1.0, 400_000.0]))
@settings(max_examples=60)
def test_after_the_warm_up_every_value_is_a_number_within_its_bounds(parts, price: float) -> None:
    bars = bars_of(parts, price)
    values = compute(bars, PER_YEAR)

    for feature in FEATURES:
        column = values[feature.name]
        assert np.isnan(column[: feature.warmup]).all(), feature.name
        assert np.isfinite(column[feature.warmup :]).all(), feature.name
    for name in ("rsi_14", "adx_14", "stoch_k", "stoch_d", "mfi_14", "volatility_rank_252"):
        assert_between(values[name], 0, 100)
    assert_between(values["williams_r_14"], -100, 0)
    assert_between(values["structure_20"], -1, 1)
    assert_between(values["high_distance_20"], -1, 0)
    for name in ("volatility_20", "parkinson_20", "garman_klass_20", "atr_14", "low_distance_20"):
        assert_between(values[name], 0, np.inf)
    assert_between((values["vwap_20"] / bars.close.max())[19:], 0, 1.1)


def assert_between(values: FloatArray, lowest: float, highest: float) -> None:
    known = values[~np.isnan(values)]
    assert (known >= lowest - 1e-9).all()
    assert (known <= highest + 1e-9).all()


def priced(bars: Bars, by: float) -> Bars:
    return Bars(
        bars.t,
        bars.open * by,
        bars.high * by,
        bars.low * by,
        bars.close * by,
        bars.volume,
        bars.vwap * by,
        bars.trades,
    )
