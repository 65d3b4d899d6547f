"""The state of every session: what is missing, lost, pending, not ours to have, or not there to be had."""

from datetime import timedelta

import pytest

from lib.errors import HorizonExceeded
from lib.store.answers import derive_again
from lib.timeframe import Timeframe
from tests.store.gap_market import INTRADAY, LATER, ZONES, new_york, utc

# What is asked, and the sessions that are missing when nothing was ever answered: one gap, whatever closed days
# lie in it.
CLOSED_DAYS = {
    "Thanksgiving, and the half day after it": ("2024-11-25", "2024-12-03", "2024-11-25", "2024-12-03", 5),
    "Christmas, and the half day before it": ("2024-12-23", "2024-12-28", "2024-12-23", "2024-12-28", 4),
    "a day of mourning": ("2025-01-06", "2025-01-13", "2025-01-06", "2025-01-11", 4),
    "a closed weekend's edge": ("2025-01-09", "2025-01-13", "2025-01-10", "2025-01-11", 1),
    "a hurricane": ("2012-10-26", "2012-11-02", "2012-10-26", "2012-11-02", 3),
    "19 June before it was a holiday": ("2019-06-18", "2019-06-21", "2019-06-18", "2019-06-21", 3),
    "19 June on a Saturday, not kept in 2021": ("2021-06-17", "2021-06-22", "2021-06-17", "2021-06-22", 3),
    "19 June on a Sunday, kept on Monday": ("2022-06-16", "2022-06-22", "2022-06-16", "2022-06-22", 3),
    "19 June since": ("2024-06-18", "2024-06-21", "2024-06-18", "2024-06-21", 2),
    "the clock goes forward": ("2025-03-07", "2025-03-12", "2025-03-07", "2025-03-12", 3),
    "the clock goes back": ("2025-10-31", "2025-11-05", "2025-10-31", "2025-11-05", 3),
}


@pytest.mark.parametrize("first, past, start, end, units", CLOSED_DAYS.values(), ids=CLOSED_DAYS)
async def test_a_gap_holds_sessions_only_and_no_closed_day_splits_it(market, first, past, start, end, units):
    for zone in ZONES:
        await market.zone(zone)
        for timeframe in ("1m", "4h", "1d"):
            assert await market.states("KO", timeframe, first, past) == [("missing", start, end, units)]


@pytest.mark.parametrize("zone", ZONES)
async def test_a_healthy_series_has_no_gap_in_any_time_zone(market, zone):
    await market.zone(zone)
    await market.answered("AAPL", "1d", "2024-11-24", "2025-02-02")
    await market.answered("AAPL", "1m", "2024-11-24", "2025-02-02")

    for counted in (True, False):
        for timeframe in ("1d", *INTRADAY):
            found = await market.states("AAPL", timeframe, "2024-11-25", "2025-02-01", counted=counted)
            assert found == [("complete", "2024-11-25", "2025-02-01", 45)]
        found = await market.states("AAPL", "1w", "2024-11-25", "2025-02-01", counted=counted)
        assert found == [("complete", "2024-11-24", "2025-02-02", 10)]


@pytest.mark.parametrize("date", ["2024-07-03", "2024-11-29", "2024-12-24"])
async def test_a_half_day_ends_at_five(market, date):
    await market.answered("KO", "1m", date, new_york(f"{date}T16:59"))
    assert await market.state("KO", "1m", date) == "missing"

    await market.answered("KO", "1m", new_york(f"{date}T16:59"), new_york(f"{date}T17:00"))
    for zone in ZONES:
        await market.zone(zone)
        assert await market.state("KO", "1m", date) == "complete"
        assert await market.state("KO", "1h", date) == "complete"
    assert await market.delete("KO", "1m", new_york(f"{date}T12:59")) == 1
    assert await market.state("KO", "1m", date) == "lost"


async def test_a_full_day_ends_at_eight(market):
    await market.answered("KO", "1m", "2024-07-02", new_york("2024-07-02T19:59"))
    assert await market.state("KO", "1m", "2024-07-02") == "missing"
    await market.answered("KO", "1m", new_york("2024-07-02T19:59"), new_york("2024-07-02T20:00"))
    assert await market.state("KO", "1m", "2024-07-02") == "complete"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "first, past, midnight",
    [
        ("2025-03-08", "2025-03-11", "2025-03-09T00:00"),
        ("2025-11-01", "2025-11-04", "2025-11-02T00:00"),
    ],
    ids=["forward", "back"],
)
async def test_a_coins_day_is_the_utc_day_whatever_new_yorks_clock_does(market, zone, first, past, midnight):
    await market.zone(zone)
    await market.answered("BTC", "1m", first, past)
    counts = await market.connection.fetch(
        "SELECT timeframe, array_agg(DISTINCT n_bars) AS n FROM session_audit GROUP BY timeframe"
    )
    assert {row["timeframe"]: row["n"] for row in counts} == {
        "1m": [1440], "5m": [288], "15m": [96], "30m": [48], "1h": [24], "4h": [6],
    }  # fmt: skip
    for timeframe in INTRADAY:
        assert await market.states("BTC", timeframe, first, past) == [("complete", first, past, 3)]

    assert await market.delete("BTC", "1m", utc(midnight)) == 1
    assert await market.delete("BTC", "1m", utc(midnight) - timedelta(minutes=1)) == 1
    assert [s[::3] for s in await market.states("BTC", "1m", first, past)] == [("lost", 2), ("complete", 1)]


async def test_a_coin_has_weekends_and_holidays(market):
    assert await market.states("BTC", "1d", "2025-01-09", "2025-01-13") == [
        ("missing", "2025-01-09", "2025-01-13", 4)
    ]
    await market.answered("BTC", "1m", "2025-01-10", "2025-01-13")
    assert await market.delete("BTC", "1m", utc("2025-01-11T00:00"), utc("2025-01-12T00:00")) == 1440
    assert [s[:2] for s in await market.states("BTC", "1m", "2025-01-09", "2025-01-14")] == [
        ("missing", "2025-01-09"),
        ("complete", "2025-01-10"),
        ("lost", "2025-01-11"),
        ("complete", "2025-01-12"),
        ("missing", "2025-01-13"),
    ]


async def test_a_window_of_four_hours_may_begin_before_the_session_and_end_after_it(market):
    winter = await market.minutes("KO", "2025-01-08", "2025-01-09", extended=True)
    summer = await market.minutes("KO", "2025-07-02", "2025-07-03", extended=True)
    await market.answered("KO", "1m", "2025-01-08", new_york("2025-01-08T20:00"), winter)
    await market.answered("KO", "1m", "2025-07-02", new_york("2025-07-02T20:00"), summer)

    assert await market.state("KO", "1h", "2025-01-08") == "complete"
    assert (
        await market.state("KO", "4h", "2025-01-08") == "missing"
    )  # the window of 19:00 is not answered whole
    assert await market.state("KO", "4h", "2025-07-02") == "complete"

    await market.answered("KO", "1m", new_york("2025-01-08T20:00"), "2025-01-09", [])
    for zone in ZONES:
        await market.zone(zone)
        assert await market.state("KO", "4h", "2025-01-08") == "complete"
    stored = await market.connection.fetch(
        "SELECT timestamp FROM market_data WHERE timeframe = '4h' ORDER BY 1 LIMIT 5"
    )
    assert [row["timestamp"].hour for row in stored] == [8, 12, 16, 20, 0]


async def test_a_bar_off_the_grid_stands_in_for_none(market):
    minutes = await market.minutes("KO", "2025-01-08", "2025-01-09", extended=True)
    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", minutes)
    await market.foreign("KO", "4h", [utc("2025-01-08T09:00")])
    assert await market.state("KO", "4h", "2025-01-08") == "complete"

    await market.delete("KO", "4h", utc("2025-01-08T08:00"))
    assert await market.state("KO", "4h", "2025-01-08") == "lost"
    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", minutes)
    assert await market.state("KO", "4h", "2025-01-08") == "complete"

    await market.answered("KO", "1d", "2025-01-05", "2025-01-12")
    await market.delete("KO", "1d", new_york("2025-01-08T00:00"))
    await market.foreign("KO", "1d", [utc("2025-01-08T21:00")])
    assert await market.state("KO", "1d", "2025-01-08") == "lost"


async def test_bars_off_the_grid_alone_are_no_bars(market):
    await market.foreign("KO", "1d", [utc("2025-01-08T00:00"), utc("2025-01-08T21:00")])
    await market.foreign("KO", "1w", [new_york("2025-01-06T00:00")])
    await market.foreign("KO", "1h", [utc("2025-01-08T14:30")])

    for timeframe in ("1d", "1w", "1h"):
        assert await market.state("KO", timeframe, "2025-01-08") == "missing"


@pytest.mark.parametrize("timeframe", Timeframe)
async def test_one_deleted_bar_is_found_in_every_timeframe(market, timeframe):
    for base in ("1m", "1d"):
        await market.answered("KO", base, "2025-06-01", "2025-06-08")
    (deleted,) = await market.connection.fetch(
        """DELETE FROM market_data WHERE (symbol, timeframe, timestamp) =
               (SELECT symbol, timeframe, timestamp FROM market_data WHERE timeframe = $1
                ORDER BY abs(extract(epoch FROM timestamp - '2025-06-04 15:00Z')) LIMIT 1)
           RETURNING (timestamp AT TIME ZONE 'America/New_York')::date::text AS day""",
        timeframe,
    )
    found = await market.states("KO", timeframe, "2025-06-01", "2025-06-08")

    assert [(state, start, units) for state, start, _, units in found if state != "complete"] == [
        ("lost", deleted["day"], 1)
    ]
    assert sum(units for *_, units in found) == (1 if timeframe is Timeframe.W1 else 5)


async def test_a_deleted_hour_is_one_lost_session(market):
    await market.answered("MSFT", "1m", "2025-06-02", "2025-06-07")
    assert await market.delete("MSFT", "1m", utc("2025-06-03T15:00"), utc("2025-06-03T16:00")) == 60

    assert await market.states("MSFT", "1m", "2025-06-02", "2025-06-07") == [
        ("complete", "2025-06-02", "2025-06-03", 1),
        ("lost", "2025-06-03", "2025-06-04", 1),
        ("complete", "2025-06-04", "2025-06-07", 3),
    ]
    assert await market.states("MSFT", "1m", "2025-06-02", "2025-06-07", counted=False) == [
        ("complete", "2025-06-02", "2025-06-07", 5)
    ]


async def test_a_page_that_was_cut_off_leaves_its_session_missing(market):
    await market.answered("NVDA", "1m", "2024-07-01", utc("2024-07-09T14:20"))

    for counted in (True, False):
        assert await market.states("NVDA", "1m", "2024-07-01", "2024-07-20", counted=counted) == [
            ("complete", "2024-07-01", "2024-07-09", 5),
            ("missing", "2024-07-09", "2024-07-20", 9),
        ]


async def test_a_refused_bar_leaves_its_session_missing(market):
    hole = (new_york("2025-01-07T10:00"), new_york("2025-01-07T10:01"))
    await market.answered("KO", "1m", "2025-01-06", "2025-01-09", holes=[hole])

    for timeframe in INTRADAY:
        found = await market.states("KO", timeframe, "2025-01-06", "2025-01-09")
        assert [s[:2] for s in found] == [
            ("complete", "2025-01-06"),
            ("missing", "2025-01-07"),
            ("complete", "2025-01-08"),
        ]


SETTLING = [
    ("KO", "1m", "2025-01-08", "starter", new_york("2025-01-08T15:00"), "pending"),
    ("KO", "1m", "2025-01-08", "starter", new_york("2025-01-08T20:29"), "pending"),
    ("KO", "1m", "2025-01-08", "starter", new_york("2025-01-08T20:30"), "missing"),
    ("KO", "1d", "2025-01-08", "starter", new_york("2025-01-08T20:31"), "missing"),
    ("KO", "1m", "2025-01-08", "advanced", new_york("2025-01-08T20:14"), "pending"),
    ("KO", "1m", "2025-01-08", "advanced", new_york("2025-01-08T20:15"), "missing"),
    ("KO", "1m", "2025-01-08", "basic", new_york("2025-01-08T20:31"), "pending"),
    ("KO", "1m", "2025-01-08", "basic", new_york("2025-01-09T00:14"), "pending"),
    ("KO", "1m", "2025-01-08", "basic", new_york("2025-01-09T00:15"), "missing"),
    ("KO", "4h", "2025-01-08", "starter", new_york("2025-01-08T23:29"), "pending"),
    ("KO", "4h", "2025-01-08", "starter", new_york("2025-01-08T23:30"), "missing"),
    ("KO", "4h", "2025-07-02", "starter", new_york("2025-07-02T20:29"), "pending"),
    ("KO", "4h", "2025-07-02", "starter", new_york("2025-07-02T20:30"), "missing"),
    ("KO", "1m", "2024-12-24", "starter", new_york("2024-12-24T17:29"), "pending"),
    ("KO", "1m", "2024-12-24", "starter", new_york("2024-12-24T17:30"), "missing"),
    ("KO", "1w", "2025-01-08", "starter", new_york("2025-01-10T20:29"), "pending"),
    ("KO", "1w", "2025-01-08", "starter", new_york("2025-01-10T20:30"), "missing"),
    ("KO", "1w", "2025-04-16", "starter", new_york("2025-04-17T20:29"), "pending"),  # Friday is closed
    ("KO", "1w", "2025-04-16", "starter", new_york("2025-04-17T20:30"), "missing"),
    ("BTC", "1m", "2025-01-08", "starter", utc("2025-01-09T00:29"), "pending"),
    ("BTC", "1m", "2025-01-08", "starter", utc("2025-01-09T00:30"), "missing"),
    ("BTC", "1d", "2025-01-08", "basic", utc("2025-01-09T00:14"), "pending"),
    ("BTC", "1d", "2025-01-08", "basic", utc("2025-01-09T00:15"), "missing"),
    ("BTC", "1w", "2025-01-08", "starter", utc("2025-01-12T00:29"), "pending"),
    ("BTC", "1w", "2025-01-08", "starter", utc("2025-01-12T00:30"), "missing"),
]


async def test_a_unit_is_pending_until_it_has_settled(market):
    for zone in ZONES:
        await market.zone(zone)
        for symbol, timeframe, date, plan, now, state in SETTLING:
            found = await market.state(symbol, timeframe, date, now=now, plan=plan)
            assert (timeframe, plan, now, found) == (timeframe, plan, now, state)


async def test_what_has_not_settled_is_pending_whatever_is_stored(market):
    now = new_york("2025-01-10T15:00")
    await market.answered("KO", "1d", "2025-01-05", "2025-01-10", at=now)
    await market.answered("KO", "1m", "2025-01-05", now - timedelta(minutes=30), at=now)
    await market.delete("KO", "1m", new_york("2025-01-10T10:00"))

    for counted in (True, False):
        for timeframe in ("1m", "1h", "1d"):
            found = await market.states("KO", timeframe, "2025-01-08", "2025-02-01", now=now, counted=counted)
            assert found == [
                ("complete", "2025-01-08", "2025-01-09", 1),
                ("pending", "2025-01-10", "2025-02-01", 15),
            ]
        found = await market.states("KO", "1w", "2025-01-08", "2025-01-15", now=now, counted=counted)
        assert found == [("pending", "2025-01-05", "2025-01-19", 2)]


@pytest.mark.parametrize("first, past", [("2026-05-01", "2028-02-01"), ("1989-12-01", "1990-02-01")])
async def test_dates_the_calendar_does_not_know_are_an_error_and_no_shorter_answer(market, first, past):
    with pytest.raises(HorizonExceeded, match="XNYS"):
        await market.find("KO", "1d", first, past)


async def test_a_calendar_that_was_never_filled_is_an_error(market):
    await market.connection.execute("DELETE FROM calendars")
    with pytest.raises(HorizonExceeded, match="no sessions"):
        await market.find("KO", "1d", "2025-01-06", "2025-01-11")


@pytest.mark.parametrize(
    "first, past, weeks",
    [
        ("2025-01-08", "2025-01-15", [("missing", "2025-01-05", "2025-01-19", 2)]),
        ("2025-01-05", "2025-01-12", [("missing", "2025-01-05", "2025-01-12", 1)]),
        ("2025-01-11", "2025-01-12", [("missing", "2025-01-05", "2025-01-12", 1)]),
        ("2025-01-12", "2025-01-13", [("missing", "2025-01-12", "2025-01-19", 1)]),
        ("2025-01-08", "2025-01-08", []),
    ],
)
async def test_weeks_are_whole_wherever_the_dates_asked_for_begin(market, first, past, weeks):
    for zone in ZONES:
        await market.zone(zone)
        assert await market.states("KO", "1w", first, past) == weeks
        assert await market.states("BTC", "1w", first, past) == weeks


async def test_dates_without_a_session_are_nothing(market):
    assert await market.states("KO", "1d", "2025-01-09", "2025-01-10") == []
    assert await market.states("KO", "1m", "2025-01-11", "2025-01-13") == []
    assert await market.states("KO", "1d", "2025-01-08", "2025-01-07") == []


async def test_a_week_is_covered_when_all_its_days_are(market):
    await market.answered("KO", "1d", "2025-01-05", "2025-01-10")
    assert await market.state("KO", "1w", "2025-01-08") == "missing"
    await market.answered("KO", "1d", "2025-01-10", "2025-01-12")
    assert await market.state("KO", "1w", "2025-01-08") == "complete"
    await market.delete("KO", "1w", new_york("2025-01-05T00:00"))
    assert await market.state("KO", "1w", "2025-01-08") == "lost"


async def test_bars_outside_sessions_and_hours_break_nothing(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-01-12")
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12")
    await market.foreign("KO", "1m", [new_york("2025-01-09T12:00"), new_york("2025-01-11T12:00")])
    await market.foreign("KO", "1m", [new_york("2025-01-08T02:00"), new_york("2025-01-08T22:00")])
    await market.foreign("KO", "1h", [new_york("2025-01-09T12:00")])
    await market.foreign("KO", "1d", [new_york("2025-01-09T00:00"), new_york("2025-01-11T00:00")])
    for timeframe in Timeframe:
        found = await market.states("KO", timeframe, "2025-01-06", "2025-01-11")
        assert [state for state, *_ in found] == ["complete"]

    await market.delete("KO", "1h", new_york("2025-01-10T12:00"))
    assert await market.states("KO", "1h", "2025-01-06", "2025-01-13") == [
        ("complete", "2025-01-06", "2025-01-09", 3),
        ("lost", "2025-01-10", "2025-01-11", 1),
    ]


async def test_each_symbol_of_a_query_is_judged_for_itself(market):
    await market.answered("KO", "1m", "2025-01-06", "2025-01-11")
    await market.answered("JPM", "1m", "2025-01-06", "2025-01-09")
    await market.delete("JPM", "1m", new_york("2025-01-06T10:00"))
    await market.connection.execute(
        "UPDATE tracked_symbols SET listed_from = '2025-01-08' WHERE symbol = 'V'"
    )

    for names in ("KO,JPM,V,XOM,NONESUCH", "XOM,NONESUCH,V,JPM,KO", "KO,KO,JPM,V,XOM,NONESUCH"):
        found = await market.find(names, "1m", "2025-01-06", "2025-01-11")
        assert {
            symbol: [(str(s.state), s.units) for s in stretches] for symbol, stretches in found.items()
        } == {
            "KO": [("complete", 4)],
            "JPM": [("lost", 1), ("complete", 2), ("missing", 1)],
            "V": [("not_expected", 2), ("missing", 2)],
            "XOM": [("missing", 4)],
            "NONESUCH": [("missing", 4)],
        }


async def test_derived_bars_that_were_never_made_contradict_their_base(market):
    await market.answered("KO", "1m", "2025-01-06", "2025-01-09", derive=False)
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12", derive=False)
    for counted in (True, False):
        for timeframe in ("5m", "4h", "1w"):
            assert await market.state("KO", timeframe, "2025-01-08", counted=counted) == "contradiction"

    instrument, sessions = await market.instrument("KO"), market.tables["XNYS"]
    for base, timeframes in ((Timeframe.M1, ("5m", "4h")), (Timeframe.D1, ("1w",))):
        span = [int(new_york(f"{date}T00:00").timestamp() * 1000) for date in ("2025-01-05", "2025-01-12")]
        await derive_again(market.connection, instrument, base, tuple(span), sessions, LATER)
        for timeframe in timeframes:
            assert await market.state("KO", timeframe, "2025-01-08") == "complete"
