"""The word for the state of a database, and what brings it about."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.freshness import Freshness, grade
from lib.health import Facts, Level, ScriptFacts, Thresholds, judge
from lib.timeframe import Timeframe

NOW = datetime(2025, 11, 11, 8, tzinfo=UTC)


def script(name="master_backfill", status="complete", failures=0, days=0, complete_hours=6, **more):
    fetches = name == "master_backfill"
    at = NOW - timedelta(hours=complete_hours)
    return ScriptFacts(name, fetches, status, "down" if failures else None, failures, days, at, **more)


def aged(hours):
    age = timedelta(hours=hours)
    return grade(age), age // timedelta(milliseconds=1)


FINE = (script(),)


def health(scripts=FINE, ages=(), gaps=(), **limits):
    series = [(f"S{i}", *one) for i, one in enumerate(ages)]
    return judge(Facts(NOW, series, gaps, scripts), Thresholds(**limits))


def found(*arguments, **more):
    return [(reason.level.name, reason.condition) for reason in health(*arguments, **more).reasons]


def test_nothing_wrong_is_ok():
    fine = health(ages=[aged(0), aged(23.9), (Freshness.NOT_ENTITLED, None), (Freshness.EMPTY, None)])
    assert (fine.level, fine.reasons) == (Level.OK, [])
    assert fine.line.startswith("OK: ")


@pytest.mark.parametrize(
    ("days", "timeframe", "level"),
    [
        *((1, "1d", []), (2, "1d", ["WARNING"]), (7, "1d", ["WARNING"]), (8, "1d", ["CRITICAL"])),
        *((1, "1w", ["WARNING"]), (2, "1w", ["CRITICAL"])),
    ],
)
def test_gaps_by_their_length(days, timeframe, level):
    gaps = [("AAPL", Timeframe(timeframe), days)]
    assert found(gaps=gaps) == [(name, "gap") for name in level]


def test_ages_in_market_time():
    assert found(ages=[aged(24)]) == [("WARNING", "age")]
    assert found(ages=[aged(72), aged(30)]) == [("CRITICAL", "age"), ("WARNING", "age")]
    assert found(ages=[aged(30)], age_warning=timedelta(hours=31)) == []
    assert found(ages=[(Freshness.MISSING, None)]) == [("WARNING", "missing")]
    assert found(ages=[(Freshness.MISSING, None)], missing=None) == []


def test_failures_are_critical_on_the_third_day_not_at_the_third_run():
    hourly = script(status="failed", failures=9, days=2)
    assert found([hourly]) == [("WARNING", "failed:master_backfill")]
    assert found([script(status="failed", failures=3, days=3)]) == [("CRITICAL", "failed:master_backfill")]
    features = script("backfill_features", "failed", failures=1, days=1)
    assert found([script(), features]) == [("CRITICAL", "failed:backfill_features")]
    assert found([script(status="partial")]) == [("WARNING", "partial:master_backfill")]


def test_silence_is_told_of():
    assert found([]) == [("WARNING", "never_run")]
    assert found([script(complete_hours=35)]) == []
    assert found([script(complete_hours=36)]) == [("WARNING", "silent")]


def test_the_rate_limit_from_more_than_five_percent():
    assert found([script(requests=100, rate_limited=5)]) == []
    assert found([script(requests=100, rate_limited=6)]) == [("WARNING", "rate_limited:master_backfill")]


def test_what_is_off_is_not_looked_at():
    failed = script(status="failed", failures=3, days=3)
    assert found([failed], off=frozenset({"failed:master_backfill"})) == []
    assert found([failed], off=frozenset({"failed"})) == []


def test_the_line_names_a_few_symbols_and_the_worst_reason_first():
    gaps = [(f"S{i}", Timeframe.D1, 9) for i in range(9)]
    line = health([script(status="partial")], gaps=gaps).line
    assert line.startswith("CRITICAL: gaps of up to 9 days in S0, S1, S2, S3 and 5 more; ")
