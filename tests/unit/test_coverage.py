import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.coverage import Answered, LedgerRow, answered, clip, covered, holds, record, subtract, union

NOW = datetime(2025, 1, 8, tzinfo=UTC)

ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def points(some):
    return {x for a, b in some for x in range(a, b)}


@given(ranges, ranges)
def test_range_sets_behave_as_sets_of_instants(left, right):
    assert points(union(left)) == points(left)
    assert points(subtract(left, right)) == points(left) - points(right)
    assert points(clip(left, 10, 20)) == points(left) & set(range(10, 20))


@given(ranges)
def test_a_range_set_is_ascending_and_does_not_touch(some):
    merged = union(some)

    assert all(a < b for a, b in merged)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(merged))


@given(ranges, st.integers(0, 40), st.integers(1, 10))
def test_holds_only_windows_covered_whole(some, start, length):
    window = set(range(start, start + length))

    got = bool(holds(union(some), np.array([start]), np.array([start + length]))[0])

    assert got == (window <= points(some))


def row(start, end, outcome=Answered.DATA, n=1, verify_after=None, row_id=None, attempt=1):
    return LedgerRow(start, end, outcome, n, attempt, NOW, verify_after, row_id)


def test_touching_final_answers_become_one_row():
    delete, insert = record([row(0, 10, n=5, row_id=7)], [row(10, 20, n=6)])

    assert delete == [7]
    assert insert == [row(0, 20, n=11)]


def test_a_provisional_answer_stays_apart_until_it_is_final():
    later = NOW + timedelta(hours=10)
    delete, insert = record([row(0, 10, n=5, row_id=7)], [row(10, 20, n=6, verify_after=later)])
    assert (delete, insert) == ([], [row(10, 20, n=6, verify_after=later)])

    stored = [row(0, 10, n=5, row_id=7), row(10, 20, n=6, verify_after=later, row_id=8)]
    delete, insert = record(stored, [row(10, 20, n=8)])
    assert (sorted(delete), insert) == ([7, 8], [row(0, 20, n=13)])


def test_a_hole_uncovers_what_an_older_answer_covered():
    delete, insert = record([row(0, 100, n=50, row_id=1)], [row(20, 30, n=9), row(31, 40, n=8)], [(30, 31)])

    assert delete == [1]
    assert points((r.start_ms, r.end_ms) for r in insert) == points([(0, 100)]) - {30}


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8), st.sampled_from(list(Answered))), max_size=8)
)
def test_rows_of_a_series_stay_disjoint_and_the_newest_answer_counts(answers):
    stored, truth = [], {}
    for i, (start, length, outcome) in enumerate(answers):
        expiry = None if outcome is Answered.DATA else NOW + timedelta(days=1)
        new = row(start, start + length, outcome, verify_after=expiry)
        delete, insert = record(stored, [new])
        stored = [r for r in stored if r.row_id not in delete]
        stored += [
            LedgerRow(
                r.start_ms,
                r.end_ms,
                r.outcome,
                r.n_bars,
                r.attempt,
                r.fetched_at,
                r.verify_after,
                100 * i + k,
            )
            for k, r in enumerate(insert)
        ]
        truth.update(dict.fromkeys(range(start, start + length), outcome))

    seen = [(x, r.outcome) for r in stored for x in range(r.start_ms, r.end_ms)]
    assert len(seen) == len(dict(seen))
    assert dict(seen) == truth


def test_expired_answers_no_longer_cover_but_were_answered():
    rows = [row(0, 10, verify_after=NOW), row(10, 20), row(20, 30, Answered.NOT_ENTITLED, verify_after=None)]

    assert covered(rows, NOW) == [(10, 30)]
    assert answered(rows) == [(0, 20)]


def test_asking_a_part_again_keeps_the_count_of_bars():
    known = np.arange(0, 100, 2)
    _, insert = record([row(0, 100, n=50, row_id=1)], [row(20, 40, n=10)], (), known)

    assert insert == [row(0, 100, n=50)]


def test_an_answer_that_reaches_beyond_an_older_one_counts_no_bar_twice_or_never():
    """Pages of two runs begin at different bars."""
    known = np.arange(0, 150, 2)
    _, insert = record([row(0, 100, n=50, row_id=1)], [row(60, 150, n=45)], (), known)

    assert insert == [row(0, 150, n=75)]


def test_a_bar_that_is_refused_now_no_longer_counts():
    answers = [row(20, 30, n=5), row(32, 40, n=4)]
    _, insert = record([row(0, 100, n=50, row_id=1)], answers, [(30, 32)], np.arange(0, 100, 2))

    assert sum(r.n_bars for r in insert) == 49
