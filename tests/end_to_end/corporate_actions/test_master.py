"""Splits and dividends as a stage of the master: after the bars, once a day, never at their cost."""

from datetime import date, timedelta

import pytest

from lib.jobs.actions import plan_actions
from lib.jobs.report import Request
from lib.jobs.run import plan
from lib.timeframe import Timeframe
from lib.vendor.emulator.market import Dividend, MemoryMarket, Split
from tests.end_to_end.corporate_actions.asking import flat, split_row

DAY = date(2025, 2, 24)
SPAN = ("2025-01-02", "2025-02-28")


@pytest.fixture
async def desk(at_noon):
    """KO has split, IBM pays; the bars of both are as they were traded."""
    bars = {"KO": flat(jumps=[(DAY, 2)]), "IBM": flat()}
    events = {"split_list": [Split("KO", DAY, 1, 2)], "dividend_list": [Dividend("IBM", DAY, 0.5)]}
    async with at_noon(MemoryMarket(day_bars=bars, **events)) as desk:
        yield desk


async def master(desk, symbols="KO,IBM", **terms):
    return await desk.bench.run(symbols, "1d,1w", *SPAN, gap_retries=0, actions=True, **terms)


def asked(desk):
    kinds = desk.emulator.counts.by_kind
    return {name: count for name, count in kinds.items() if name in ("splits", "dividends")}


async def planned(desk):
    async with desk.bench.toolkit() as toolkit:
        return await plan_actions(toolkit, await toolkit.store.instruments(["KO", "IBM", "BTC"]))


async def test_the_first_run_of_a_day_asks_and_the_others_do_not(desk):
    assert await planned(desk) == 2

    report = await master(desk)

    assert report.exit_status == 0
    found = desk.bench.audit["corporate_actions"]
    assert (found["splits"]["new"], found["dividends"]["new"]) == (1, 1)
    assert (found["suspect"], found["jumps"], found["features_stale"]) == ([], [], ["KO"])
    assert asked(desk) == {"splits": 1, "dividends": 1}
    assert set(await desk.closes("KO")) == {50.0}

    assert await planned(desk) == 0
    before = desk.emulator.counts.total
    desk.clock.moment += timedelta(hours=11)  # 23:00 in New York
    assert (await master(desk)).exit_status == 0
    assert desk.emulator.counts.total == before
    assert desk.bench.audit["corporate_actions"]["splits"] == found["splits"] | {"requests": 0, "new": 0}
    assert desk.bench.audit["corporate_actions"]["features_stale"] == []

    desk.clock.moment += timedelta(hours=2)
    assert await planned(desk) == 2
    assert (await master(desk)).exit_status == 0
    assert asked(desk) == {"splits": 2, "dividends": 2}


async def test_a_symbol_to_be_looked_up_is_planned_as_one_never_asked_about(desk):
    await master(desk)
    async with desk.bench.toolkit() as toolkit:
        request = Request((Timeframe.D1,), 5, None, None)
        for names, expected in ((["KO"], 0), (["KO", "WMT2"], 2), (["X:LTCUSD"], 0)):
            assert (await plan(toolkit, names, request, actions=True)).actions == expected


async def test_coins_alone_ask_nothing(desk):
    await master(desk, "BTC")

    assert asked(desk) == {}
    assert desk.bench.audit["corporate_actions"]["splits"]["status"] == "ok"


async def test_a_failure_leaves_the_bars_and_is_told_by_the_status(desk):
    desk.emulator.change(faults=[{"kind": "error_json", "path": "/splits"}])

    report = await master(desk, max_attempts=2)

    assert (report.exit_status, report.status) == (3, "partial")
    found = desk.bench.audit
    assert found["symbols_processed"]["KO"]["1d"]["status"] == "ok"
    assert found["summary"]["succeeded"] == 2 and found["summary"]["gaps_remaining"] == 0
    assert found["corporate_actions"]["splits"]["status"] == "failed"
    assert found["corporate_actions"]["dividends"]["new"] == 1

    desk.emulator.change(faults=[])
    report = await master(desk)

    assert report.exit_status == 0
    assert desk.bench.audit["corporate_actions"]["splits"]["new"] == 1, "what failed is asked again"
    assert desk.bench.audit["corporate_actions"]["dividends"]["requests"] == 0


async def test_a_key_without_the_events_is_complete_without_them(desk):
    desk.emulator.change(faults=[{"kind": "not_entitled", "path": "/stocks/v1/"}])

    report = await master(desk)

    assert report.exit_status == 0
    assert desk.bench.audit["corporate_actions"]["splits"]["status"] == "not_entitled"


async def test_max_requests_counts_them_and_leaves_the_rest(desk):
    report = await master(desk, max_requests=3)

    assert report.exit_status == 3
    found = desk.bench.audit["corporate_actions"]
    assert (found["splits"]["status"], found["dividends"]["status"]) == ("ok", "left")
    assert desk.bench.audit["requests"]["total"] == desk.emulator.counts.total == 3

    report = await master(desk, max_requests=1)
    assert report.exit_status == 0
    assert desk.bench.audit["corporate_actions"]["dividends"]["new"] == 1


async def test_an_event_that_cannot_be_used_is_told_and_changes_no_status(listing):
    listing.vendor.splits = [split_row("E1", old=0)]
    report = await listing.bench.run("KO", "1d", "2025-01-02", "2025-03-01", gap_retries=0, actions=True)

    assert report.exit_status == 0
    assert listing.bench.audit["corporate_actions"]["splits"]["refused"] == ["E1: its split_from is 0"]
    assert "splits: refused E1: its split_from is 0" in report.actions.findings()
