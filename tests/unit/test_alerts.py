"""Rules over a situation: what holds, how much it matters, and what a channel still has to be told."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from lib.alerts import (
    Alert,
    GapSeen,
    Kind,
    Rule,
    Rules,
    RunSeen,
    SeriesSeen,
    Severity,
    Situation,
    Told,
    judge,
    notices,
    read_rules,
)
from lib.errors import AlertRulesInvalid
from lib.health import Thresholds
from lib.timeframe import Timeframe

NOW = datetime(2025, 3, 10, 6, tzinfo=UTC)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def gap(days, timeframe="1m", symbol="AAPL"):
    return GapSeen(symbol, Timeframe(timeframe), date(2025, 2, 3), date(2025, 2, 20), days, "missing")


def ran(days_ago, status, script="master_backfill", hours=0, **sent):
    started = NOW - timedelta(days=days_ago, hours=hours)
    return RunSeen(script, started, None if status == "running" else started, status, **sent)


def found(rules=None, **situation):
    return [(c.rule, c.subject, c.severity) for c in judge(Situation(NOW, **situation), rules or Rules())]


@pytest.mark.parametrize(
    ("days", "timeframe", "expected"),
    [
        (1, "1m", None),
        (2, "1m", WARNING),
        (7, "1d", WARNING),
        (8, "1m", CRITICAL),
        (1, "1w", WARNING),
        (2, "1w", CRITICAL),
    ],
)
def test_a_gap_matters_by_its_days_and_a_week_has_seven(days, timeframe, expected):
    assert found(gaps=[gap(days, timeframe)]) == ([(Rule.GAP, "AAPL", expected)] if expected else [])


def test_the_gaps_of_a_symbol_are_one_condition_by_the_longest():
    [condition] = judge(Situation(NOW, gaps=[gap(2), gap(9, "5m"), gap(3, "1h")]), Rules())

    assert condition.severity is CRITICAL
    assert condition.text.endswith(
        "a gap of 9 days, 2025-02-03 to before 2025-02-20 (missing); gaps in 1m, 5m, 1h"
    )


@pytest.mark.parametrize(
    ("runs", "alarm"),
    [
        ([(0, "failed"), (1, "failed"), (2, "failed")], True),
        ([(0, "failed"), (1, "failed"), (2, "partial")], False),
        ([(0, "failed"), (0, "failed"), (0, "failed")], False),  # one day
        ([(0, "failed"), (1, "interrupted"), (2, "failed"), (3, "failed")], True),  # by hand: says nothing
        ([(0, "failed"), (4, "failed"), (9, "failed")], True),  # days without a run say nothing either
        ([(0, "running"), (1, "failed"), (2, "failed")], False),
        ([(2, "running"), (3, "failed"), (4, "failed")], True),  # killed
        ([(0, "complete"), (1, "failed"), (2, "failed"), (3, "failed")], False),
    ],
)
def test_a_backfill_that_failed_on_three_days_in_a_row_is_critical(runs, alarm):
    expected = [(Rule.BACKFILL, "master_backfill", CRITICAL)] if alarm else []

    assert found(runs=[ran(*run) for run in runs]) == expected


def test_one_good_run_makes_a_good_day():
    runs = [
        ran(0, "failed"),
        ran(0, "complete", hours=1),
        ran(1, "failed"),
        ran(2, "failed"),
        ran(3, "failed"),
    ]

    assert found(runs=runs) == []


def test_a_feature_run_that_failed_is_critical_until_one_does_not():
    failed, better = ran(1, "failed", "backfill_features"), ran(0, "partial", "backfill_features")

    assert found(runs=[failed]) == [(Rule.FEATURES, "backfill_features", CRITICAL)]
    assert found(runs=[ran(0, "running", "backfill_features"), failed]) != []
    assert found(runs=[better, failed]) == []


def test_too_many_429_are_a_warning_by_the_last_run_that_sent_anything():
    heavy, light = (ran(1, "complete", requests=100, rate_limited=n) for n in (6, 5))
    silent = ran(0, "complete")

    assert found(runs=[silent, heavy]) == [(Rule.RATE_LIMIT, "master_backfill", WARNING)]
    assert found(runs=[light, heavy]) == []


@pytest.mark.parametrize(
    ("hours", "severity"), [(23.9, None), (24, WARNING), (71.9, WARNING), (72, CRITICAL)]
)
def test_a_symbol_is_as_late_as_its_latest_timeframe(hours, severity):
    late = SeriesSeen("AAPL", Timeframe.D1, timedelta(hours=hours))
    fresh = SeriesSeen("AAPL", Timeframe.M1, timedelta(0))

    assert found(series=[fresh, late]) == ([(Rule.FRESHNESS, "AAPL", severity)] if severity else [])


def test_a_symbol_without_bars_is_a_warning_if_some_were_due():
    assert found(series=[SeriesSeen("BTC", Timeframe.M1, None, missing=True)]) == [
        (Rule.FRESHNESS, "BTC", WARNING)
    ]
    assert found(series=[SeriesSeen("BTC", Timeframe.M1, None)]) == []


def test_alerts_and_health_begin_at_the_same_thresholds():
    health, rules = Thresholds(), Rules()

    assert (rules.gap.warning_days, rules.gap.critical_days) == (health.gap_warning, health.gap_critical)
    assert rules.freshness.warning_hours == health.age_warning.total_seconds() / 3600
    assert rules.freshness.critical_hours == health.age_critical.total_seconds() / 3600
    assert rules.backfill.failed_days == health.failed_days_critical
    assert rules.rate_limit.percent == health.rate_limited_percent_warning


def test_the_file_changes_what_it_names_and_nothing_else(tmp_path):
    path = tmp_path / "alerts.toml"
    path.write_text('off = ["backfill"]\n[gap]\nwarning_days = 3\n[freshness]\nmissing = "off"\n')
    rules = read_rules(path)

    assert rules.gap.critical_days == Rules().gap.critical_days
    assert found(rules, gaps=[gap(3)], runs=[ran(n, "failed") for n in range(3)]) == []
    assert found(rules, gaps=[gap(4)]) == [(Rule.GAP, "AAPL", WARNING)]


def test_the_example_shows_every_key_with_its_default():
    example = Path(__file__).parents[2] / "alerts.toml.example"
    shown = tomllib.loads(example.read_text())
    defaults = msgspec.to_builtins(Rules())
    del defaults["mail"]["ca_file"]
    defaults["off"], defaults["mail"]["to"] = [], []

    assert read_rules(example) == Rules()
    assert shown == defaults


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[gap]\nwarning_days = -1", "gap.warning_days"),
        ("[gap]\nwarning_days = '1'", "gap.warning_days"),
        ("[gap]\nwarn = 1", "gap"),
        ("[gap]\nwarning_days = 9", "gap.critical_days"),
        ("[rate_limit]\npercent = 101", "rate_limit.percent"),
        ("[freshness]\nmissing = 'loud'", "freshness.missing"),
        ("[freshness]\nwarning_hours = 99", "freshness.critical_hours"),
        ("off = ['gaps']", "off[0]"),
        ("[mail]\nto = ['nobody']", "mail.to[0]"),
        ("[mail]\nport = 0", "mail.port"),
        ("gap", "TOML"),
    ],
)
def test_a_rule_that_cannot_be_is_named_by_its_key(tmp_path, text, key):
    path = tmp_path / "alerts.toml"
    path.write_text(text)

    with pytest.raises(AlertRulesInvalid, match=key.replace("[", r"\[")):
        read_rules(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AlertRulesInvalid, match="nowhere"):
        read_rules(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("severity", "over", "told", "expected"),
    [
        (WARNING, False, None, [Kind.RAISED]),
        (WARNING, False, Told(None, 50), [Kind.RAISED]),  # what holds is tried in every run
        (WARNING, False, Told(WARNING), []),
        (CRITICAL, False, Told(WARNING), [Kind.ESCALATED]),
        (WARNING, False, Told(CRITICAL), []),
        (WARNING, True, Told(WARNING), [Kind.RECOVERED]),
        (WARNING, True, Told(None, 2), [Kind.PASSED]),
        (WARNING, True, Told(WARNING, 10), []),  # given up
        (WARNING, True, None, []),  # it was over before this channel existed
    ],
)
def test_a_channel_is_told_once_of_each_thing(severity, over, told, expected):
    alert = Alert(1, Rule.GAP, "AAPL", severity, "text", NOW, NOW if over else None)

    assert [notice.kind for notice in notices([(alert, told)])] == expected
