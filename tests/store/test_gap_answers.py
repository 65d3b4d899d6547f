"""The states the answers decide: listing, plan, empty answers, contradictions, rows of other programs."""

from datetime import timedelta

import pytest

from lib.timeframe import Timeframe
from tests.store.gap_market import INTRADAY, ZONES, new_york, utc

ASKED = utc("2025-03-03T12:00")  # long after the sessions asked for
WEEK = ("2025-01-06", "2025-01-11")  # four sessions: the 9th is closed


async def but(market, date, symbol="KO"):
    """The minutes of the week, without those of *date*."""
    gone = {*await market.minutes(symbol, date, f"{date[:-2]}{int(date[-2:]) + 1:02}")}
    return [t for t in await market.minutes(symbol, "2025-01-05", "2025-01-12") if t not in gone]


async def test_a_listing_begins_and_ends_in_mid_range(market):
    await market.connection.execute(
        """UPDATE tracked_symbols SET listed_from = '2025-01-07', listed_until = '2025-01-15'
           WHERE symbol = 'KO'"""
    )
    await market.answered("KO", "1m", "2025-01-05", "2025-01-11")
    await market.foreign("KO", "1d", [new_york("2025-01-06T00:00")])
    for zone in ZONES:
        await market.zone(zone)
        for counted in (True, False):
            assert await market.states("KO", "1m", "2025-01-06", "2025-01-18", counted=counted) == [
                ("not_expected", "2025-01-06", "2025-01-07", 1),
                ("complete", "2025-01-07", "2025-01-11", 3),
                ("missing", "2025-01-13", "2025-01-16", 3),
                ("not_expected", "2025-01-16", "2025-01-18", 2),
            ]
            assert await market.states("KO", "1d", "2025-01-06", "2025-01-09", counted=counted) == [
                ("not_expected", "2025-01-06", "2025-01-07", 1),
                ("missing", "2025-01-07", "2025-01-09", 2),
            ]
            # A week belongs to the listing if any day of it does.
            assert await market.states("KO", "1w", "2024-12-30", "2025-01-25", counted=counted) == [
                ("not_expected", "2024-12-29", "2025-01-05", 1),
                ("missing", "2025-01-05", "2025-01-19", 2),
                ("not_expected", "2025-01-19", "2025-01-26", 1),
            ]


async def test_nothing_is_expected_before_the_first_of_the_day_bars(market):
    listed = await market.days("KO", "2025-01-08", "2025-02-01")
    await market.answered("KO", "1d", "2025-01-03", "2025-02-01", listed)

    for timeframe in INTRADAY:
        assert await market.states("KO", timeframe, "2025-01-02", "2025-01-15") == [
            ("missing", "2025-01-02", "2025-01-03", 1),  # the day bars were not asked for it
            ("not_expected", "2025-01-03", "2025-01-08", 3),
            ("missing", "2025-01-08", "2025-01-15", 4),
        ]
    assert [s[0] for s in await market.states("KO", "1d", "2025-01-03", "2025-01-15")] == [
        "verified_empty",
        "complete",
    ]

    await market.foreign("KO", "1m", await market.minutes("KO", "2025-01-06", "2025-01-07"))
    await market.answered("KO", "1m", "2025-01-07", "2025-01-08", [])
    assert [s[:2] for s in await market.states("KO", "1m", "2025-01-03", "2025-01-09")] == [
        ("not_expected", "2025-01-03"),
        ("unverified", "2025-01-06"),
        ("verified_empty", "2025-01-07"),
        ("missing", "2025-01-08"),
    ]


async def test_day_bars_of_another_program_tell_nothing_about_the_listing(market):
    await market.foreign("KO", "1d", await market.days("KO", "2025-01-08", "2025-02-01"))
    assert await market.states("KO", "1m", "2025-01-02", "2025-01-15") == [
        ("missing", "2025-01-02", "2025-01-15", 8)
    ]


@pytest.mark.parametrize("derive", [True, False])
async def test_what_the_plan_does_not_include_is_neither_empty_nor_missing(market, derive):
    for timeframe in Timeframe:
        await market.refused("KO", timeframe, "2024-12-29", "2025-01-05", at=ASKED)

    for timeframe in Timeframe:
        for zone in ZONES:
            await market.zone(zone)
            found = await market.states("KO", timeframe, "2024-12-30", "2025-01-11", derive=derive)
            assert [state for state, *_ in found] == ["not_entitled", "missing"]
        # Also for dates that have not settled, and beyond the answer's expiry.
        assert (
            await market.state("KO", timeframe, "2025-01-02", now=utc("2025-01-02T12:00")) == "not_entitled"
        )


async def test_a_session_of_which_the_plan_includes_a_part(market):
    ten = new_york("2025-01-07T10:00")
    await market.refused("KO", "1m", "2025-01-05", ten)
    await market.answered("KO", "1m", ten, "2025-01-08")
    for timeframe in INTRADAY:
        found = await market.states("KO", timeframe, "2025-01-06", "2025-01-09")
        assert [s[:2] for s in found] == [("not_entitled", "2025-01-06"), ("missing", "2025-01-08")]

    # Of the other one, what the plan includes was not answered yet.
    await market.refused("MSFT", "1m", "2025-01-05", ten)
    found = await market.states("MSFT", "1m", "2025-01-06", "2025-01-09")
    assert [s[:2] for s in found] == [("not_entitled", "2025-01-06"), ("missing", "2025-01-07")]
    # A refusal in the night does not concern the session.
    await market.refused("XOM", "1m", "2025-01-05", new_york("2025-01-07T03:00"))
    await market.answered("XOM", "1m", new_york("2025-01-07T03:00"), "2025-01-08")
    found = await market.states("XOM", "1m", "2025-01-06", "2025-01-09")
    assert [s[0] for s in found] == ["not_entitled", "complete", "missing"]


async def test_an_answer_counts_more_than_a_refusal_of_the_same(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12")
    await market.connection.execute(
        """INSERT INTO fetch_log (symbol, timeframe, rng, outcome, n_bars, attempt, fetched_at)
           VALUES ('KO', '1m', '[2025-01-01, 2025-01-20)', 'not_entitled', 0, 1, now())"""
    )
    for counted in (True, False):
        found = await market.states("KO", "1m", *WEEK, counted=counted)
        assert [state for state, *_ in found] == ["complete"]


async def test_an_empty_session_is_empty_when_nothing_speaks_against_it(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", await but(market, "2025-01-08"), at=ASKED)
    days = await market.days("KO", "2025-01-05", "2025-01-12")

    for asked in (False, True):  # the day bars: not asked; asked, and none of that day
        for counted in (True, False):
            for timeframe in INTRADAY:
                found = await market.states("KO", timeframe, *WEEK, now=ASKED, counted=counted)
                assert found == [
                    ("complete", "2025-01-06", "2025-01-08", 2),
                    ("verified_empty", "2025-01-08", "2025-01-09", 1),
                    ("complete", "2025-01-10", "2025-01-11", 1),
                ]
        if not asked:
            await market.answered("KO", "1d", "2025-01-05", "2025-01-12", [*days[:2], *days[3:]], at=ASKED)


async def test_a_day_bar_proves_a_hole_until_the_same_answer_came_twice(market):
    async def found(after, **how):
        states = {await market.state("KO", tf, "2025-01-08", now=ASKED + after, **how) for tf in INTRADAY}
        (state,) = states
        return state

    some = await but(market, "2025-01-08")
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12", at=ASKED)
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", some, at=ASKED)
    for counted in (True, False):
        assert await found(timedelta(0), counted=counted) == "vendor_hole"
        assert await found(timedelta(days=2), counted=counted) == "vendor_hole"  # expired, but still a hole

    soon = timedelta(minutes=10)
    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", [], at=ASKED + soon)
    assert await found(soon) == "vendor_hole"
    later = timedelta(minutes=31)
    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", [], at=ASKED + later)
    for counted in (True, False):
        assert await found(later, counted=counted) == "verified_empty"
        assert await found(later + timedelta(days=7), counted=counted) == "recheck_due"
    assert await market.state("KO", "1d", "2025-01-08") == "complete"

    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", at=ASKED + timedelta(days=8))
    assert await found(timedelta(days=8)) == "complete"


async def test_minutes_prove_a_hole_in_the_days(market):
    days = await market.days("KO", "2025-01-05", "2025-01-12")
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", at=ASKED)
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12", [*days[:2], *days[3:]], at=ASKED)
    assert await market.state("KO", "1d", "2025-01-08", now=ASKED) == "vendor_hole"
    assert await market.state("KO", "1w", "2025-01-08", now=ASKED) == "complete"

    await market.answered("MSFT", "1m", "2025-01-05", "2025-01-12", at=ASKED)
    await market.answered("MSFT", "1d", "2025-01-05", "2025-01-12", [], at=ASKED)
    assert await market.state("MSFT", "1w", "2025-01-08", now=ASKED) == "vendor_hole"


async def test_an_answer_that_has_expired_is_due_to_be_asked_again(market):
    evening, morning = new_york("2025-01-08T20:40"), new_york("2025-01-09T06:00")
    await market.answered("KO", "1m", "2025-01-07", "2025-01-09", at=evening)  # provisional until the morning
    empty = utc("2025-02-03T12:00")
    await market.answered("KO", "1m", "2025-01-13", "2025-01-14", [], at=empty)

    for counted in (True, False):
        for timeframe in INTRADAY:
            how = {"counted": counted, "now": morning - timedelta(seconds=1), "plan": "starter"}
            assert await market.state("KO", timeframe, "2025-01-08", **how) == "complete"
            how["now"] = morning
            assert await market.states("KO", timeframe, "2025-01-07", "2025-01-09", **how) == [
                ("complete", "2025-01-07", "2025-01-08", 1),
                ("recheck_due", "2025-01-08", "2025-01-09", 1),
            ]
        how = {"counted": counted, "now": empty + timedelta(hours=23)}
        assert await market.state("KO", "1m", "2025-01-13", **how) == "verified_empty"
        how["now"] = empty + timedelta(hours=24)
        assert await market.state("KO", "1m", "2025-01-13", **how) == "recheck_due"

    # What is wrong is said first.
    await market.delete("KO", "1m", new_york("2025-01-08T10:00"))
    assert await market.state("KO", "1m", "2025-01-08", now=morning) == "lost"


async def test_rows_of_another_program_are_taken_as_they_are(market):
    await market.foreign("KO", "1m", await market.minutes("KO", *WEEK))
    await market.foreign("KO", "1d", await market.days("KO", *WEEK))
    await market.foreign("KO", "1h", [new_york("2025-01-08T10:00")])

    for counted in (True, False):
        for timeframe in ("1m", "1d"):
            assert await market.states("KO", timeframe, *WEEK, counted=counted) == [
                ("unverified", "2025-01-06", "2025-01-11", 4)
            ]
        assert await market.states("KO", "1h", *WEEK, counted=counted) == [
            ("missing", "2025-01-06", "2025-01-08", 2),
            ("unverified", "2025-01-08", "2025-01-09", 1),
            ("missing", "2025-01-10", "2025-01-11", 1),
        ]


async def test_rows_of_another_program_in_a_session_answered_in_part_are_asked_for(market):
    await market.foreign("KO", "1m", await market.minutes("KO", *WEEK))
    await market.answered("KO", "1m", "2025-01-05", new_york("2025-01-07T12:00"))

    found = await market.states("KO", "1m", *WEEK)
    assert [s[:2] for s in found] == [
        ("complete", "2025-01-06"),
        ("missing", "2025-01-07"),
        ("unverified", "2025-01-08"),
    ]


async def test_bars_in_a_session_the_vendor_had_none_of_are_verified_by_nobody(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", [], at=ASKED)
    await market.foreign("KO", "5m", [new_york("2025-01-08T10:00")])
    found = await market.states("KO", "5m", *WEEK, now=ASKED)
    assert [s[0] for s in found] == ["verified_empty", "unverified", "verified_empty"]


@pytest.mark.parametrize("timeframe", INTRADAY)
async def test_without_its_audit_a_session_is_never_said_to_be_complete(market, timeframe):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12")
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12")
    await market.connection.execute(
        "DELETE FROM session_audit WHERE timeframe = $1 AND session_date = '2025-01-08'", timeframe
    )
    found = await market.states("KO", timeframe, *WEEK)
    assert [s[0] for s in found] == ["complete", "unverified", "complete"]
    # Believed, it tells of an empty session, against the day bar and the minutes.
    found = await market.states("KO", timeframe, *WEEK, counted=False)
    assert [s[0] for s in found] == [
        "complete",
        "vendor_hole" if timeframe is Timeframe.M1 else "contradiction",
        "complete",
    ]

    await market.connection.execute("DELETE FROM market_data WHERE timeframe = $1", timeframe)
    found = await market.states("KO", timeframe, *WEEK)
    assert [s[0] for s in found] == [
        "lost",
        "vendor_hole" if timeframe is Timeframe.M1 else "contradiction",
        "lost",
    ]


async def test_a_series_that_was_fetched_in_both_ways(market):
    # The hours were asked for themselves; minutes only of the last session.
    await market.answered("KO", "1h", "2025-01-05", "2025-01-12", await hours(market), derive=False)
    await market.answered("KO", "1m", "2025-01-10", "2025-01-12", derive=True)

    assert [s[0] for s in await market.states("KO", "1h", *WEEK, derive=False)] == ["complete"]
    assert [s[0] for s in await market.states("KO", "1h", *WEEK)] == ["unverified", "complete"]
    for date in ("2025-01-07", "2025-01-10"):
        await market.delete("KO", "1h", new_york(f"{date}T12:00"))
        # Whoever covers it, the audit knows that a bar is gone.
        for derive in (True, False):
            assert await market.state("KO", "1h", date, derive=derive) == "lost"


async def test_hours_that_were_derived_are_not_answered_where_each_frame_is_asked_for_itself(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12")
    assert [s[0] for s in await market.states("KO", "1h", *WEEK, derive=False)] == ["unverified"]
    await market.delete("KO", "1h", new_york("2025-01-08T12:00"))
    assert [s[0] for s in await market.states("KO", "1h", *WEEK, derive=False)] == [
        "unverified",
        "lost",
        "unverified",
    ]
    await market.connection.execute("DELETE FROM market_data WHERE timeframe = '1h'")
    assert [s[0] for s in await market.states("KO", "1h", *WEEK, derive=False)] == ["missing"]


async def hours(market, step_ms=3_600_000, first="2025-01-05", past="2025-01-12"):
    """The hours that hold a minute."""
    return sorted({t - t % step_ms for t in await market.minutes("KO", first, past)})


@pytest.mark.parametrize("step, timeframe", [(300_000, "5m"), (3_600_000, "1h"), (14_400_000, "4h")])
async def test_frames_fetched_for_themselves_are_held_against_the_minutes(market, step, timeframe):
    bars = await hours(market, step)
    eight, ten = (int(new_york(f"2025-01-{day}T12:00").timestamp() * 1000) for day in ("08", "10"))
    # The vendor's hours lack one that has minutes; and the minutes lack all of one that has its bar.
    lacking = [t for t in bars if t != eight - eight % step]
    window = ten - ten % step
    some = [
        t for t in await market.minutes("KO", "2025-01-05", "2025-01-12") if not window <= t < window + step
    ]
    await market.answered("KO", timeframe, "2025-01-05", "2025-01-12", lacking, derive=False)
    assert [s[0] for s in await market.states("KO", timeframe, *WEEK, derive=False)] == ["complete"]

    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", some, derive=False)
    for zone in ZONES:
        await market.zone(zone)
        assert await market.states("KO", timeframe, *WEEK, derive=False) == [
            ("complete", "2025-01-06", "2025-01-08", 2),
            ("contradiction", "2025-01-08", "2025-01-11", 2),
        ]
    # Another program's bar off the grid has no minutes and contradicts nothing.
    await market.foreign("KO", timeframe, [new_york("2025-01-07T12:01")])
    assert await market.state("KO", timeframe, "2025-01-07", derive=False) == "complete"


async def test_lost_minutes_are_the_fault_of_the_minutes(market):
    await market.answered("KO", "1h", "2025-01-05", "2025-01-12", await hours(market), derive=False)
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", derive=False)
    await market.delete("KO", "1m", new_york("2025-01-08T12:00"), new_york("2025-01-08T13:00"))

    assert await market.state("KO", "1m", "2025-01-08", derive=False) == "lost"
    assert [s[0] for s in await market.states("KO", "1h", *WEEK, derive=False)] == ["complete"]


async def test_weeks_fetched_for_themselves_are_held_against_the_days(market):
    sundays = [int(new_york(f"2025-01-{day}T00:00").timestamp() * 1000) for day in ("05", "12", "19")]
    days = await market.days("KO", "2025-01-05", "2025-01-12")
    await market.answered("KO", "1w", "2025-01-05", "2025-01-26", sundays, derive=False)
    await market.answered("KO", "1d", "2025-01-05", "2025-01-19", days, derive=False)

    assert await market.states("KO", "1w", "2025-01-08", "2025-01-23", derive=False) == [
        ("complete", "2025-01-05", "2025-01-12", 1),
        ("contradiction", "2025-01-12", "2025-01-19", 1),
        ("complete", "2025-01-19", "2025-01-26", 1),  # its days were not asked for
    ]


async def test_an_empty_week_that_has_days_is_a_hole(market):
    await market.answered("KO", "1w", "2025-01-05", "2025-01-12", [], at=ASKED, derive=False)
    assert await market.state("KO", "1w", "2025-01-08", now=ASKED, derive=False) == "verified_empty"
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12", at=ASKED, derive=False)
    assert await market.state("KO", "1w", "2025-01-08", now=ASKED, derive=False) == "vendor_hole"
    again = ASKED + timedelta(hours=1)
    await market.answered("KO", "1w", "2025-01-05", "2025-01-12", [], at=again, derive=False)
    assert await market.state("KO", "1w", "2025-01-08", now=again, derive=False) == "verified_empty"


async def test_an_empty_hour_series_is_a_hole_by_its_minutes_alone(market):
    await market.answered("KO", "1h", "2025-01-05", "2025-01-12", [], at=ASKED, derive=False)
    assert {s[0] for s in await market.states("KO", "1h", *WEEK, now=ASKED, derive=False)} == {
        "verified_empty"
    }
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12", at=ASKED, derive=False)
    assert {s[0] for s in await market.states("KO", "1h", *WEEK, now=ASKED, derive=False)} == {"vendor_hole"}
