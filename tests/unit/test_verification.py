"""How long an answer stands: provisional until the next morning, empties asked again at growing distances."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from lib.clock import Lag, to_ms
from lib.coverage import Answered, LedgerRow, covered
from lib.sessions import always_open_table
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.verification import ledger_rows, units_of

UNITS = units_of(always_open_table(date(2025, 1, 1), date(2026, 1, 1)), Timeframe.M1)
NOON = datetime(2025, 6, 10, 12, tzinfo=UTC)


def at(text):
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def minutes(*days):
    return np.concatenate([at(day) + np.arange(0, DAY_MS, MINUTE_MS) for day in days])


def rows(start, end, bars, *, now=NOON, holes=(), previous=()):
    return ledger_rows(UNITS, (at(start), at(end)), bars, holes, previous, now)


def test_old_days_are_final_and_yesterday_is_until_ten_hours_after_its_end():
    bars = minutes("2025-06-07", "2025-06-08", "2025-06-09")

    noon = rows("2025-06-07", "2025-06-10", bars)
    assert [(r.start_ms, r.end_ms, r.n_bars, r.verify_after) for r in noon] == [
        (at("2025-06-07"), at("2025-06-10"), 3 * 1440, None)
    ]

    nine = datetime(2025, 6, 10, 9, tzinfo=UTC)
    morning = rows("2025-06-07", "2025-06-10", bars, now=nine)
    assert [(r.end_ms, r.n_bars, r.verify_after) for r in morning] == [
        (at("2025-06-09"), 2 * 1440, None),
        (at("2025-06-10"), 1440, datetime(2025, 6, 10, 10, tzinfo=UTC)),
    ]
    assert covered(morning, nine) == [(at("2025-06-07"), at("2025-06-10"))]
    assert covered(morning, NOON) == [(at("2025-06-07"), at("2025-06-09"))]


def test_an_empty_day_between_full_ones_has_a_row_of_its_own():
    got = rows("2025-05-01", "2025-05-04", minutes("2025-05-01", "2025-05-03"))

    assert [(r.outcome, r.n_bars) for r in got] == [
        (Answered.DATA, 1440),
        (Answered.EMPTY, 0),
        (Answered.DATA, 1440),
    ]


def test_a_day_answered_in_part_is_not_called_empty():
    got = ledger_rows(
        UNITS, (at("2025-05-01"), at("2025-05-01") + 60 * MINUTE_MS), np.empty(0, np.int64), (), (), NOON
    )

    assert [r.outcome for r in got] == [Answered.DATA]


def test_a_refused_bar_leaves_a_hole_of_its_window():
    hole = (at("2025-05-01") + 5 * MINUTE_MS, at("2025-05-01") + 6 * MINUTE_MS)
    bars = np.delete(minutes("2025-05-01"), 5)

    got = rows("2025-05-01", "2025-05-02", bars, holes=[hole])

    assert [(r.start_ms, r.end_ms, r.n_bars) for r in got] == [
        (at("2025-05-01"), hole[0], 5),
        (hole[1], at("2025-05-02"), 1434),
    ]


@pytest.mark.parametrize(
    ("attempts_before", "waited", "attempt", "expires"),
    [
        (0, None, 1, timedelta(hours=24)),
        (1, timedelta(hours=25), 2, timedelta(days=7)),
        (2, timedelta(days=8), 3, timedelta(days=90)),
        (3, timedelta(days=91), 4, None),
    ],
)
def test_the_same_empty_answer_stands_longer_each_time(attempts_before, waited, attempt, expires):
    previous = [
        LedgerRow(at("2025-01-02"), at("2025-01-03"), Answered.EMPTY, 0, attempts_before, NOON - waited, None)
        for _ in range(bool(attempts_before))
    ]

    (got,) = rows("2025-01-02", "2025-01-03", np.empty(0, np.int64), previous=previous)

    assert (got.outcome, got.attempt) == (Answered.EMPTY, attempt)
    assert got.verify_after == (None if expires is None else NOON + expires)


def test_a_young_empty_day_is_asked_again_within_the_hour():
    (got,) = rows("2025-06-09", "2025-06-10", np.empty(0, np.int64))

    assert got.verify_after == NOON + timedelta(hours=1)


def test_the_same_answer_within_half_an_hour_confirms_nothing():
    before = LedgerRow(at("2025-01-02"), at("2025-01-03"), Answered.EMPTY, 0, 1, NOON - timedelta(minutes=29))

    (got,) = rows("2025-01-02", "2025-01-03", np.empty(0, np.int64), previous=[before])

    assert (got.attempt, got.fetched_at) == (1, before.fetched_at)


def test_a_clock_is_ahead_only_if_every_stamp_was_old():
    lag = Lag()
    assert lag.ahead == timedelta(0)
    lag.observe(NOON, NOON - timedelta(hours=1))
    assert lag.ahead == timedelta(hours=1)
    lag.observe(NOON, NOON - timedelta(seconds=1))
    assert lag.ahead == timedelta(0)
