"""Dropping old bars: no gap, no request, no false contradiction; and having them again."""

from datetime import UTC, date, datetime, timedelta

import pytest

from lib.jobs.prune import drop, find_surplus
from lib.store.database import open_url
from lib.store.gaps import find_gaps_in_timeframe
from lib.store.pruning import Pruning
from lib.store.symbols import read_instruments
from lib.timeframe import Timeframe
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

CUT = date(2025, 3, 12)
RANGE = {"start": "2025-03-03", "end": "2025-03-21"}
LATER = "2025-04-10T12:00"


@pytest.fixture
async def bench(workbench_of, jump_clock):
    clock = jump_clock(LATER)
    async with Emulator(SimulatedMarket(), clock=clock) as emulator:
        yield workbench_of(emulator, clock)


async def cut(bench, timeframes, symbol="AAPL", before=CUT):
    async with open_url(bench.database_url, clock=bench.clock) as database:
        async with database.connection() as connection:
            instruments = await read_instruments(connection, [symbol])
        surplus = await find_surplus(database, bench.clock.now(), instruments, timeframes, before)
        await drop(database, surplus, bench.clock)
        return {str(old.timeframe): old.bars for old in surplus.bars}


async def bars(bench, timeframe, before=None, symbol="AAPL"):
    rows = await bench.fetch(
        "SELECT timestamp, open, high, low, close, volume FROM market_data WHERE symbol = $1 AND timeframe = $2"
        " AND ($3::timestamptz IS NULL OR timestamp < $3) ORDER BY 1",
        symbol,
        timeframe,
        before,
    )
    return [tuple(row) for row in rows]


MIDNIGHT = datetime(2025, 3, 12, 4, tzinfo=UTC)  # of New York, in summer time


async def test_dropped_minutes_are_neither_missed_nor_asked_for_and_longer_frames_stay(bench):
    await bench.run("AAPL", "all", **RANGE, gap_retries=0)
    before = {tf: await bars(bench, tf) for tf in ("1m", "1h", "1d", "1w")}
    old = len(await bars(bench, "1m", MIDNIGHT))

    assert await cut(bench, [Timeframe.M1]) == {"1m": old}

    assert await bars(bench, "1m") == before["1m"][old:]
    for timeframe in ("1h", "1d", "1w"):
        assert await bars(bench, timeframe) == before[timeframe]
    sent = bench.emulator.counts.total
    report = await bench.run("AAPL", "all", **RANGE, gap_retries=2)
    assert (report.status, report.gaps.remaining) == ("complete", 0)
    assert bench.emulator.counts.total == sent
    assert bench.audit["completeness"]["AAPL"]["1m"]["expected_sessions"] == 8
    assert bench.audit["completeness"]["AAPL"]["1h"]["expected_sessions"] == 15
    [status] = await bench.fetch(
        "SELECT n_bars, first_ts FROM series_status WHERE symbol='AAPL' AND timeframe='1m'"
    )
    assert status["n_bars"] == len(before["1m"]) - old
    assert status["first_ts"] >= MIDNIGHT


async def test_a_longer_range_does_not_fetch_what_was_dropped(bench):
    await bench.run("AAPL", "1m", **RANGE, gap_retries=0)
    await cut(bench, [Timeframe.M1])
    sent = bench.emulator.counts.total

    report = await bench.run("AAPL", "1m", start="2025-02-03", end="2025-03-21", gap_retries=1)

    assert (report.status, bench.emulator.counts.total) == ("complete", sent)
    assert await bars(bench, "1m", MIDNIGHT) == []


async def test_a_frame_that_is_kept_still_fetches_what_it_is_made_of(bench):
    await bench.run("AAPL", "1m", **RANGE, gap_retries=0)
    await cut(bench, [Timeframe.M1])

    report = await bench.run("AAPL", "1m,1h", start="2025-02-24", end="2025-03-21", gap_retries=1)

    assert (report.status, report.gaps.remaining) == ("complete", 0)
    first = (await bars(bench, "1h"))[0][0]
    assert first.date() == date(2025, 2, 24)


async def test_frames_fetched_each_for_itself_do_not_contradict_dropped_minutes(bench):
    await bench.run("AAPL", "1m,1h", **RANGE, derive=False, gap_retries=0)
    await cut(bench, [Timeframe.M1])
    sent = bench.emulator.counts.total

    report = await bench.run("AAPL", "1m,1h", **RANGE, derive=False, gap_retries=1)

    assert (report.status, report.gaps.remaining, bench.emulator.counts.total) == ("complete", 0, sent)


async def test_a_gap_of_dropped_bars_closes_and_one_beside_them_does_not(bench):
    await bench.run("AAPL", "1d", **RANGE, gap_retries=0)
    await bench.fetch("DELETE FROM market_data WHERE timestamp BETWEEN '2025-03-10' AND '2025-03-15'")
    await bench.run("AAPL", "1d", **RANGE, gap_retries=0)
    [gap] = await bench.fetch("SELECT gap_start, gap_end, days FROM open_gaps")
    assert tuple(gap) == (date(2025, 3, 10), date(2025, 3, 15), 5)

    await cut(bench, [Timeframe.D1])

    [gap] = await bench.fetch("SELECT gap_start, gap_end, days FROM open_gaps")
    assert tuple(gap) == (CUT, date(2025, 3, 15), 3)
    report = await bench.run("AAPL", "1d", **RANGE, gap_retries=0)
    assert report.gaps.remaining == 1
    await cut(bench, [Timeframe.D1], before=date(2025, 3, 15))
    assert await bench.fetch("SELECT * FROM open_gaps") == []


async def test_dropped_day_bars_do_not_make_minutes_look_unlisted(bench):
    await bench.run("AAPL", "1d", **RANGE, gap_retries=0)
    await cut(bench, [Timeframe.D1])

    report = await bench.run("AAPL", "1m", **RANGE, gap_retries=0)
    await bench.fetch("DELETE FROM fetch_log WHERE timeframe = '1m'")
    await bench.fetch("DELETE FROM market_data WHERE timeframe = '1m'")
    await bench.fetch("DELETE FROM session_audit WHERE timeframe = '1m'")
    bench.emulator.change(key="another")
    report = await bench.run("AAPL", "1m", **RANGE, gap_retries=0)

    assert report.status == "failed"
    async with (
        open_url(bench.database_url, clock=bench.clock) as database,
        database.connection() as connection,
    ):
        found = await find_gaps_in_timeframe(
            connection, "AAPL", "1m", date(2025, 3, 3), date(2025, 3, 22), now=bench.clock.now()
        )
    assert sum(gap["days"] for gap in found) == 15


async def test_what_is_wanted_again_is_fetched_again_to_the_last_digit(bench):
    await bench.run("AAPL", "1m,5m", **RANGE, gap_retries=0)
    before = {tf: await bars(bench, tf) for tf in ("1m", "5m")}
    await cut(bench, [Timeframe.M1, Timeframe.M5])

    async with open_url(bench.database_url, clock=bench.clock) as database:
        async with database.connection() as connection:
            [instrument] = await read_instruments(connection, ["AAPL"])
        lifted = await Pruning(database).lift(instrument, [Timeframe.M1, Timeframe.M5, Timeframe.D1])
    assert lifted == [Timeframe.M1, Timeframe.M5]

    report = await bench.run("AAPL", "1m,5m", **RANGE, gap_retries=1)
    assert (report.status, report.gaps.remaining) == ("complete", 0)
    assert {tf: await bars(bench, tf) for tf in ("1m", "5m")} == before


async def test_split_ledger_rows_merge_and_cover_what_they_did(bench):
    await bench.run("AAPL", "1d", **RANGE, gap_retries=0)
    # As another program, or a version before this rule, may have left it.
    await bench.fetch(
        """WITH whole AS (DELETE FROM fetch_log WHERE outcome = 'data' AND verify_after IS NULL RETURNING *)
           INSERT INTO fetch_log (symbol, timeframe, rng, outcome, n_bars, attempt, fetched_at)
           SELECT symbol, timeframe, tstzrange(at, least(at + interval '1 day', upper(rng))), 'data', 1, 1,
                  fetched_at
           FROM whole, generate_series(lower(rng), upper(rng) - interval '1 second', interval '1 day') AS at"""
    )
    coverage = "SELECT symbol, timeframe, range_agg(rng), sum(n_bars) FROM fetch_log GROUP BY 1, 2"
    before, rows = await bench.fetch(coverage), len(await bench.fetch("SELECT FROM fetch_log"))
    assert rows > 10

    await cut(bench, [], before=None)

    assert await bench.fetch(coverage) == before
    assert len(await bench.fetch("SELECT FROM fetch_log")) == 1


async def test_old_audits_go_and_the_runs_stay(bench):
    await bench.run("AAPL", "1d", **RANGE)
    bench.clock.moment += timedelta(days=100)
    await bench.run("AAPL", "1d", **RANGE)
    async with open_url(bench.database_url, clock=bench.clock) as database:
        surplus = await find_surplus(database, bench.clock.now() - timedelta(days=90))
        assert (surplus.records.audits, surplus.records.results) == (1, 1)
        await drop(database, surplus, bench.clock)

    kept = await bench.fetch(
        "SELECT audit IS NULL, summary IS NOT NULL FROM backfill_runs ORDER BY started_at"
    )
    assert [tuple(row) for row in kept] == [(True, True), (False, True)]
    assert len(await bench.fetch("SELECT FROM run_results")) == 1


async def test_a_week_is_not_made_of_the_days_that_are_kept(bench):
    await bench.run("BTC", "1d,1w", **RANGE, gap_retries=0)
    before = await bars(bench, "1w", symbol="BTC")
    await cut(bench, [Timeframe.D1], "BTC")  # a Wednesday
    await bench.fetch("DELETE FROM market_data WHERE timeframe = '1d' AND timestamp = '2025-03-14 00:00+00'")

    assert (await bench.run("BTC", "1d,1w", **RANGE, gap_retries=2)).exit_status == 0

    assert await bars(bench, "1w", symbol="BTC") == before
