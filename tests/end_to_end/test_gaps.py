"""Gaps from detection to filling, on real minutes and against a vendor that holds things back."""

import random
from datetime import date, timedelta

import pytest

from lib.gaps import GAPS, Sign, State
from lib.jobs.gaps import GapReport, Scope, detect, fill
from lib.jobs.ohlcv import Wanted
from lib.outcome import SymbolOutcome
from lib.plan import DateRange
from lib.timeframe import Timeframe, parse_timeframes
from lib.vendor.emulator.folder import FolderMarket
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

INTRADAY = "1m,5m,15m,30m,1h,4h"
MINUTES = {
    "SPY": ("2011-03-01", "2011-03-31"),
    "JPM": ("2019-02-11", "2019-02-15"),
    "AMZN": ("2019-02-11", "2019-02-15"),
    "UGA": ("2019-02-11", "2019-02-15"),
    "GLD": ("2019-02-11", "2019-02-15"),
    "BTC": ("2018-04-04", "2018-04-06"),
    "ETH": ("2018-04-04", "2018-04-05"),
}
STEPS = {"hour": 3600, "tail": 900, "bar": 0}


class Progress:
    def planned(self, *_): ...
    def page_stored(self, *_): ...
    def window_done(self, *_): ...
    def symbol_done(self, *_): ...


def states(found):
    return {s.state for series in found.values() for stretches in series.values() for s in stretches}


@pytest.fixture
async def real_minutes(workbench_of, shared_data, jump_clock):
    """The workbench after a run over all real minutes, its emulator still running."""
    async with Emulator(FolderMarket(shared_data)) as emulator:
        bench = workbench_of(emulator, jump_clock("2026-11-01T12:00"))
        for symbol, (start, end) in MINUTES.items():
            report = await bench.run(symbol, INTRADAY, start, end, gap_retries=0)
            assert report.exit_status == 0, report.gaps.after
            assert report.gaps.remaining == 0
        yield bench


async def test_no_false_alarm_on_real_sessions_and_every_deletion_found_and_filled(real_minutes):
    bench, chance = real_minutes, random.Random(11)
    original = await bench.tables()
    async with bench.toolkit(rate_limit=0) as toolkit:
        instruments = {i.symbol: i for i in await toolkit.store.instruments(list(MINUTES))}
        for _ in range(300):
            symbol = chance.choice(list(MINUTES))
            deleted = await delete_something(bench, symbol, chance)
            wanted = Wanted(DateRange(*map(date.fromisoformat, MINUTES[symbol])), parse_timeframes(INTRADAY))
            scope = Scope(instruments[symbol], wanted)

            found = await detect(toolkit, [scope])
            gap_days = {
                (timeframe, s.start + timedelta(days=k))
                for timeframe, stretches in found[symbol].items()
                for s in stretches
                if s.state in GAPS
                for k in range((s.end - s.start).days)
            }
            assert {(Timeframe(deleted[0]), day) for day in deleted[1]} <= gap_days

            before, outcome = bench.emulator.counts.total, SymbolOutcome(symbol)
            report = GapReport()
            await fill(
                toolkit, [scope], {symbol: outcome}, report, Progress(), rounds=1, concurrent=1, run_id=None
            )
            assert report.remaining == 0
            assert bench.emulator.counts.total - before <= len(deleted[1])

    assert await bench.tables() == original
    assert [row["filled"] for row in await bench.fetch("SELECT filled FROM backfill_gaps")] == [True] * 300


async def delete_something(bench, symbol, chance):
    """Delete a session, an hour, the last 15 minutes or one bar; the timeframe and the dates touched."""
    timeframe = chance.choice(["1m", "1m", "1m", "5m", "1h", "4h"])
    zone = "UTC" if symbol in ("BTC", "ETH") else "America/New_York"
    what = chance.choice(["session", "hour", "tail", "bar"])
    bar = await bench.fetch(
        """SELECT timestamp, (timestamp AT TIME ZONE $3)::date AS day FROM market_data
           WHERE symbol = $1 AND timeframe = $2 ORDER BY timestamp OFFSET $4 LIMIT 1""",
        symbol,
        timeframe,
        zone,
        chance.randrange(await count(bench, symbol, timeframe)),
    )
    moment, day = bar[0]
    if what == "session":
        condition = "(timestamp AT TIME ZONE $3)::date = $4::date"
    elif what == "tail":
        condition = f"""(timestamp AT TIME ZONE $3)::date = $4::date AND timestamp >= (
            SELECT max(timestamp) FROM market_data WHERE symbol = $1 AND timeframe = $2
            AND (timestamp AT TIME ZONE $3)::date = $4::date) - interval '{STEPS[what]} seconds'"""
    else:
        condition = f"""timestamp >= $5 AND timestamp <= $5 + interval '{STEPS[what]} seconds'
            AND (timestamp AT TIME ZONE $3)::date >= $4::date"""
    arguments = [symbol, timeframe, zone, day, *([moment] if "$5" in condition else [])]
    rows = await bench.fetch(
        f"""DELETE FROM market_data WHERE symbol = $1 AND timeframe = $2 AND {condition}
            RETURNING (timestamp AT TIME ZONE $3)::date AS day""",
        *arguments,
    )
    return timeframe, {row["day"] for row in rows}


async def count(bench, symbol, timeframe):
    rows = await bench.fetch(
        "SELECT count(*) FROM market_data WHERE symbol = $1 AND timeframe = $2", symbol, timeframe
    )
    return rows[0][0]


@pytest.fixture
async def holding_back(workbench_of, jump_clock):
    """A workbench with a simulated vendor whose settings the test changes; both share one clock."""
    clock = jump_clock("2025-06-20T12:00")
    async with Emulator(SimulatedMarket(), clock=clock) as emulator:
        yield workbench_of(emulator, clock)


WEEK = ("2025-06-02", "2025-06-06")
HELD = date(2025, 6, 4)


async def test_a_hole_at_the_vendor_is_a_gap_until_it_is_given(holding_back):
    bench = holding_back
    bench.emulator.change(withhold={"KO": (HELD,)})

    report = await bench.run("KO", "1m,5m,1d", *WEEK, gap_retries=2)

    assert report.exit_status == 3
    assert bench.audit["gaps_detected"]["KO"]["1m"] == [
        {"start": "2025-06-04", "end": "2025-06-05", "days": 1, "state": "vendor_hole"}
    ]
    assert bench.audit["completeness"]["KO"]["1m"]["symbol"] == Sign.PARTIAL
    assert bench.audit["completeness"]["KO"]["1d"]["symbol"] == Sign.COMPLETE
    assert bench.emulator.counts.total == 2, "an empty answer is not asked again in the same run"

    bench.emulator.change(withhold={})
    bench.clock.moment += timedelta(hours=1)
    report = await bench.run("KO", "1m,5m,1d", *WEEK, gap_retries=2)

    assert report.exit_status == 0
    gaps = await bench.fetch("SELECT timeframe, state, filled, filled_at, run_id FROM backfill_gaps")
    assert {row["timeframe"] for row in gaps} == {"1m", "5m"}
    assert all(row["filled"] and row["filled_at"] and row["run_id"] == report.run_id for row in gaps)
    assert bench.audit["completeness"]["KO"]["1m"]["symbol"] == Sign.COMPLETE


async def test_a_hole_confirmed_half_an_hour_later_is_verified_and_asked_again_only_when_it_expires(
    holding_back,
):
    bench = holding_back
    bench.emulator.change(withhold={"KO": (HELD,)})
    assert (await bench.run("KO", "1m,1d", *WEEK, gap_retries=2)).exit_status == 3

    bench.clock.moment += timedelta(minutes=10)
    assert (await bench.run("KO", "1m,1d", *WEEK, gap_retries=2)).exit_status == 3
    assert bench.emulator.counts.total == 2, "too soon to ask"

    bench.clock.moment += timedelta(minutes=31)
    report = await bench.run("KO", "1m,1d", *WEEK, gap_retries=2)
    assert report.exit_status == 0
    assert bench.emulator.counts.total == 3
    assert states(report.gaps.after) == {State.COMPLETE, State.VERIFIED_EMPTY}

    bench.clock.moment += timedelta(days=6)
    assert (await bench.run("KO", "1m,1d", *WEEK, gap_retries=2)).exit_status == 0
    assert bench.emulator.counts.total == 3, "asked before its expiry"

    bench.clock.moment += timedelta(days=2)
    assert (await bench.run("KO", "1m,1d", *WEEK, gap_retries=2)).exit_status == 0
    assert bench.emulator.counts.total == 4, "asked once after its expiry"


async def test_a_session_the_vendor_has_nothing_of_is_asked_once(workbench_of, shared_data, jump_clock):
    # BTC of the files has no day 2014-12-20, and no minutes of 2014 at all.
    async with Emulator(FolderMarket(shared_data)) as emulator:
        bench = workbench_of(emulator, jump_clock("2026-11-01T12:00"))

        report = await bench.run("BTC", "1d", "2014-12-15", "2014-12-25", gap_retries=2)

        assert report.exit_status == 0
        assert State.VERIFIED_EMPTY in states(report.gaps.after)
        assert emulator.counts.total == 1


async def test_what_the_plan_refuses_is_not_entitled_never_empty(holding_back):
    bench = holding_back
    bench.emulator.change(history_days=300)  # the year asked for begins before

    report = await bench.run("KO,BTC", "1m,1d", "2024-03-01", "2025-06-10", gap_retries=2)

    assert report.exit_status == 0
    after = report.gaps.after["KO"][Timeframe.M1]
    assert [s.state for s in after] == [State.NOT_ENTITLED, State.COMPLETE]
    edge = bench.clock.moment.date() - timedelta(days=300)
    assert abs((after[1].start - edge).days) <= 4
    assert bench.emulator.counts.by_status[403] < 32, "the edge is searched for, not every window tried"

    asked = bench.emulator.counts.total
    assert (await bench.run("KO,BTC", "1m,1d", "2024-03-01", "2025-06-10", gap_retries=2)).exit_status == 0
    assert bench.emulator.counts.total == asked


async def test_nothing_entitled_at_all_ends_with_12(holding_back):
    bench = holding_back
    bench.emulator.change(refused_markets=["stocks"])

    report = await bench.run("KO,IBM", "1m,1d", *WEEK, gap_retries=2)

    assert report.exit_status == 12
    assert {cell["symbol"] for row in bench.audit["completeness"].values() for cell in row.values()} == {"⊘"}
    assert (await bench.run("KO,IBM", "1m,1d", *WEEK, gap_retries=2)).exit_status == 12


async def test_a_failed_request_is_made_good_by_a_later_round_and_shown_complete(holding_back):
    bench = holding_back
    bench.emulator.change(faults=[{"kind": "error_json", "path": "/minute/", "first": 2}])

    report = await bench.run("KO", "1m,5m,1d", *WEEK, gap_retries=2, max_attempts=1)

    assert report.exit_status == 0
    assert bench.audit["gaps_detected"]["KO"]["1m"][0]["state"] == "missing"
    assert bench.audit["retry_results"]["KO"]["1m"] == [
        {"start": "2025-06-02", "end": "2025-06-07", "attempts": 2, "filled": True, "reason": None}
    ]
    assert bench.audit["completeness"]["KO"]["1m"]["symbol"] == "✓"
    assert bench.audit["summary"]["gaps_remaining"] == 0
    assert [seconds for seconds in bench.clock.slept if seconds] == [2.0, 4.0]


async def test_today_is_pending_not_missing(holding_back):
    bench = holding_back  # Friday 2025-06-20, 08:00 in New York

    report = await bench.run("KO,BTC", "1m,1d,1w", days=3, gap_retries=2)

    assert report.exit_status == 0
    assert report.gaps.after["KO"][Timeframe.D1][-1].state is State.PENDING
    assert report.gaps.after["KO"][Timeframe.W1][-1].state is State.PENDING


async def test_recheck_asks_for_empty_and_refused_ranges_before_their_expiry(holding_back):
    bench = holding_back
    bench.emulator.change(withhold={"KO": (HELD,)}, refused_markets=["crypto"])
    await bench.run("KO,BTC", "1m", *WEEK, gap_retries=2)
    bench.emulator.change(withhold={}, refused_markets=[])
    bench.clock.moment += timedelta(minutes=5)
    asked = bench.emulator.counts.total

    await bench.run("KO,BTC", "1m", *WEEK, gap_retries=2)
    assert bench.emulator.counts.total == asked

    report = await bench.run("KO,BTC", "1m", *WEEK, gap_retries=2, recheck=True)
    assert states(report.gaps.after) == {State.COMPLETE}


async def test_a_host_clock_ahead_of_the_vendors_settles_nothing_early(workbench_of, jump_clock):
    """Friday's session ends at 00:00Z; the host says 01:00Z, the vendor 23:00Z."""
    host, vendor = jump_clock("2025-06-21T01:00"), jump_clock("2025-06-20T23:00")
    async with Emulator(SimulatedMarket(), clock=vendor) as emulator:
        bench = workbench_of(emulator, host)

        report = await bench.run("KO", "1m", "2025-06-18", "2025-06-20", gap_retries=2)

        assert report.exit_status == 0
        assert report.gaps.after["KO"][Timeframe.M1][-1].state is State.PENDING
        newest = await bench.fetch("SELECT max(timestamp) FROM market_data")
        assert newest[0][0] < vendor.moment - timedelta(minutes=30)


@pytest.mark.parametrize(
    ("timeframes", "deleted"),
    [
        ("1d,1w", "timeframe = '1d'"),
        ("1d,1w", "true"),
        ("1w", "timeframe = '1w' OR timeframe = '1d' AND timestamp::date = '2025-06-04'"),
        ("1h", "timeframe = '1h' OR timeframe = '1m' AND extract(hour FROM timestamp) = 15"),
    ],
)
async def test_no_longer_bar_is_made_of_what_is_left_of_deleted_ones(holding_back, timeframes, deleted):
    """Of the week of BTC, Sunday and Saturday lie outside the dates asked for; minutes are not wanted with 1h."""
    bench = holding_back
    await bench.run("BTC", timeframes, *WEEK, gap_retries=2)
    longer = timeframes.split(",")[-1]
    query = (
        "SELECT timestamp, open, high, low, close, volume FROM market_data WHERE timeframe = $1 ORDER BY 1"
    )
    original = await bench.fetch(query, longer)
    assert original

    await bench.fetch(f"DELETE FROM market_data WHERE {deleted}")
    report = await bench.run("BTC", timeframes, *WEEK, gap_retries=2)

    assert report.exit_status == 0
    assert await bench.fetch(query, longer) == original
