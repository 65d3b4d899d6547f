"""The cheapest mix of requests for day bars, against both pure strategies and an exhaustive search."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from lib.cover import dates_worth_grouping


def requests(missing, grouped):
    """How many requests a choice of dates costs: those dates, and each symbol that still lacks one."""
    return len(grouped) + sum(bool(dates - grouped) for dates in missing.values())


def test_one_new_day_of_500_symbols_is_one_request():
    missing = {f"S{i}": frozenset([7]) for i in range(500)}

    assert dates_worth_grouping(missing) == {7}


def test_a_new_symbol_with_ten_years_is_one_request_and_the_others_still_share_theirs():
    missing = {f"S{i}": frozenset([2500]) for i in range(500)} | {"NEW": frozenset(range(2501))}

    assert requests(missing, dates_worth_grouping(missing)) == 2


def test_one_symbol_is_asked_by_itself():
    assert dates_worth_grouping({"KO": frozenset([1])}) == set()
    assert dates_worth_grouping({"KO": frozenset(), "PEP": frozenset()}) == set()


@given(
    st.dictionaries(
        st.sampled_from([f"S{i}" for i in range(7)]), st.frozensets(st.integers(0, 6), max_size=7), max_size=7
    )
)
def test_no_mix_is_cheaper_and_everything_is_covered(missing):
    chosen = dates_worth_grouping(missing)

    dates = frozenset().union(*missing.values())
    cheapest = min(
        requests(missing, set(some)) for n in range(len(dates) + 1) for some in combinations(dates, n)
    )
    assert chosen <= dates
    assert requests(missing, chosen) == cheapest
