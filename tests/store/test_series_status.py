"""How far each series is: kept with every answer, right after deletions, and for databases of before the table."""

from datetime import timedelta

import pytest

from lib import sql
from lib.sessions import Delay
from lib.store.gaps import Question, Seen, find_stretches, record_gaps
from lib.timeframe import Timeframe
from tests.store.gap_market import LATER, day, new_york, utc

FIRST, PAST = "2025-01-06", "2025-01-11"
WEEK = ("2025-01-05", "2025-01-12")


async def rows(market, symbol="AAPL"):
    found = await market.connection.fetch("SELECT * FROM series_status WHERE symbol = $1", symbol)
    return {row["timeframe"]: row for row in found}


async def truth(market, symbol="AAPL"):
    found = await market.connection.fetch(
        """SELECT timeframe, count(*) AS n_bars, min(timestamp) AS first_ts, max(timestamp) AS last_ts
           FROM market_data WHERE symbol = $1 GROUP BY timeframe""",
        symbol,
    )
    return {row["timeframe"]: tuple(row)[1:] for row in found}


def stored(found):
    return {tf: (row["n_bars"] - row["n_lost"], row["first_ts"], row["last_ts"]) for tf, row in found.items()}


async def scan(market, timeframe, first=FIRST, past=PAST):
    question = Question(Timeframe(timeframe), day(first), day(past), LATER, Delay())
    found = await find_stretches(market.connection, "XNYS", "America/New_York", ["AAPL"], question)
    scanned = (day(first), day(past))
    await record_gaps(
        market.connection, "AAPL", Timeframe(timeframe), found["AAPL"], scanned, LATER, Seen(None)
    )


async def test_every_answer_moves_it_in_its_own_transaction(market):
    await market.answered("AAPL", "1m", "2025-01-08", PAST)
    assert stored(await rows(market)) == await truth(market)
    await market.answered("AAPL", "1m", FIRST, "2025-01-08")  # older history
    await market.answered("AAPL", "1m", "2025-01-07", "2025-01-10")  # the same again
    await market.answered("AAPL", "1d", *WEEK)

    found = await rows(market)
    assert set(found) == {str(tf) for tf in Timeframe}
    assert stored(found) == await truth(market)
    assert found["5m"]["answered_until"] == new_york("2025-01-11T00:00")
    assert found["1w"]["answered_until"] == new_york("2025-01-12T00:00")
    assert found["1m"]["written_at"] == LATER


async def test_an_unchanged_answer_is_no_new_writing(market):
    await market.answered("AAPL", "1d", FIRST, PAST, at=LATER)
    await market.answered("AAPL", "1d", FIRST, PAST, at=LATER + timedelta(hours=1))
    assert (await rows(market))["1d"]["written_at"] == LATER


async def test_minutes_without_trades_move_what_was_answered_on_their_day_only(market):
    open_, noon, close = (new_york(f"2025-01-08T{t}") for t in ("00:00", "12:00", "16:00"))
    await market.answered("AAPL", "1m", open_, noon)
    await market.answered("AAPL", "1m", noon, close, stamps=[])
    assert (await rows(market))["1m"]["answered_until"] == close
    await market.answered("AAPL", "1m", "2025-01-10", PAST, stamps=[])
    row = (await rows(market))["1m"]
    assert row["answered_until"] == close, "a whole day without a bar proves nothing"
    assert row["empty_until"] == new_york("2025-01-11T00:00")


async def test_a_refusal_stands_until_the_vendor_answers_beyond_it(market):
    await market.refused("AAPL", "1d", FIRST, PAST)
    assert (await rows(market))["1d"]["refused_until"] == new_york("2025-01-11T00:00")
    await market.answered("AAPL", "1d", FIRST, "2025-01-10")
    assert (await rows(market))["1d"]["refused_until"] is not None
    await market.answered("AAPL", "1d", FIRST, PAST)
    assert (await rows(market))["1d"]["refused_until"] is None


@pytest.mark.parametrize("first", ["2025-01-07", "2025-01-10"])
async def test_bars_that_were_deleted_count_no_more_once_a_scan_has_seen_it(market, first):
    await market.answered("AAPL", "1m", FIRST, PAST)
    await market.delete("AAPL", "1m", new_york(f"{first}T00:00"), new_york(f"{first}T23:59"))
    await market.delete("AAPL", "5m", new_york("2025-01-10T09:30"), new_york("2025-01-11T00:00"))
    for timeframe in ("1m", "5m"):
        await scan(market, timeframe)

    found = await rows(market)
    assert stored(found) == await truth(market)
    assert found["1m"]["n_lost"] == 390
    tail_lost = first == "2025-01-10"
    assert (found["1m"]["answered_until"] is None) == tail_lost, "it no longer reaches the end"
    assert found["5m"]["answered_until"] is None

    await market.answered("AAPL", "1m", FIRST, PAST)
    for timeframe in ("1m", "5m"):
        await scan(market, timeframe)
    found = await rows(market)
    assert stored(found) == await truth(market)
    assert {row["n_lost"] for row in found.values()} == {0}
    assert found["1m"]["answered_until"] == new_york("2025-01-11T00:00")


async def test_another_programs_bars_are_seen_by_a_scan(market):
    await market.foreign("AAPL", "1m", await market.minutes("AAPL", FIRST, PAST))
    await scan(market, "1m")
    row = (await rows(market))["1m"]
    assert (row["first_ts"], row["last_ts"]) == (new_york("2025-01-06T09:30"), new_york("2025-01-10T15:59"))
    assert row["answered_until"] is None


async def test_a_database_of_before_the_table_gets_it_from_what_it_holds(market):
    await market.answered("AAPL", "1m", FIRST, PAST)
    await market.answered("AAPL", "1d", *WEEK)
    await market.answered("BTC", "1m", utc("2025-01-06T00:00"), utc("2025-01-07T00:00"), stamps=[])
    await market.refused("KO", "1d", FIRST, PAST)
    await market.foreign("MSFT", "1d", await market.days("MSFT", FIRST, PAST))
    columns = (
        "symbol, timeframe, n_bars, n_lost, first_ts, last_ts, answered_until, empty_until, refused_until"
    )
    query = f"SELECT {columns} FROM series_status WHERE symbol <> 'MSFT' ORDER BY symbol, timeframe"
    kept = await market.connection.fetch(query)

    await market.connection.execute("DELETE FROM series_status")
    schema = (sql.SCHEMA / "008_records.sql").read_text()
    await market.connection.execute(schema[schema.index("INSERT INTO series_status") :].partition(";")[0])

    made = await market.connection.fetch(query)
    derived_of_empty = [row for row in kept if row["symbol"] == "BTC" and row["timeframe"] != "1m"]
    assert [tuple(row) for row in made] == [tuple(row) for row in kept if row not in derived_of_empty]
    foreign = (await rows(market, "MSFT"))["1d"]
    assert (foreign["first_ts"], foreign["last_ts"]) == (
        new_york("2025-01-06T00:00"),
        new_york("2025-01-10T00:00"),
    )
