"""Eras, factors, verdicts and look-alikes, with the arithmetic shown."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.actions import Split
from lib.adjustment import (
    EVER,
    Around,
    Era,
    Factors,
    basis,
    common_ratio,
    judge,
    split_eras,
    total_return,
)
from lib.bars import Bars


def split(day, old=1, new=2):
    return Split(f"{day} {new}:{old}", "KO", date.fromisoformat(day), Decimal(str(old)), Decimal(str(new)))


def daily(splits, as_of=None):
    """(end, factor) of the eras of bars shorter than 1w, as seen on a day; None: for ever."""
    seen = [e for e in split_eras(splits) if not e.weekly and _seen(e, as_of)]
    assert [e.start for e in seen] == [None, *(e.end for e in seen)][: len(seen)]
    return [(e.end.isoformat(), e.factor) for e in seen]


def weekly(splits, as_of=None):
    return [
        (e.start and e.start.isoformat(), e.end.isoformat(), e.factor)
        for e in split_eras(splits)
        if e.weekly and _seen(e, as_of)
    ]


def _seen(era, as_of):
    if as_of is None:
        return era.as_of_end is None
    day = date.fromisoformat(as_of)
    return era.as_of_start <= day and (era.as_of_end is None or day < era.as_of_end)


AAPL = [split("2000-06-21"), split("2005-02-28"), split("2014-06-09", 1, 7), split("2020-08-31", 1, 4)]


def test_prices_before_a_split_are_divided_by_it_and_all_later_ones():
    assert daily(AAPL) == [
        ("2000-06-21", 112),  # 2 * 2 * 7 * 4
        ("2005-02-28", 56),  # 2 * 7 * 4
        ("2014-06-09", 28),  # 7 * 4
        ("2020-08-31", 4),
    ]


def test_a_split_counts_from_its_day_on_and_not_before():
    assert daily(AAPL, "2000-06-20") == []
    assert daily(AAPL, "2000-06-21") == [("2000-06-21", 2)]
    assert daily(AAPL, "2014-06-08") == [("2000-06-21", 4), ("2005-02-28", 2)]
    assert daily(AAPL, "2020-08-30") == [("2000-06-21", 28), ("2005-02-28", 14), ("2014-06-09", 7)]


def test_ratios_are_exact_where_the_vendors_factors_are_rounded():
    thirds = [split("2020-01-06", 3, 1), split("2021-01-04", "0.75", "1.5"), split("2022-01-03", 2, 3)]

    assert [factor for _, factor in daily(thirds)] == [
        Fraction(1, 3) * 2 * Fraction(3, 2),
        2 * Fraction(3, 2),
        Fraction(3, 2),
    ]


def test_two_splits_of_one_day_are_one_era():
    assert daily([split("2020-01-06", 1, 3), split("2020-01-06", 10, 1)]) == [("2020-01-06", Fraction(3, 10))]


def test_a_week_is_of_two_bases_if_the_split_comes_after_its_first_session():
    # 2025-03-10 was a Monday, 2025-03-19 a Wednesday; weeks begin on Sunday.
    assert weekly([split("2025-03-10", 1, 2), split("2025-03-19", 1, 3)]) == [
        (None, "2025-03-09", 6),
        ("2025-03-09", "2025-03-16", 3),
        ("2025-03-16", "2025-03-23", None),
    ]
    assert weekly([split("2025-03-10", 1, 2), split("2025-03-12", 1, 3)]) == [
        (None, "2025-03-09", 6),
        ("2025-03-09", "2025-03-16", None),
    ]
    assert weekly([split("2025-03-12", 1, 2), split("2025-03-19", 1, 3)]) == [
        (None, "2025-03-09", 6),
        ("2025-03-09", "2025-03-16", None),
        ("2025-03-16", "2025-03-23", None),
    ]


DAYS = st.dates(date(2000, 1, 1), date(2020, 12, 31))
RATIOS = st.integers(1, 50)


@given(st.lists(st.tuples(DAYS, RATIOS, RATIOS), max_size=6, unique_by=lambda one: one[0]), DAYS, DAYS)
def test_the_factor_of_a_day_is_the_product_of_the_splits_after_it(made, day, as_of):
    splits = [split(when.isoformat(), old, new) for when, old, new in made]
    wanted = Fraction(1)
    for one in splits:
        if day < one.day <= as_of:
            wanted *= one.ratio

    found = [
        era.factor
        for era in split_eras(splits)
        if not era.weekly
        and (era.start is None or era.start <= day)
        and day < era.end
        and _seen(era, as_of.isoformat())
    ]

    assert (found or [1]) == [wanted] if wanted != 1 or found else True
    assert len(found) <= 1


def bars(*t):
    price = np.array([100.0] * len(t))
    vwap = np.where(np.arange(len(t)) == 0, np.nan, 101.0)
    return Bars(np.array(t, np.int64), price, price, price, price, price * 10, vwap, np.array([3] * len(t)))


def test_factors_are_applied_from_the_first_stamp_of_an_era():
    factors = Factors(np.array([EVER, 1000, 2000]), np.array([1 / 8, 1 / 2, 1.0]))

    adjusted = total_return(bars(-5, 999, 1000, 1999, 2000), factors)

    for name in ("open", "high", "low", "close"):
        assert getattr(adjusted, name).tolist() == [12.5, 12.5, 50, 50, 100]
    assert adjusted.vwap.tolist()[1:] == [101 / 8, 101 / 2, 101 / 2, 101]
    assert np.isnan(adjusted.vwap[0])
    assert adjusted.volume.tolist() == [1000] * 5
    assert adjusted.trades.tolist() == [3] * 5


def verdict(around, *splits):
    found = judge(splits or [split("2025-03-10", 1, 4)], around)
    return [(one.word, one.applied) for one in found]


@pytest.mark.parametrize(
    ("around", "word", "applied"),
    [
        (Around(100, 25, 25), "fits", True),
        (Around(100, 20.5, 20.5), "fits", True),  # ln(4.878 / 4) = 0.198, ln(1.25) = 0.223
        (Around(100, 19, 19), "suspect", True),  # 5.26 is nearer to 4 than to 1
        (Around(100, 100, 25), "fits", True),  # a bad open
        (Around(100, 25, 14), "fits", True),  # a bad day after the split
        (Around(100, 100, 97), "suspect", False),
        (Around(100, 52, 53), "suspect", False),  # 1.92: nearer to 1 than to 4
        (Around(100, 48, 47), "suspect", True),  # 2.08: the ratio on file may be wrong, but there was one
        (Around(100, 400, 400), "suspect", False),  # the other way round
        (None, "unchecked", True),
    ],
)
def test_a_split_is_judged_by_the_jump_between_the_sessions_around_it(around, word, applied):
    assert verdict(around) == [(word, applied)]


def test_a_small_split_cannot_be_told_from_a_quiet_day_and_is_believed():
    assert verdict(Around(100, 100, 100), split("2025-03-10", 20, 21)) == [("fits", True)]


def test_of_several_splits_of_a_day_the_one_that_fits_is_applied():
    two, four = split("2025-03-10", 1, 2), split("2025-03-10", 1, 4)

    assert verdict(Around(100, 25, 25), two, four) == [("suspect", False), ("fits", True)]
    assert verdict(Around(100, 51, 50), two, four) == [("fits", True), ("suspect", False)]
    assert verdict(Around(100, 12.5, 12.6), two, four) == [("fits", True)] * 2  # both: 8
    assert verdict(None, two, four) == [("suspect", False)] * 2


def test_a_round_trip_on_one_day_is_taken_together():
    down, up = split("2025-03-10", 100, 1), split("2025-03-10", 1, 100)

    assert verdict(Around(10, 10.2, 10.1), down, up) == [("fits", True)] * 2


@pytest.mark.parametrize(
    ("around", "ratio"),
    [
        (Around(100, 50, 51), Fraction(2)),
        (Around(100, 34, 33), Fraction(3)),
        (Around(100, 66, 67), Fraction(3, 2)),
        (Around(5, 51, 49), Fraction(1, 10)),
        (Around(53.5, 28.19, 25.75), Fraction(2)),  # AAPL fell by half on 2000-09-29; volume tells, we do not
        (Around(100, 80, 50), None),  # fell during the day
        (Around(100, 50, 70), None),
        (Around(100, 57, 57), None),
        (Around(100, 100, 100), None),
    ],
)
def test_a_jump_is_named_after_the_common_ratio_it_looks_like(around, ratio):
    assert common_ratio(around) == ratio


def test_the_basis_is_a_text_for_people():
    assert (
        basis([split("2025-03-10", 10, 1), split("2024-06-10", 1, 10)]) == "2024-06-10 10:1, 2025-03-10 1:10"
    )
    assert basis([]) == ""


def test_an_era_needs_an_end():
    with pytest.raises(TypeError):
        Era()
