"""The age of a series in market time, over weekends, holidays, half days and around the clock."""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lib.clock import to_ms
from lib.freshness import Ages, DueClock, Freshness, Held, grade, worst
from lib.sessions import TERMS, Plan
from lib.store.sessions import library_tables
from lib.timeframe import Timeframe
from lib.zones import day_number

NEW_YORK = ZoneInfo("America/New_York")
NYSE, COINS = library_tables(date(2027, 12, 1))


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Series:
    """One series, as people write it."""

    last: datetime | None = None
    first: datetime | None = None
    answered_until: datetime | None = None
    refused_until: datetime | None = None
    empty: bool = False
    listed_from: date | None = None
    listed_until: date | None = None

    @property
    def held(self) -> Held:
        instants = (self.first or self.last, self.last, self.answered_until, self.refused_until)
        days = (self.listed_from, self.listed_until)
        return Held(
            *(np.array([to_ms(moment) if moment else 0]) for moment in instants),
            np.array([self.empty]),
            *(np.array([day_number(day) if day else 0]) for day in days),
        )


@dataclass(frozen=True)
class Aged:
    """What is said of one series."""

    freshness: Freshness
    age: timedelta | None
    expected: int
    lacking: int


def aged(series: Series, now: datetime, timeframe: str = "1m", plan: Plan = Plan.STARTER, table=NYSE) -> Aged:
    ages = DueClock(table, Timeframe(timeframe), now, TERMS[plan].delay).ages(series.held)
    [word], [age_ms] = ages.freshness, ages.age_ms
    age = None if age_ms is None else timedelta(milliseconds=age_ms)
    return Aged(word, age, *ages.expected, *ages.lacking)


def stock(last: str, now: str, timeframe: str = "1m", plan: Plan = Plan.STARTER) -> str:
    return str(aged(Series(new_york(last)), new_york(now), timeframe, plan).freshness)


def coin(last: str, now: str, timeframe: str = "1m") -> str:
    return str(aged(Series(utc(last)), utc(now), timeframe, table=COINS).freshness)


FRIDAY_CLOSE, HALF_DAY_CLOSE = "2025-11-07T15:59", "2025-11-28T12:59"


@pytest.mark.parametrize(
    "now", ["2025-11-07T18:00", "2025-11-08T12:00", "2025-11-09T23:00", "2025-11-10T09:30"]
)
def test_fridays_close_is_fresh_until_monday_morning(now):
    assert stock(FRIDAY_CLOSE, now) == "fresh"


def test_and_ages_from_the_first_bar_that_is_due_on_monday():
    # 15 minutes of delay and 15 of grace: at 10:00 the minute of 09:30 has not settled.
    assert stock(FRIDAY_CLOSE, "2025-11-10T10:59") == "fresh"
    assert stock(FRIDAY_CLOSE, "2025-11-10T11:02") == "aging"
    assert stock(FRIDAY_CLOSE, "2025-11-10T15:59") == "aging"
    assert stock(FRIDAY_CLOSE, "2025-11-10T16:02") == "stale"
    # The night adds nothing; a session has 6.5 hours.
    assert stock(FRIDAY_CLOSE, "2025-11-11T09:00") == "stale"
    assert stock(FRIDAY_CLOSE, "2025-11-13T14:29") == "stale"
    assert stock(FRIDAY_CLOSE, "2025-11-13T14:31") == "older"


@pytest.mark.parametrize(
    "now", ["2025-11-28T13:30", "2025-11-28T16:30", "2025-11-30T12:00", "2025-12-01T10:45"]
)
def test_the_close_of_thanksgiving_friday_at_one_is_fresh_until_monday_morning(now):
    assert stock(HALF_DAY_CLOSE, now) == "fresh"


def test_a_half_day_counts_its_own_hours():
    # 3.5 hours of Friday lack, and nothing of Thursday, which was closed.
    assert aged(Series(new_york("2025-11-26T15:59")), new_york("2025-11-29T12:00")).age == timedelta(
        hours=3.5
    )


def test_a_coin_ages_over_the_weekend():
    assert coin("2025-11-07T20:59", "2025-11-07T22:00") == "fresh"
    assert coin("2025-11-07T20:59", "2025-11-08T00:00") == "aging"
    assert coin("2025-11-07T20:59", "2025-11-08T12:00") == "stale"
    assert coin("2025-11-07T20:59", "2025-11-10T14:30") == "older"
    assert stock("2025-11-07T15:59", "2025-11-10T09:30") == "fresh", "the same instants"


def test_a_day_bar_ages_from_when_it_is_due_but_by_no_more_than_a_session():
    monday = "2025-11-10T00:00"
    assert stock(monday, "2025-11-11T20:29", "1d") == "fresh", "not due before the extended hours settled"
    assert stock(monday, "2025-11-11T21:00", "1d") == "fresh"
    assert stock(monday, "2025-11-11T21:31", "1d") == "aging"
    assert stock(monday, "2025-11-12T09:00", "1d") == "stale", "a session of 6.5 hours"
    assert aged(Series(new_york(monday)), new_york("2025-11-12T20:00"), "1d").age == timedelta(hours=6.5)
    assert aged(Series(new_york(monday)), new_york("2025-11-13T19:00"), "1d").lacking == 2


def test_units_are_counted_once_they_have_settled():
    series = Series(new_york("2025-11-10T15:59"), new_york("2025-11-03T09:30"))
    assert (counted := aged(series, new_york("2025-11-12T15:00"))).expected == 7
    assert counted.lacking == 1, "Wednesday is not over"
    assert aged(series, new_york("2025-11-12T20:31")).lacking == 2
    weeks = Series(new_york("2025-11-02T00:00"), new_york("2025-10-05T00:00"))
    assert (counted := aged(weeks, new_york("2025-11-15T12:00"), "1w")).expected == 6
    assert counted.lacking == 1


def test_a_week_ages_from_the_close_of_its_last_session():
    assert stock("2025-11-02T00:00", "2025-11-14T20:00", "1w") == "fresh"
    assert stock("2025-11-02T00:00", "2025-11-14T22:00", "1w") == "aging"
    assert stock("2025-11-02T00:00", "2025-11-16T12:00", "1w") == "older"
    assert stock("2025-11-09T00:00", "2025-11-16T12:00", "1w") == "fresh"


def test_a_long_window_is_not_late_the_moment_it_is_due():
    # The window 12:00..16:00 UTC is due at 16:30 UTC.
    assert coin("2025-11-10T08:00", "2025-11-10T17:00", "4h") == "fresh"
    assert coin("2025-11-10T08:00", "2025-11-10T18:00", "4h") == "aging"


def test_under_an_end_of_day_plan_the_day_itself_is_never_late():
    assert stock("2025-11-10T15:59", "2025-11-11T23:00", plan=Plan.BASIC) == "fresh"
    assert stock("2025-11-10T15:59", "2025-11-12T01:00", plan=Plan.BASIC) == "fresh"
    assert stock("2025-11-10T15:59", "2025-11-12T02:00", plan=Plan.BASIC) == "aging"
    assert stock("2025-11-10T15:59", "2025-11-12T12:00", plan=Plan.BASIC) == "stale"


def test_minutes_without_trades_are_no_age_where_the_vendor_has_answered():
    series = Series(new_york("2025-11-07T11:03"), answered_until=new_york("2025-11-08T00:00"))
    assert aged(series, new_york("2025-11-09T12:00")).age == timedelta(0)
    assert aged(Series(series.last), new_york("2025-11-09T12:00")).age == timedelta(hours=4, minutes=56)


def test_a_series_without_bars_says_why():
    now = new_york("2025-11-10T12:00")
    assert aged(Series(), now).freshness is Freshness.MISSING
    assert aged(Series(listed_from=date(2025, 11, 11)), now).freshness is Freshness.PENDING
    assert aged(Series(listed_from=date(2025, 11, 10)), now).freshness is Freshness.MISSING
    assert aged(Series(listed_from=date(2025, 11, 10)), now, "1d").freshness is Freshness.PENDING
    assert aged(Series(empty=True), now).freshness is Freshness.EMPTY
    assert aged(Series(refused_until=now), now).freshness is Freshness.NOT_ENTITLED
    assert aged(Series(), now).age is None


def test_what_the_plan_no_longer_includes_is_not_old():
    series = Series(new_york("2025-10-31T15:59"), refused_until=new_york("2025-11-10T11:30"))
    assert aged(series, new_york("2025-11-10T12:00")).freshness is Freshness.NOT_ENTITLED
    again = Series(new_york("2025-11-10T11:29"), refused_until=new_york("2025-11-01T00:00"))
    assert aged(again, new_york("2025-11-10T12:00")).freshness is Freshness.FRESH


def test_what_the_plan_includes_is_counted_although_the_rest_is_refused():
    series = Series(
        new_york("2025-11-05T15:59"), new_york("2025-11-03T09:30"), refused_until=new_york("2025-11-10T11:30")
    )
    counted = aged(series, new_york("2025-11-10T12:00"))
    assert (counted.freshness, counted.age) == (Freshness.NOT_ENTITLED, None)
    assert (counted.expected, counted.lacking) == (3, 0)


def test_series_of_every_kind_side_by_side_are_told_as_each_alone():
    kinds = [
        Series(new_york(FRIDAY_CLOSE)),
        Series(new_york("2025-11-03T10:00"), new_york("2025-10-01T09:30")),
        Series(),
        Series(empty=True),
        Series(new_york("2025-10-31T15:59"), refused_until=new_york("2025-11-10T11:30")),
        Series(new_york("2025-11-05T10:00"), listed_until=date(2025, 11, 5)),
        Series(listed_from=date(2025, 11, 11)),
    ]
    held = [one.held for one in kinds]
    together = Held(*(np.concatenate([getattr(h, f.name) for h in held]) for f in fields(Held)))
    clock = DueClock(NYSE, Timeframe.M1, new_york("2025-11-10T12:00"), TERMS[Plan.STARTER].delay)

    alone = [clock.ages(one) for one in held]
    for field in fields(Ages):
        column = getattr(clock.ages(together), field.name)
        assert column == [value for one in alone for value in getattr(one, field.name)], field.name


def test_nothing_is_due_after_the_last_listed_date():
    series = Series(new_york(FRIDAY_CLOSE), listed_until=date(2025, 11, 7))
    assert aged(series, new_york("2026-11-10T12:00")).age == timedelta(0)
    assert aged(Series(series.last), new_york("2026-11-10T12:00")).freshness is Freshness.OLDER


@pytest.mark.parametrize(
    ("age", "word"),
    [
        *(("0:00", "fresh"), ("0:59", "fresh"), ("1:00", "aging"), ("5:59", "aging")),
        *(("6:00", "stale"), ("23:59", "stale"), ("24:00", "older")),
    ],
)
def test_the_words_of_ages(age, word):
    hours, minutes = map(int, age.split(":"))
    assert grade(timedelta(hours=hours, minutes=minutes)) == word


def test_the_worst_word():
    assert worst([Freshness.FRESH, Freshness.OLDER, Freshness.EMPTY]) is Freshness.OLDER
    assert worst([Freshness.NOT_ENTITLED, Freshness.PENDING]) is Freshness.PENDING
    assert worst([]) is None
