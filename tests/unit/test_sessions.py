"""Sessions: closures, half days, hours, and when a bar may be trusted; dates from the exchange's notices."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.clock import from_ms, to_ms
from lib.errors import HorizonExceeded, UsageError
from lib.sessions import (
    TERMS,
    Delay,
    Plan,
    Plans,
    SessionTable,
    after_hole,
    always_open_table,
    bars_per_year,
    final_at_ms,
    parse_plans,
    settle_at_ms,
    slots,
)
from lib.store.sessions import library_tables
from lib.symbols import AssetClass
from lib.timeframe import Timeframe
from lib.zones import day_number, midnight_ms

NEW_YORK = ZoneInfo("America/New_York")
REAL_TIME = TERMS[Plan.ADVANCED].delay
QUARTER_HOUR = TERMS[Plan.STARTER].delay
END_OF_DAY = TERMS[Plan.BASIC].delay
INTRADAY = [timeframe for timeframe in Timeframe if timeframe.intraday]

NYSE, COINS = library_tables(date(2027, 12, 1))


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def one(day: date, table: SessionTable = NYSE) -> SessionTable:
    return table.between(day, day + timedelta(days=1))


def settled(table: SessionTable, timeframe: Timeframe, now: datetime, delay: Delay) -> datetime:
    return from_ms(table.settled_until_ms(timeframe, now, delay))


CLOSED = """
    1994-04-27 2001-09-11 2001-09-12 2001-09-13 2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30
    2018-12-05 2025-01-09 2022-06-20 2023-06-19 2024-06-19 2025-06-19 2026-06-19 2027-06-18
    2026-07-03 2027-07-05 2024-11-28 2024-12-25 2025-01-20 2024-03-29
"""
OPEN = "2021-06-18 2021-06-19 2020-06-19 2021-12-31 2010-12-31 2012-10-31 2025-01-08 2025-01-10 2024-11-29"
HALF_DAYS = """
    2018-07-03 2018-11-23 2018-12-24 2019-07-03 2019-11-29 2019-12-24 2020-11-27 2020-12-24 2021-11-26
    2022-11-25 2023-07-03 2023-11-24 2024-07-03 2024-11-29 2024-12-24 2025-07-03 2025-11-28 2025-12-24
"""


@pytest.mark.parametrize("day", CLOSED.split())
def test_closed_days_have_no_session(day: str) -> None:
    assert len(one(date.fromisoformat(day))) == 0


@pytest.mark.parametrize("day", [day for day in OPEN.split() if date.fromisoformat(day).weekday() < 5])
def test_days_often_taken_for_holidays_are_sessions(day: str) -> None:
    assert len(one(date.fromisoformat(day))) == 1


def test_the_half_days_of_2018_to_2025_are_exactly_those_announced() -> None:
    years = NYSE.between(date(2018, 1, 1), date(2026, 1, 1))

    short = [
        str(day)
        for day, hours in zip(years.dates(), years.close_ms - years.open_ms, strict=True)
        if hours < 23_400_000
    ]

    assert short == HALF_DAYS.split()


def test_sessions_between_the_vendors_first_and_last_bar_of_a_five_year_log() -> None:
    # SPY 1d of the vendor, 2021-05-14..2026-05-13: 1255 bars; 1w: 262 (gap-model §3.7).
    log = NYSE.between(date(2021, 5, 14), date(2026, 5, 14))

    assert len(log) == 1255
    assert len(np.unique(log.days - (log.days + 4) % 7)) == 262


def test_the_calendar_reaches_back_to_1990() -> None:
    assert NYSE.known_from == date(1990, 1, 1)
    assert NYSE.dates()[0] == date(1990, 1, 2)


# Regular and extended windows per session (gap-model §3.7), in the order 1m 5m 15m 30m 1h 4h.
@pytest.mark.parametrize(
    ("day", "regular", "extended"),
    [
        ("2025-07-02", [390, 78, 26, 13, 7, 2], [960, 192, 64, 32, 16, 4]),  # summer
        ("2025-01-08", [390, 78, 26, 13, 7, 3], [960, 192, 64, 32, 16, 5]),  # winter
        ("2024-07-03", [210, 42, 14, 7, 4, 2], [780, 156, 52, 26, 13, 4]),  # half days
        ("2024-11-29", [210, 42, 14, 7, 4, 2], [780, 156, 52, 26, 13, 4]),
    ],
)
def test_windows_per_session(day: str, regular: list[int], extended: list[int]) -> None:
    session = one(date.fromisoformat(day))

    assert regular == [int(slots(session, timeframe)[0]) for timeframe in INTRADAY]
    assert extended == [int(slots(session, timeframe, extended=True)[0]) for timeframe in INTRADAY]
    assert [int(slots(session, timeframe)[0]) for timeframe in (Timeframe.D1, Timeframe.W1)] == [1, 1]


@pytest.mark.parametrize("day", ["2025-03-09", "2025-11-02", "2025-01-09", "2025-07-05"])
def test_a_coins_day_is_the_utc_day_whatever_new_york_does(day: str) -> None:
    session = one(date.fromisoformat(day), COINS)

    assert [int(slots(session, timeframe)[0]) for timeframe in INTRADAY] == [1440, 288, 96, 48, 24, 6]
    assert from_ms(int(session.extended_open_ms[0])) == utc(day)


@pytest.mark.parametrize(
    ("day", "extended_open", "regular_open", "extended_close"),
    [
        ("2025-03-07", "09:00", "14:30", "2025-03-08 01:00"),  # the last day of winter time
        ("2025-03-10", "08:00", "13:30", "2025-03-11 00:00"),  # the first of summer time
        ("2025-10-31", "08:00", "13:30", "2025-11-01 00:00"),
        ("2025-11-03", "09:00", "14:30", "2025-11-04 01:00"),
        ("2024-11-29", "09:00", "14:30", "2024-11-29 22:00"),  # half day: 13:00 + 4 h, not 20:00
    ],
)
def test_hours_in_utc_across_both_changes_of_clocks(day, extended_open, regular_open, extended_close) -> None:
    session = one(date.fromisoformat(day))

    assert from_ms(int(session.extended_open_ms[0])) == utc(f"{day} {extended_open}")
    assert from_ms(int(session.open_ms[0])) == utc(f"{day} {regular_open}")
    assert from_ms(int(session.extended_close_ms[0])) == utc(extended_close)


def test_every_extended_open_is_four_oclock_on_the_wall() -> None:
    clocks = {from_ms(int(t)).astimezone(NEW_YORK).time().isoformat() for t in NYSE.extended_open_ms}

    assert clocks == {"04:00:00"}


# gap-model §6.9: a session ends at 20:00, the plan is 15 minutes late, the grace is 15 more.
@pytest.mark.parametrize(
    ("now", "delay", "until"),
    [
        ("2025-01-08 15:00", QUARTER_HOUR, "2025-01-08"),
        ("2025-01-08 20:29", QUARTER_HOUR, "2025-01-08"),
        ("2025-01-08 20:30", QUARTER_HOUR, "2025-01-10"),  # 01-09 was closed: nothing lies between
        ("2025-01-08 20:15", REAL_TIME, "2025-01-10"),
        ("2025-01-08 20:31", END_OF_DAY, "2025-01-08"),
        ("2025-01-09 00:14", END_OF_DAY, "2025-01-08"),
        ("2025-01-09 00:15", END_OF_DAY, "2025-01-10"),
        ("2025-01-12 12:00", QUARTER_HOUR, "2025-01-13"),  # a Sunday
        ("2024-11-29 17:30", QUARTER_HOUR, "2024-12-02"),  # a half day ends at 17:00
        ("2024-11-29 17:29", QUARTER_HOUR, "2024-11-29"),
    ],
)
def test_days_settle_with_their_session(now: str, delay: Delay, until: str) -> None:
    assert settled(NYSE, Timeframe.D1, new_york(now), delay) == new_york(until)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2025-01-10 20:29", "2025-01-05"),
        ("2025-01-10 20:30", "2025-01-12"),
        ("2025-01-15 12:00", "2025-01-12"),
        ("2024-03-28 20:30", "2024-03-31"),  # Good Friday follows: Thursday ends the week
        ("2024-03-28 20:29", "2024-03-24"),
        ("2025-03-08 12:00", "2025-03-09"),  # Sunday 00:00 before the clocks change
    ],
)
def test_weeks_settle_with_their_last_session(now: str, until: str) -> None:
    assert settled(NYSE, Timeframe.W1, new_york(now), QUARTER_HOUR) == new_york(until)


@pytest.mark.parametrize(
    ("now", "timeframe", "delay", "until"),
    [
        ("2025-01-08 20:00:59", Timeframe.M1, QUARTER_HOUR, "2025-01-08 19:30"),
        ("2025-01-08 20:00:59", Timeframe.M1, REAL_TIME, "2025-01-08 19:45"),
        ("2025-01-08 20:00:59", Timeframe.H1, QUARTER_HOUR, "2025-01-08 19:00"),
        ("2025-01-08 20:29:59", Timeframe.H4, QUARTER_HOUR, "2025-01-08 16:00"),
        ("2025-01-08 20:31", Timeframe.M1, END_OF_DAY, "2025-01-08 00:00"),
        ("2025-01-09 00:14", Timeframe.M1, END_OF_DAY, "2025-01-08 00:00"),
        ("2025-01-09 00:15", Timeframe.M1, END_OF_DAY, "2025-01-09 00:00"),
        ("2025-01-09 00:15", Timeframe.H4, END_OF_DAY, "2025-01-09 00:00"),
    ],
)
def test_a_coins_windows_settle_one_by_one(now: str, timeframe: Timeframe, delay: Delay, until: str) -> None:
    assert settled(COINS, timeframe, utc(now), delay) == utc(until)


def test_four_hour_windows_of_stocks_lie_on_the_utc_grid_also_at_new_yorks_midnight() -> None:
    # 00:15 EST is 05:15Z: the last window that ended by midnight (05:00Z) is 00:00Z..04:00Z.
    assert settled(NYSE, Timeframe.H4, new_york("2025-01-09 00:15"), END_OF_DAY) == utc("2025-01-09 04:00")


def test_a_coins_week_ends_on_sunday_in_utc() -> None:
    assert settled(COINS, Timeframe.W1, utc("2025-01-12 00:29"), QUARTER_HOUR) == utc("2025-01-05")
    assert settled(COINS, Timeframe.W1, utc("2025-01-12 00:30"), QUARTER_HOUR) == utc("2025-01-12")


def _unit_window_ends_ms(table: SessionTable, timeframe: Timeframe) -> list[int]:
    """By the definition, session by session: the end of the last bar the unit can have."""
    if timeframe.intraday:
        return [-(-int(t) // timeframe.step_ms) * timeframe.step_ms for t in table.extended_close_ms]
    ends = []
    for day in table.dates():
        days_left = 1 if timeframe is Timeframe.D1 else 7 - (day.weekday() + 1) % 7
        ends.append(midnight_ms(day + timedelta(days=days_left), table.zone))
    return ends


@given(
    minutes=st.integers(0, 3 * 366 * 1440),
    timeframe=st.sampled_from(list(Timeframe)),
    delay=st.sampled_from([REAL_TIME, QUARTER_HOUR, END_OF_DAY]),
    table=st.sampled_from([NYSE, COINS]),
)
@example(
    minutes=3_000, timeframe=Timeframe.H4, delay=QUARTER_HOUR, table=NYSE
)  # 21:00 in New York, in winter
def test_a_unit_is_past_pending_exactly_when_its_bars_may_be_covered(
    minutes, timeframe, delay, table
) -> None:
    now = utc("2023-01-02") + timedelta(minutes=minutes)
    near = table.between(now.date() - timedelta(days=14), now.date() + timedelta(days=14))

    until = table.settled_until_ms(timeframe, now, delay)

    coverable = [end <= until for end in _unit_window_ends_ms(near, timeframe)]
    past_pending = (settle_at_ms(near, timeframe, delay) <= to_ms(now)).tolist()
    # The slice ends within a week whose last session it does not see.
    whole = len(near) - (5 if table is NYSE else 7)
    assert coverable[:whole] == past_pending[:whole]


@given(
    minutes=st.integers(0, 366 * 1440), step=st.integers(0, 5000), timeframe=st.sampled_from(list(Timeframe))
)
def test_what_has_settled_stays_settled(minutes: int, step: int, timeframe: Timeframe) -> None:
    now = utc("2024-12-01") + timedelta(minutes=minutes)

    earlier = NYSE.settled_until_ms(timeframe, now, QUARTER_HOUR)

    assert earlier <= NYSE.settled_until_ms(timeframe, now + timedelta(minutes=step), QUARTER_HOUR)


def test_a_session_is_final_the_next_morning() -> None:
    assert from_ms(int(final_at_ms(one(date(2025, 1, 8)))[0])) == new_york("2025-01-09 06:00")
    assert from_ms(int(final_at_ms(one(date(2025, 1, 8), COINS))[0])) == utc("2025-01-09 10:00")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2025, 1, 1), date(2028, 2, 1)),
        (date(2028, 1, 31), date(2028, 2, 1)),
        (date(1989, 12, 31), date(1990, 2, 1)),
    ],
)
def test_a_question_beyond_the_known_dates_is_an_error(start: date, end: date) -> None:
    with pytest.raises(HorizonExceeded, match="XNYS is known from 1990-01-01 until before 2027-12-01"):
        NYSE.between(start, end)


@pytest.mark.parametrize("now", ["2027-12-01 12:00", "1989-12-30 12:00"])
@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_nothing_settles_beyond_the_known_dates(now: str, timeframe: Timeframe) -> None:
    with pytest.raises(HorizonExceeded):
        NYSE.settled_until_ms(timeframe, new_york(now), REAL_TIME)


def test_the_last_known_date_is_answered() -> None:
    last = NYSE.horizon - timedelta(days=1)

    assert NYSE.between(last, NYSE.horizon).dates() == [last]
    assert NYSE.between(NYSE.horizon, NYSE.horizon).dates() == []


def test_a_slice_knows_only_its_own_dates() -> None:
    january = NYSE.between(date(2025, 1, 1), date(2025, 2, 1))

    assert january.dates()[0] == date(2025, 1, 2)
    assert len(january) == 20
    with pytest.raises(HorizonExceeded):
        january.between(date(2025, 1, 31), date(2025, 2, 2))


def test_a_week_without_a_session_settles_with_its_neighbours() -> None:
    closed_week = (NYSE.days < day_number(date(2025, 1, 12))) | (NYSE.days >= day_number(date(2025, 1, 19)))
    table = SessionTable(
        "XNYS",
        NYSE.zone,
        *(column[closed_week] for column in (NYSE.days, NYSE.open_ms, NYSE.close_ms)),
        *(column[closed_week] for column in (NYSE.extended_open_ms, NYSE.extended_close_ms)),
        NYSE.known_from,
        NYSE.horizon,
    )

    assert settled(table, Timeframe.W1, new_york("2025-01-10 20:30"), QUARTER_HOUR) == new_york("2025-01-19")


def test_a_hole_is_a_session_without_bars_and_not_a_night_or_a_weekend() -> None:
    bars = [
        "2025-01-06 10:00",
        "2025-01-06 15:59",
        "2025-01-08 09:30",
        "2025-01-10 09:30",
        "2025-01-13 04:00",
    ]
    t = np.array([to_ms(new_york(text)) for text in bars])

    # Tuesday the 7th is missing; the 9th was closed, the 11th and 12th are a weekend.
    assert after_hole(NYSE, Timeframe.M1, t).tolist() == [False, False, True, False, False]
    assert after_hole(COINS, Timeframe.M1, t).tolist() == [False, False, True, True, True]
    assert after_hole(NYSE, Timeframe.M1, t[:0]).tolist() == []


def test_a_bar_on_a_closed_day_is_no_hole() -> None:
    t = np.array([to_ms(new_york(f"2025-01-{day} 10:00")) for day in ("10", "11", "13", "14")])

    assert not after_hole(NYSE, Timeframe.D1, t).any()


def test_a_missing_week_is_a_hole_of_weekly_bars() -> None:
    sundays = np.array([midnight_ms(date(2025, 1, day), NYSE.zone) for day in (5, 12, 26)])

    assert after_hole(NYSE, Timeframe.W1, sundays).tolist() == [False, False, True]


def test_bars_per_year() -> None:
    # 2010..2019: 2516 sessions, 22 of them of 210 minutes (1+1+3+3+3+2+1+2+3+3 half days a year).
    assert bars_per_year(NYSE, Timeframe.D1) == 251.6
    assert bars_per_year(NYSE, Timeframe.M1) == (2516 * 390 - 22 * 180) / 10
    assert bars_per_year(NYSE, Timeframe.W1) == pytest.approx(52.2, abs=0.11)
    assert bars_per_year(COINS, Timeframe.H1) == 365.2 * 24
    with pytest.raises(HorizonExceeded):
        bars_per_year(always_open_table(date(2015, 1, 1), date(2027, 1, 1)), Timeframe.D1)


@pytest.mark.parametrize(
    ("plan", "today", "floor"),
    [
        (Plan.BASIC, date(2026, 11, 22), date(2024, 11, 22)),
        (Plan.STARTER, date(2026, 11, 22), date(2021, 11, 22)),
        (Plan.DEVELOPER, date(2026, 11, 22), date(2016, 11, 22)),
        (Plan.ADVANCED, date(2026, 11, 22), None),
        (Plan.STARTER, date(2028, 2, 29), date(2023, 3, 1)),
    ],
)
def test_how_far_back_a_plan_reaches(plan: Plan, today: date, floor: date | None) -> None:
    assert TERMS[plan].floor(today) == floor


def test_plans_differ_between_stocks_and_coins() -> None:
    plans = parse_plans("developer, crypto = basic")

    assert plans == Plans(Plan.DEVELOPER, Plan.BASIC)
    assert plans.terms(AssetClass.ETF) == TERMS[Plan.DEVELOPER]
    assert plans.terms(AssetClass.CRYPTO) == TERMS[Plan.BASIC]
    assert parse_plans("basic") == Plans(Plan.BASIC, Plan.BASIC)


@pytest.mark.parametrize(
    "text", ["", "gold", "starter,crypto=gold", "starter,basic", "starter,crypto=basic,x=basic"]
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_plans(text)
