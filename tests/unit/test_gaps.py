"""Gaps without a database: a gap's identity over many runs, the statistics of minutes, the cells of the matrix."""

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.gaps import (
    GAPS,
    MEANING,
    WHOLE,
    Cell,
    OpenGap,
    RegularMinutes,
    Sign,
    State,
    Stretch,
    build_completeness_matrix,
    cell_of,
    gaps_of,
    reconcile,
    split_units,
    suspects,
)
from lib.timeframe import Timeframe

DAY = timedelta(days=1)
EPOCH = date(2025, 1, 1)
SEEN = date(2024, 12, 1)


def at(number):
    return EPOCH + number * DAY


def stretches(runs, first=0):
    """Stretches one after the other, of (state, units)."""
    out = []
    for state, units in runs:
        out.append(Stretch(state, at(first), at(first + units), units))
        first += units
    return out


def days_of(pieces):
    return {p.start + n * DAY for p in pieces for n in range((p.end - p.start).days)}


runs = st.lists(
    st.tuples(st.sampled_from([*GAPS[:3], State.COMPLETE, State.PENDING]), st.integers(1, 5)), max_size=8
)


@st.composite
def open_rows(draw):
    """Rows of an earlier look: disjoint, of a calendar in which every day is a unit."""
    pieces = gaps_of(stretches(draw(runs), draw(st.integers(-10, 10))))
    ids = draw(st.permutations(range(1, len(pieces) + 1)))
    return [OpenGap(i, p.start, p.end, p.units, p.state) for i, p in zip(ids, pieces, strict=True)]


def beyond_of(rows, scanned):
    return sorted((d, d) for d in days_of(rows) if not scanned[0] <= d < scanned[1])


looks = st.tuples(open_rows(), runs).map(
    lambda drawn: (drawn[0], stretches(drawn[1]), (EPOCH, at(sum(n for _, n in drawn[1]))))
)


@given(looks)
def test_what_is_open_afterwards_is_what_was_found_and_what_was_not_looked_at(look):
    rows, found, scanned = look
    out = reconcile(rows, found, scanned, beyond_of(rows, scanned))
    touched = [r for r in rows if r.start < scanned[1] and scanned[0] < r.end]

    still_open = [*out.kept, *out.shrunk, *out.new]
    not_looked_at = {d for d in days_of(touched) if not scanned[0] <= d < scanned[1]}
    assert days_of(still_open) == days_of(gaps_of(found)) | not_looked_at
    assert sum(gap.units for gap in still_open) == len(days_of(still_open))
    for gap in still_open:
        assert gap.units == (gap.end - gap.start).days > 0


@given(looks)
def test_each_row_becomes_one_thing_and_rows_elsewhere_are_left_alone(look):
    rows, found, scanned = look
    out = reconcile(rows, found, scanned, beyond_of(rows, scanned))

    ids = [gap.gap_id for gap in (*out.kept, *out.shrunk, *out.filled, *out.absorbed)]
    assert sorted(ids) == sorted(r.gap_id for r in rows if r.start < scanned[1] and scanned[0] < r.end)
    assert {gap.gap_id for gap in out.new} <= {None}


@given(looks)
def test_a_row_is_filled_when_nothing_of_it_was_found_and_all_of_it_looked_at(look):
    rows, found, scanned = look
    out = reconcile(rows, found, scanned, beyond_of(rows, scanned))

    gap_days = days_of(gaps_of(found))
    for row in rows:
        days = days_of([row])
        gone = not days & gap_days and all(scanned[0] <= d < scanned[1] for d in days)
        assert (row in out.filled) == gone


@given(looks)
def test_a_gap_is_an_old_row_wherever_one_was_there(look):
    rows, found, scanned = look
    out = reconcile(rows, found, scanned, beyond_of(rows, scanned))
    # A row that nothing else needed is never passed over for a new one.
    for gap in out.new:
        assert not any(r.start < gap.end and gap.start < r.end for r in (*out.filled, *out.absorbed))
    for kept in out.kept:
        (row,) = (r for r in rows if r.gap_id == kept.gap_id)
        assert row.start < kept.end and kept.start < row.end


@given(looks)
def test_looking_again_changes_nothing(look):
    rows, found, scanned = look
    first = reconcile(rows, found, scanned, beyond_of(rows, scanned))
    left = [
        OpenGap(n, g.start, g.end, g.units, g.state)
        for n, g in enumerate([*first.kept, *first.shrunk, *first.new], 1)
    ]

    again = reconcile(left, found, scanned, beyond_of(left, scanned))

    assert not (again.new or again.filled or again.absorbed)
    touched = {g.gap_id: g for g in left if g.start < scanned[1] and scanned[0] < g.end}
    assert {g.gap_id: g for g in (*again.kept, *again.shrunk)} == touched


@given(runs)
def test_the_same_gaps_are_the_same_rows(found):
    found = stretches(found)
    rows = [OpenGap(n, g.start, g.end, g.units, g.state) for n, g in enumerate(gaps_of(found), 1)]

    out = reconcile(rows, found, (EPOCH, at(60)))

    assert (out.kept, out.shrunk, out.filled, out.absorbed, out.new) == (rows, [], [], [], [])


def test_the_oldest_row_wins_and_the_others_are_a_part_of_it():
    rows = [
        OpenGap(7, at(0), at(2), 2, State.MISSING, SEEN),
        OpenGap(3, at(4), at(6), 2, State.MISSING, SEEN + DAY),
    ]
    out = reconcile(rows, stretches([(State.MISSING, 6)]), (at(0), at(6)))

    assert out.kept == [OpenGap(3, at(0), at(6), 6, State.MISSING, SEEN + DAY)]
    assert [row.gap_id for row in out.absorbed] == [7]
    assert not out.filled


def test_what_a_gap_falls_apart_into_was_detected_with_it():
    row = OpenGap(7, at(0), at(9), 9, State.MISSING, SEEN)
    found = stretches([(State.MISSING, 3), (State.COMPLETE, 2), (State.LOST, 4)])
    out = reconcile([row], found, (at(0), at(9)))

    assert out.kept == [OpenGap(7, at(0), at(3), 3, State.MISSING, SEEN)]
    assert out.new == [OpenGap(None, at(5), at(9), 4, State.LOST, SEEN)]


def test_closed_days_at_the_edge_of_what_was_looked_at_do_not_cut_a_gap():
    # Friday and Monday of one gap; the look begins on Saturday, and its first session is missing still.
    friday, saturday, monday = date(2025, 1, 10), date(2025, 1, 11), date(2025, 1, 13)
    row = OpenGap(1, friday, monday + DAY, 2, State.MISSING)
    found = [Stretch(State.MISSING, monday, monday + DAY, 1)]

    out = reconcile([row], found, (saturday, monday + DAY), [(friday, friday)])

    assert out.kept == [row]


# n = 390 slots: the longest run of absent minutes that chance still explains is one less. (gap-model §3.5)
@pytest.mark.parametrize(
    "absent_share, run",
    [(0.01, 4), (0.05, 6), (0.10, 7), (0.30, 13), (0.50, 22), (0.70, 43), (0.80, 69), (0.90, 145)],
)
def test_a_run_of_absent_minutes_is_suspect_from_the_length_of_the_table_on(absent_share, run):
    # ceil(ln(1e-4 / 390) / ln p)
    assert math.ceil(math.log(1e-4 / 390) / math.log(absent_share)) == run
    before = [spread(n, 390 - round(390 * absent_share)) for n in range(20)]

    assert suspects([*before, with_run(20, absent_share, run)]) == {at(20)}
    assert suspects([*before, with_run(20, absent_share, run - 1)]) == set()


def spread(number, present, slots=390):
    """A session whose *present* minutes lie evenly."""
    minutes = sorted({round((k + 0.5) * slots / present - 0.5) for k in range(present)})
    return RegularMinutes(at(number), slots, minutes)


def with_run(number, share, run, slots=390):
    """Minutes absent evenly about as often as *share*, but for one run of exactly *run* in the middle."""
    start = 150
    outside = [
        m for m in spread(number, round(slots * (1 - share))).minutes if not start - 1 <= m <= start + run
    ]
    return RegularMinutes(at(number), slots, sorted([*outside, start - 1, start + run]))


@pytest.mark.parametrize("slots", [390, 210, 1440])
def test_full_sessions_are_not_suspect_and_empty_ones_are(slots):
    full = [RegularMinutes(at(n), slots, range(slots)) for n in range(3)]
    assert suspects(full) == set()
    assert suspects([*full, RegularMinutes(at(3), slots, [])]) == {at(3)}
    assert suspects([RegularMinutes(at(0), slots, [])]) == {at(0)}


def test_runs_at_the_open_and_at_the_close_count():
    late = RegularMinutes(at(0), 390, range(10, 390))
    early = RegularMinutes(at(1), 390, range(380))
    assert (late.longest_run, early.longest_run) == (10, 10)
    assert suspects([late, early]) == {at(0), at(1)}


def test_many_minutes_missing_one_by_one_are_suspect_in_a_liquid_name():
    full = [RegularMinutes(at(n), 390, range(390)) for n in range(20)]
    every_tenth = RegularMinutes(at(20), 390, [m for m in range(390) if m % 10])
    assert suspects([*full, every_tenth]) == {at(20)}
    assert suspects([*full, RegularMinutes(at(20), 390, range(1, 390, 1))]) == set()


def test_the_first_session_of_a_thin_name_is_judged_by_itself():
    # UGA on 2019-02-11: 325 of 390 minutes without a trade, 50 of them in a row.
    outside = [*range(0, 100, 5), *range(150, 390, 5)]
    session = RegularMinutes(at(0), 390, [m for m in outside if m <= 99 or m >= 149][:65])
    assert session.absent >= 320
    assert session.longest_run >= 50
    assert suspects([session]) == set()


def test_a_stretch_is_cut_where_units_differ():
    stretch = Stretch(State.UNVERIFIED, at(0), at(9), 5)
    dates = [at(0), at(1), at(4), at(5), at(8)]

    assert split_units(stretch, dates, {at(1), at(4)}, State.SUSPECT) == [
        Stretch(State.UNVERIFIED, at(0), at(1), 1),
        Stretch(State.SUSPECT, at(1), at(5), 2),
        Stretch(State.UNVERIFIED, at(5), at(9), 2),
    ]
    assert split_units(stretch, dates, set(), State.SUSPECT) == [stretch]
    assert split_units(stretch, dates, set(dates), State.SUSPECT) == [Stretch(State.SUSPECT, at(0), at(9), 5)]
    assert split_units(stretch, [], set(), State.SUSPECT) == []
    weeks = [at(4), at(11), at(18)]
    assert split_units(stretch, weeks, {at(11)}, State.CONTRADICTION, days=7)[1] == Stretch(
        State.CONTRADICTION, at(11), at(18), 1
    )


CELLS = [
    ([], "-"),
    ([(State.COMPLETE, 250)], "✓"),
    ([(State.UNVERIFIED, 250)], "✓"),
    ([(State.COMPLETE, 249), (State.PENDING, 1)], "✓"),
    ([(State.COMPLETE, 249), (State.VERIFIED_EMPTY, 1)], "✓"),
    ([(State.COMPLETE, 249), (State.RECHECK_DUE, 1)], "✓"),
    ([(State.NOT_ENTITLED, 249), (State.COMPLETE, 1)], "✓"),
    ([(State.NOT_EXPECTED, 249), (State.COMPLETE, 1)], "✓"),
    ([(State.COMPLETE, 97), (State.LOST, 3)], "◐ 97%"),
    ([(State.COMPLETE, 999), (State.LOST, 1)], "◐ 99%"),  # rounded down: 100 only when all are complete
    ([(State.COMPLETE, 99_999), (State.MISSING, 1)], "◐ 99%"),
    ([(State.COMPLETE, 1), (State.MISSING, 249)], "◐ 0%"),
    ([(State.COMPLETE, 29), (State.SUSPECT, 71)], "◐ 29%"),
    ([(State.LOST, 250)], "◐ 0%"),
    ([(State.VENDOR_HOLE, 1)], "◐ 0%"),
    ([(State.CONTRADICTION, 1), (State.MISSING, 5)], "◐ 0%"),
    ([(State.MISSING, 250)], "✗"),
    ([(State.MISSING, 250), (State.PENDING, 1)], "✗"),
    ([(State.PENDING, 1)], "…"),
    ([(State.RECHECK_DUE, 1)], "…"),
    ([(State.VERIFIED_EMPTY, 9), (State.PENDING, 1)], "…"),
    ([(State.VERIFIED_EMPTY, 9)], "∅"),
    ([(State.NOT_EXPECTED, 9)], "∅"),
    ([(State.NOT_ENTITLED, 250)], "⊘"),
    ([(State.NOT_ENTITLED, 249), (State.PENDING, 1)], "⊘"),
]


@pytest.mark.parametrize("found, text", CELLS, ids=[str(number) for number in range(len(CELLS))])
def test_the_cells_of_the_matrix(found, text):
    assert cell_of(stretches(found)).text == text


@given(st.integers(0, 2000), st.integers(1, 2000))
def test_percent_is_exact_to_the_tenth_and_never_flatters(complete, more):
    cell = Cell(Sign.PARTIAL, complete + more, complete)

    assert cell.percent * (complete + more) <= 100 * complete * (1 + 1e-12)
    assert cell.percent < 100
    assert round(cell.percent * 10) == 1000 * complete // (complete + more)


def test_the_matrix_by_symbol_and_timeframe():
    found = {"AAPL": {Timeframe.M1: stretches([(State.COMPLETE, 3)]), Timeframe.W1: []}}
    assert build_completeness_matrix(found) == {"AAPL": {"1m": "✓", "1w": "-"}}


def test_every_state_is_a_gap_or_whole_or_neither_and_every_sign_has_a_meaning():
    assert not set(GAPS) & set(WHOLE)
    assert set(MEANING) == set(Sign)
