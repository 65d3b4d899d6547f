"""``backfill_gaps``: each gap is one row from its detection to its filling. And detection as a library."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from lib.errors import HorizonExceeded, SymbolUnknown, UsageError
from lib.gaps import State, Stretch, build_completeness_matrix
from lib.sessions import parse_plans
from lib.store.gaps import Seen, find_gaps_in_timeframe, list_gaps, record_gaps
from lib.store.sessions import refresh_sessions
from lib.timeframe import Timeframe
from tests.store.gap_market import LATER, ZONES, Market, day, new_york, open_market, utc

FIRST_SEEN = utc("2025-02-01T12:00")
FIRST_RUN = Seen("first")


async def look(market, first, past, timeframe="1m", *, at=FIRST_SEEN, seen=FIRST_RUN):
    """Detect and record, as a run does; the rows of the ledger as (id, start, end, days, state, filled)."""
    found = (await market.find("KO", timeframe, first, past))["KO"]
    scanned = (min(s.start for s in found), max(s.end for s in found)) if found else (day(first), day(past))
    scanned = (min(scanned[0], day(first)), max(scanned[1], day(past)))
    await record_gaps(market.connection, "KO", Timeframe(timeframe), found, scanned, at, seen)
    return await rows(market)


async def rows(market):
    found = await market.connection.fetch("SELECT * FROM backfill_gaps ORDER BY gap_start, id")
    return [
        (str(row["gap_start"]), str(row["gap_end"]), row["days"], row["state"], row["filled"])
        for row in found
    ]


async def identities(market):
    return await market.connection.fetch("SELECT id, detected_at FROM backfill_gaps ORDER BY gap_start, id")


async def test_a_gap_is_one_row_from_detection_to_filling(market):
    assert await look(market, "2025-01-06", "2025-01-18") == [
        ("2025-01-06", "2025-01-18", 9, "missing", False)
    ]
    await market.answered("KO", "1m", "2025-01-06", "2025-01-09")
    shrunk = await look(market, "2025-01-06", "2025-01-18", at=LATER, seen=Seen("second", 2, "it is late"))
    assert shrunk == [("2025-01-10", "2025-01-18", 6, "missing", False)]
    await look(market, "2025-01-06", "2025-01-18", at=LATER, seen=Seen("third", 1))
    (row,) = await market.connection.fetch("SELECT * FROM backfill_gaps")
    assert (row["detected_at"], row["attempts"], row["reason"], row["run_id"]) == (
        FIRST_SEEN,
        3,
        "it is late",
        "third",
    )

    await market.answered("KO", "1m", "2025-01-09", "2025-01-18")
    await look(market, "2025-01-06", "2025-01-18", at=LATER, seen=Seen("fourth", 1))
    (row,) = await market.connection.fetch("SELECT * FROM backfill_gaps")
    assert (row["filled"], row["filled_at"], row["attempts"], row["run_id"]) == (True, LATER, 4, "fourth")
    # The same session lost again is another gap.
    await market.delete("KO", "1m", new_york("2025-01-10T10:00"))
    assert await look(market, "2025-01-06", "2025-01-18", at=LATER) == [
        ("2025-01-10", "2025-01-18", 6, "missing", True),
        ("2025-01-10", "2025-01-11", 1, "lost", False),
    ]


async def test_a_gap_that_changes_its_state_is_the_same_row(market):
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12", at=FIRST_SEEN)
    await look(market, "2025-01-08", "2025-01-09")
    (before,) = await identities(market)
    await market.answered("KO", "1m", "2025-01-08", "2025-01-09", [])
    assert await look(market, "2025-01-08", "2025-01-09", at=LATER) == [
        ("2025-01-08", "2025-01-09", 1, "vendor_hole", False)
    ]
    assert await identities(market) == [before]


async def test_runs_that_look_at_part_of_a_gap_leave_the_rest_of_it_open(market):
    await look(market, "2025-01-02", "2025-02-01")
    (whole,) = await identities(market)
    # Looked at from the middle on, it is the same gap.
    assert await look(market, "2025-01-14", "2025-02-01", at=LATER) == [
        ("2025-01-02", "2025-02-01", 20, "missing", False)
    ]
    assert await look(market, "2025-01-14", "2025-01-17", at=LATER) == [
        ("2025-01-02", "2025-02-01", 20, "missing", False)
    ]
    assert await identities(market) == [whole]
    # Filled in the middle, both ends stay; each since it was first seen.
    await market.answered("KO", "1m", "2025-01-14", "2025-01-17")
    assert await look(market, "2025-01-14", "2025-01-17", at=LATER, seen=Seen("other", 1, "why")) == [
        ("2025-01-02", "2025-01-14", 7, "missing", False),
        ("2025-01-17", "2025-02-01", 10, "missing", False),
    ]
    kept, split = await identities(market)
    assert (kept, split["detected_at"]) == (whole, FIRST_SEEN)
    row = await market.connection.fetchrow("SELECT * FROM backfill_gaps WHERE id = $1", kept["id"])
    assert (row["run_id"], row["attempts"], row["reason"]) == ("first", 0, None)


async def test_a_window_that_moves_on_does_not_wear_a_gap_down(market):
    await look(market, "2025-01-02", "2025-02-01")
    (whole,) = await identities(market)
    for number in range(1, 25):
        first = (day("2025-01-02") + timedelta(days=number)).isoformat()
        assert await look(market, first, "2025-02-01", at=LATER) == [
            ("2025-01-02", "2025-02-01", 20, "missing", False)
        ]
    assert await identities(market) == [whole]


async def test_gaps_that_grow_together_become_the_older_row(market):
    await market.answered("KO", "1m", "2025-01-07", "2025-01-09")
    await look(market, "2025-01-13", "2025-01-16")
    await look(market, "2025-01-06", "2025-01-11", at=LATER)
    older = min(await identities(market), key=lambda row: row["id"])
    await market.connection.execute("DELETE FROM fetch_log")
    await market.connection.execute("DELETE FROM market_data")

    assert await look(market, "2025-01-06", "2025-01-16", at=LATER) == [
        ("2025-01-06", "2025-01-16", 7, "missing", False)
    ]
    assert await identities(market) == [older]


async def test_weeks_are_recorded_whole(market):
    assert await look(market, "2025-01-08", "2025-01-21", "1w") == [
        ("2025-01-05", "2025-01-26", 3, "missing", False)
    ]
    assert await look(market, "2025-01-15", "2025-01-16", "1w", at=LATER) == [
        ("2025-01-05", "2025-01-26", 3, "missing", False)
    ]
    await market.answered("KO", "1d", "2025-01-12", "2025-01-19")
    assert await look(market, "2025-01-15", "2025-01-16", "1w", at=LATER) == [
        ("2025-01-05", "2025-01-12", 1, "missing", False),
        ("2025-01-19", "2025-01-26", 1, "missing", False),
    ]


async def test_gaps_of_other_series_and_dates_are_not_touched(market):
    await look(market, "2025-01-06", "2025-01-11")
    await look(market, "2025-01-06", "2025-01-11", "1d")
    await look(market, "2025-03-03", "2025-03-08")
    before = await market.connection.fetch("SELECT * FROM backfill_gaps ORDER BY id")
    await market.answered("KO", "1m", "2025-01-06", "2025-01-11")
    await look(market, "2025-01-06", "2025-01-11", at=LATER)

    after = await market.connection.fetch("SELECT * FROM backfill_gaps ORDER BY id")
    assert [row["filled"] for row in after] == [True, False, False]
    assert after[1:] == before[1:]


async def test_the_ledger_lists_open_gaps_and_filled_ones_by_wish(market):
    await look(market, "2025-01-06", "2025-01-09")
    await look(market, "2025-01-06", "2025-01-09", "1d")
    await market.answered("KO", "1m", "2025-01-06", "2025-01-09")
    await look(market, "2025-01-06", "2025-01-09")

    async def listed(symbols=None, timeframes=None, dates=(None, None), filled_too=True):
        found = await list_gaps(market.connection, symbols, timeframes, dates, filled_too=filled_too)
        return [(row["timeframe"], row["filled"]) for row in found]

    assert await listed() == [("1m", True), ("1d", False)]
    assert await listed(filled_too=False) == [("1d", False)]
    assert await listed(["KO"], [Timeframe.M1]) == [("1m", True)]
    assert await listed(["IBM"]) == await listed(dates=(day("2025-01-09"), None)) == []
    assert await listed(dates=(day("2025-01-08"), day("2025-01-09"))) == [("1m", True), ("1d", False)]


async def test_the_gaps_of_one_timeframe_as_a_library_call(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-02-01")
    await market.delete("KO", "1m", new_york("2025-01-30T12:00"))
    for first, past in (
        ("2025-01-05", "2025-01-06"),
        ("2025-01-11", "2025-01-17"),
        ("2025-01-22", "2025-02-01"),
    ):
        await market.answered("KO", "1d", first, past)

    for zone in ZONES:
        await market.zone(zone)
        asked = (day("2025-01-05"), day("2025-02-01"))
        assert await find_gaps_in_timeframe(market.connection, "KO", "1m", *asked) == [
            {"start": "2025-01-30", "end": "2025-01-31", "days": 1, "state": "lost"}
        ]
        assert await find_gaps_in_timeframe(market.connection, "KO", "1d", *asked) == [
            {"start": "2025-01-06", "end": "2025-01-11", "days": 4, "state": "missing"},  # the 9th is closed
            {"start": "2025-01-17", "end": "2025-01-22", "days": 2, "state": "missing"},  # and this Monday
        ]
    assert await rows(market) == []


async def test_what_is_not_settled_is_no_gap_for_the_library_either(market):
    asked = ("KO", "1d", day("2025-01-08"), day("2025-01-09"))
    evening = new_york("2025-01-08T20:31")
    basic = parse_plans("basic")

    assert len(await find_gaps_in_timeframe(market.connection, *asked)) == 1
    assert len(await find_gaps_in_timeframe(market.connection, *asked, now=evening)) == 1
    assert await find_gaps_in_timeframe(market.connection, *asked, now=evening, plans=basic) == []
    before = evening - timedelta(minutes=2)
    assert await find_gaps_in_timeframe(market.connection, *asked, now=before) == []


@pytest.mark.parametrize(
    "error, symbol, timeframe, end",
    [
        (SymbolUnknown, "NONESUCH", "1d", "2025-01-09"),
        (UsageError, "KO", "2d", "2025-01-09"),
        (UsageError, "KO", "1h,1d", "2025-01-09"),
        (UsageError, "KO", "all", "2025-01-09"),
        (HorizonExceeded, "KO", "1d", "2038-01-09"),
    ],
)
async def test_what_cannot_be_answered_is_an_error(market, error, symbol, timeframe, end):
    with pytest.raises(error):
        await find_gaps_in_timeframe(market.connection, symbol, timeframe, day("2025-01-08"), day(end))


async def test_the_matrix_of_what_was_found(market):
    await market.answered("KO", "1m", "2025-01-05", "2025-02-01")
    await market.answered("KO", "1d", "2025-01-05", "2025-01-12")
    await market.delete("KO", "1m", new_york("2025-01-30T12:00"))
    found = {
        "KO": {
            tf: (await market.find("KO", tf, "2025-01-06", "2025-02-01"))["KO"] for tf in ("1m", "1h", "1d")
        },
        "IBM": {"1w": (await market.find("IBM", "1w", "2025-01-06", "2025-02-01"))["IBM"]},
    }

    matrix = build_completeness_matrix(found)

    assert matrix == {"KO": {"1m": "◐ 94%", "1h": "✓", "1d": "◐ 22%"}, "IBM": {"1w": "✗"}}


@pytest.mark.parametrize("postgres_version", [16], indirect=True)
async def test_an_older_postgresql_finds_the_same(database_url):
    connection = await asyncpg.connect(database_url)
    try:
        await refresh_sessions(connection, LATER.date())
        market: Market = await open_market(connection)
        await market.answered("KO", "1m", "2025-01-05", "2025-01-16")
        await market.answered("KO", "1d", "2025-01-05", "2025-01-12")
        await market.delete("KO", "1h", new_york("2025-01-08T12:00"))
        for counted, states in ((True, ["complete", "lost", "complete", "missing"]), (False, None)):
            found = await market.states("KO", "1h", "2025-01-06", "2025-01-18", counted=counted)
            assert [s[0] for s in found] == (states or ["complete", "missing"])
        assert await market.states("KO", "1w", "2025-01-06", "2025-01-14") == [
            ("complete", "2025-01-05", "2025-01-12", 1),
            ("missing", "2025-01-12", "2025-01-19", 1),
        ]
        assert (await look(market, "2025-01-06", "2025-01-18"))[0][2:] == (2, "missing", False)
        await market.foreign("IBM", "1m", (await market.minutes("IBM", "2025-01-06", "2025-01-09"))[:-60])
        assert await market.state("IBM", "1m", "2025-01-08") == "suspect"
    finally:
        await connection.close()


async def test_a_row_that_appears_twice_is_tidied_up(market):
    # What a run left that was killed between two programs of another version: the same gap, twice.
    for _ in range(2):
        await market.connection.execute(
            """INSERT INTO backfill_gaps (symbol, timeframe, gap_start, gap_end, days, state, detected_at)
               VALUES ('KO', '1m', '2025-01-06', '2025-01-09', 3, 'missing', $1)""",
            FIRST_SEEN,
        )
    assert await look(market, "2025-01-06", "2025-01-09", at=LATER) == [
        ("2025-01-06", "2025-01-09", 3, "missing", False)
    ]


async def test_what_was_recorded_is_told(market):
    gap = Stretch(State.LOST, day("2025-01-06"), day("2025-01-07"), 1)
    dates = (day("2025-01-06"), day("2025-01-11"))
    moment: datetime = FIRST_SEEN
    first = await record_gaps(market.connection, "KO", Timeframe.M1, [gap], dates, moment, Seen(None))
    again = await record_gaps(market.connection, "KO", Timeframe.M1, [gap], dates, moment, Seen(None))
    gone = await record_gaps(market.connection, "KO", Timeframe.M1, [], dates, moment, Seen(None))
    assert [len(first.new), len(again.kept), len(gone.filled)] == [1, 1, 1]
