"""What an answer changes in what is stored."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from lib.actions import WITHDRAWN_AFTER, Dividend, Split, Stored, compare

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)


def split(event_id, day="2025-02-24", old="1", new="2", symbol="KO", kind=None):
    return Split(event_id, symbol, date.fromisoformat(day), Decimal(old), Decimal(new), kind)


def dividend(event_id, day="2025-02-24", amount="0.5", **more):
    return Dividend(event_id, "KO", date.fromisoformat(day), Decimal(amount), **more)


def summary(stored, answered, now=NOW):
    changes = compare(stored, answered, now)
    return {
        name: [one.event_id if not isinstance(one, tuple) else one[0].event_id for one in found]
        for name in ("new", "changed", "back", "missing", "withdrawn", "duplicates")
        if (found := getattr(changes, name))
    }


def test_ratios_are_exact():
    assert split("E1", old="0.1", new="0.3").ratio == Fraction(3)


def test_an_answer_without_news_changes_nothing():
    assert summary([Stored(split("E1"))], [split("E1")]) == {}


def test_an_event_is_new_changed_or_missing():
    stored = [Stored(split("E1")), Stored(split("E2", "2020-01-06"))]

    assert summary(stored, [split("E1", new="3"), split("E3", "2021-01-04")]) == {
        "new": ["E3"],
        "changed": ["E1"],
        "missing": ["E2"],
    }


def test_an_event_is_known_again_under_another_id():
    assert summary([Stored(split("E1"))], [split("E9", old="2", new="4", kind="forward_split")]) == {}


def test_one_event_under_two_ids_is_stored_once_and_the_stored_id_stays():
    assert summary([], [split("E2"), split("E1", old="2", new="4")]) == {"new": ["E1"], "duplicates": ["E2"]}
    assert summary([Stored(split("E2"))], [split("E1"), split("E2")]) == {"duplicates": ["E1"]}


def test_one_id_for_two_events_is_believed_for_the_first():
    assert summary([], [split("E1"), split("E1", new="3")]) == {"new": ["E1"], "duplicates": ["E1"]}


def test_different_ratios_of_one_day_are_two_events():
    assert summary([], [split("E1"), split("E2", new="4")]) == {"new": ["E1", "E2"]}


def test_an_event_is_taken_back_when_it_is_missing_for_the_second_time_some_time_later():
    since = NOW - WITHDRAWN_AFTER
    stored = Stored(split("E1"), missing_since=since)

    assert summary([stored], [], NOW - timedelta(seconds=1)) == {}
    assert summary([stored], [], NOW) == {"withdrawn": ["E1"]}
    assert summary([stored], [split("E1")]) == {"back": ["E1"]}
    gone = Stored(split("E1"), missing_since=since, withdrawn=True)
    assert summary([gone], []) == {}
    assert summary([gone], [split("E1")]) == {"back": ["E1"]}


def test_a_dividend_is_changed_by_its_dates_too_and_not_by_the_vendors_word_for_it():
    stored = [Stored(dividend("D1", kind="CD", pay_date=date(2025, 3, 3)))]

    assert summary(stored, [dividend("D1", kind="recurring", pay_date=date(2025, 3, 3))]) == {}
    assert summary(stored, [dividend("D1", pay_date=date(2025, 3, 4))]) == {"changed": ["D1"]}
    assert summary(stored, [dividend("D1", amount="0.6", pay_date=date(2025, 3, 3))]) == {"changed": ["D1"]}


def test_whose_events_changed_and_whose_are_no_longer_listed():
    stored = [Stored(split("E1", symbol="KO")), Stored(split("E2", symbol="IBM"))]

    changes = compare(stored, [split("E1", symbol="PEP"), split("E3", "2020-01-06", symbol="WMT")], NOW)

    assert changes.symbols == ["IBM", "KO", "PEP", "WMT"]
    assert changes.unlisted == {"IBM"}
