"""Features at the edges: flat, empty, short, without volume, with bars that are none, continued later."""

import numpy as np
import numpy.typing as npt
import pytest

from lib.bars import Bars
from lib.indicators import FEATURES, LOOKBACK_BARS, adjusted, compute
from lib.indicators.series import BLOCK_BARS

FloatArray = npt.NDArray[np.float64]

PER_YEAR = 252.0
BY_NAME = {feature.name: feature for feature in FEATURES}


def bars_of(close: FloatArray, *, wick: float = 0.0, volume: float | FloatArray = 100.0) -> Bars:
    """Bars that open at the close before, reach *wick* beyond both, and trade *volume*."""
    close = np.asarray(close, np.float64)
    opens = np.concatenate((close[:1], close[:-1]))
    n = len(close)
    return Bars(
        np.arange(n, dtype=np.int64) * 60_000,
        opens,
        np.maximum(opens, close) * (1 + wick),
        np.minimum(opens, close) * (1 - wick),
        close,
        np.broadcast_to(np.asarray(volume, np.float64), n).copy(),
        np.full(n, np.nan),
        np.ones(n, np.int64),
    )


def walk(n: int, seed: int = 1) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.003, n))), 2)
    return bars_of(close, wick=0.001, volume=random.integers(0, 10_000, n).astype(np.float64))


def defined(values: dict[str, FloatArray]) -> None:
    """Every value after the warm-up is a finite number."""
    for name, column in values.items():
        assert np.isfinite(column[BY_NAME[name].warmup :]).all(), name
        assert np.isnan(column[: BY_NAME[name].warmup]).all(), name


# What a market without any move means: no return, no spread, no direction, the middle of every scale.
FLAT = {
    **dict.fromkeys(("return_1", "log_return", "gap", "roc_10", "volatility_20", "parkinson_20"), 0.0),
    **dict.fromkeys(("garman_klass_20", "trend_200", "macd", "macd_signal", "macd_hist", "atr_14"), 0.0),
    **dict.fromkeys(("adx_14", "cci_20", "volume_z_20", "high_distance_20", "low_distance_20"), 0.0),
    **dict.fromkeys(("volatility_rank_252", "rsi_14", "stoch_k", "stoch_d", "mfi_14"), 50.0),
    "structure_20": 0.0,
    "bb_percent": 0.5,
    "williams_r_14": -50.0,
    "obv": 100.0,
    "bars_since_hole": 272.0,
}


@pytest.mark.parametrize("price", [0.1, 0.0001, 400_000.0, 33.33])
def test_a_flat_market_is_in_the_middle_of_every_scale(price: float) -> None:
    values = compute(bars_of(np.full(600, price)), PER_YEAR)

    defined(values)
    for name, column in values.items():
        expected = FLAT.get(name, price)
        noise = 1e-13 * (price if BY_NAME[name].scales_with == "price" else 1)
        assert column[-1] == pytest.approx(expected, rel=1e-13, abs=noise), name


def test_no_bars_have_no_values() -> None:
    values = compute(Bars.empty(), PER_YEAR)

    assert list(values) == list(BY_NAME)
    assert all(column.shape == (0,) for column in values.values())


@pytest.mark.parametrize("n", [1, 2, 13, 14, 15, 19, 20, 21, 33, 34, 199, 200, 271, 272])
def test_fewer_bars_than_a_window_have_no_value_yet(n: int) -> None:
    whole, values = compute(walk(300), PER_YEAR), compute(walk(300).take(slice(0, n)), PER_YEAR)

    for name, column in values.items():
        np.testing.assert_array_equal(column, whole[name][:n], name)


@pytest.mark.parametrize("price", [0.0001, 1.0, 400_000.0])
def test_tiny_and_huge_prices(price: float) -> None:
    bars = walk(600)

    defined(compute(adjusted(bars, np.full(600, price / 100)), PER_YEAR))


def test_a_crash_from_huge_to_tiny_leaves_nothing_behind() -> None:
    quiet = 0.0001 * (1 + 0.01 * np.sin(np.arange(1_500)))
    bars = bars_of(np.concatenate((np.full(50, 400_000.0), quiet)), wick=0.0005)

    values, alone = compute(bars, PER_YEAR), compute(bars.take(slice(50, None)), PER_YEAR)

    defined(values)
    for name, column in values.items():
        if name != "obv":
            np.testing.assert_allclose(column[-400:], alone[name][-400:], rtol=1e-9, err_msg=name)


def test_without_volume_the_average_price_counts_each_bar_alike() -> None:
    bars = bars_of(100 + np.arange(60.0), volume=0.0)

    values = compute(bars, PER_YEAR)

    defined({name: column for name, column in values.items() if BY_NAME[name].warmup < 60})
    typical = (bars.high + bars.low + bars.close) / 3
    assert values["vwap_20"][-1] == pytest.approx(typical[-20:].mean())
    assert (values["mfi_14"][14:] == 50).all()
    assert not values["obv"].any()
    assert not values["volume_z_20"][19:].any()


def test_a_volume_spike_is_forgotten_with_its_window() -> None:
    volume = np.ones(100)
    volume[40] = 1e15
    values = compute(bars_of(100 + np.arange(100.0) % 7, volume=volume), PER_YEAR)
    plain = compute(bars_of(100 + np.arange(100.0) % 7, volume=1.0), PER_YEAR)

    for name in ("vwap_20", "mfi_14", "volume_z_20"):
        np.testing.assert_array_equal(values[name][60:], plain[name][60:], name)


def test_the_vwap_of_the_bars_is_used_where_it_is_known() -> None:
    bars = walk(20)
    bars.vwap[:10] = bars.low[:10]
    typical = (bars.high + bars.low + bars.close) / 3
    price = np.concatenate((bars.low[:10], typical[10:]))

    assert compute(bars, PER_YEAR)["vwap_20"][-1] == pytest.approx(np.average(price, weights=bars.volume))


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_bar_that_is_none_has_no_values_and_poisons_none(column: str, value: float) -> None:
    bars = walk(600)
    getattr(bars, column)[300] = value
    rest = np.arange(600) != 300

    values, without = compute(bars, PER_YEAR), compute(bars.take(rest), PER_YEAR)

    for name in values:
        assert np.isnan(values[name][300])
        np.testing.assert_array_equal(values[name][rest], without[name], name)


def test_a_price_of_zero_is_no_price() -> None:
    bars = walk(50)
    bars.close[30] = bars.low[30] = 0.0

    assert np.isnan(compute(bars, PER_YEAR)["return_1"][30])


def test_bars_since_a_hole_are_counted() -> None:
    after_hole = np.zeros(600, np.bool_)
    after_hole[[5, 300]] = True

    counted = compute(walk(600), PER_YEAR, after_hole=after_hole)["bars_since_hole"]

    assert counted[:8].tolist() == [1, 2, 3, 4, 5, 1, 2, 3]
    assert counted[[299, 300, 301, 570, 571, 572, 599]].tolist() == [272, 1, 2, 271, 272, 272, 272]


def test_a_hole_before_a_bar_left_out_lies_before_the_next_one() -> None:
    bars, after_hole = walk(10), np.zeros(10, np.bool_)
    bars.close[5] = np.nan
    after_hole[5] = True

    counted = compute(bars, PER_YEAR, after_hole=after_hole)["bars_since_hole"]

    np.testing.assert_array_equal(counted, [1, 2, 3, 4, 5, np.nan, 1, 2, 3, 4])


def test_windows_reach_over_a_hole_and_the_count_says_so() -> None:
    bars, after_hole = walk(600), np.zeros(600, np.bool_)
    after_hole[300] = True

    with_hole, without = compute(bars, PER_YEAR, after_hole=after_hole), compute(bars, PER_YEAR)

    for name in with_hole:
        if name != "bars_since_hole":
            np.testing.assert_array_equal(with_hole[name], without[name], name)


def still_then_moving(still: int) -> FloatArray:
    """Bars that rise and fall, *still* bars at one price, then the same again."""
    moving = 100 + np.cumsum(np.where(np.arange(300) % 3 == 0, 0.5, -0.2))
    return np.concatenate((moving, np.full(still, moving[-1]), moving - moving[0] + moving[-1] + 1))


def test_direction_ends_after_200_still_bars_and_not_before() -> None:
    close = still_then_moving(250)
    values = compute(bars_of(close), PER_YEAR)
    last_move = 299

    rsi, adx = values["rsi_14"], values["adx_14"]
    assert 0 < rsi[last_move + 199] < 100
    assert rsi[last_move + 199] == pytest.approx(rsi[last_move], rel=1e-9)
    assert rsi[last_move + 199] != 50
    assert adx[last_move + 199] > 1
    assert (rsi[last_move + 200 : 550] == 50).all()
    assert (adx[last_move + 200 : 550] == 0).all()
    assert rsi[550] == 100  # begun anew: the first move after the stillness is all there is
    defined(values)


def test_direction_does_not_depend_on_how_long_it_was_still() -> None:
    values = [compute(bars_of(still_then_moving(still)), PER_YEAR) for still in (210, 900, 5_000)]

    for name in ("rsi_14", "adx_14"):
        for other in values[1:]:
            np.testing.assert_array_equal(values[0][name][-300:], other[name][-300:], name)


def test_bars_of_one_range_have_no_direction_though_they_are_wide() -> None:
    n = 700
    close = np.where(np.arange(n) % 2 == 0, 0.9999, 1.0)
    bars = Bars(
        np.arange(n),
        close,
        np.full(n, 1.0),
        np.full(n, 0.9999),
        close,
        *[np.ones(n)] * 2,
        np.ones(n, np.int64),
    )

    values = compute(bars, PER_YEAR)

    assert (values["adx_14"][27:] == 0).all()
    assert values["rsi_14"][-1] == pytest.approx(50, abs=4)
    defined(values)


def test_bars_that_widen_both_ways_alike_have_no_direction() -> None:
    before, n = walk(300), 500
    wide = np.arange(n) % 2 == 0
    high, low = np.where(wide, 101.0, 100.5), np.where(wide, 99.0, 99.5)
    middle = np.full(n, 100.0)
    after = Bars(np.arange(n), middle, high, low, middle, *[np.ones(n)] * 2, np.ones(n, np.int64))

    adx = compute(Bars.concat([before, after]), PER_YEAR)["adx_14"]

    assert adx[310] > 1
    assert not adx[-200:].any()


def test_an_open_beyond_the_range_makes_no_negative_volatility() -> None:
    n = 40
    bars = Bars(
        np.arange(n), np.full(n, 99.9), *[np.full(n, 100.0)] * 3, *[np.ones(n)] * 2, np.ones(n, np.int64)
    )

    assert not compute(bars, PER_YEAR)["garman_klass_20"][19:].any()


def test_typical_prices_that_differ_by_rounding_are_equal() -> None:
    # 0.3 + 0.1 + 0.2 and 0.4 + 0.1 + 0.1 are 0.6 and differ in the last digit of their sum.
    n = 60
    odd = np.arange(n) % 2 == 1
    high, close, low = np.where(odd, 0.3, 0.4), np.where(odd, 0.2, 0.1), np.full(n, 0.1)
    bars = Bars(np.arange(n), close, high, low, close, *[np.ones(n)] * 2, np.ones(n, np.int64))
    assert len(set((high + low + close).tolist())) == 2

    values = compute(bars, PER_YEAR)

    assert (values["mfi_14"][14:] == 50).all()
    assert not values["cci_20"][19:].any()


def test_prices_and_volumes_are_adjusted_for_splits() -> None:
    bars = walk(10)
    factors = np.where(np.arange(10) < 5, 0.25, 1.0)

    after = adjusted(bars, factors)

    np.testing.assert_array_equal(after.close, bars.close * factors)
    np.testing.assert_array_equal(after.open[:5], bars.open[:5] / 4)
    np.testing.assert_array_equal(after.volume[:5], bars.volume[:5] * 4)
    np.testing.assert_array_equal(after.volume[5:], bars.volume[5:])
    np.testing.assert_array_equal(after.t, bars.t)


def test_obv_goes_on_from_its_stored_value_to_the_same_digits() -> None:
    bars = walk(2_000)
    bars.volume[:] = bars.volume / 3  # sums of thirds are rounded: the order counts
    whole = compute(bars, PER_YEAR)["obv"]

    tail = compute(bars.take(slice(700, None)), PER_YEAR, obv_known=(1_000, float(whole[1_700])))["obv"]

    assert np.isnan(tail[:1_000]).all()
    np.testing.assert_array_equal(tail[1_000:], whole[1_700:])


def test_a_longer_series_than_one_block_is_one_series() -> None:
    bars = walk(2 * BLOCK_BARS + 5_000)
    whole = compute(bars, PER_YEAR)

    defined(whole)
    for edge in (BLOCK_BARS, 2 * BLOCK_BARS):
        part = slice(edge - LOOKBACK_BARS - 300, edge + 300)
        alone = compute(bars.take(part), PER_YEAR)
        for name in whole:
            if name != "obv":
                np.testing.assert_allclose(
                    alone[name][-600:], whole[name][part][-600:], rtol=1e-9, err_msg=name
                )


def test_the_table_is_complete() -> None:
    for feature in FEATURES:
        assert feature.formula
        assert feature.source
        assert set(feature.inputs) <= {"open", "high", "low", "close", "volume", "vwap"}
        assert feature.lookback is None or feature.warmup <= feature.lookback <= LOOKBACK_BARS
    assert [feature.name for feature in FEATURES if feature.lookback is None] == ["obv"]
    assert len(BY_NAME) == len(FEATURES)
