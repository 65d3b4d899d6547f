"""Gaps by hand: looked for without a request, filled with the fewest, listed from the ledger, shown."""

import asyncio
import re
from datetime import date

import pytest

from lib.store.database import open_url
from lib.store.locks import run_lock
from tests.commands.conftest import ONE_WEEK

SCRIPT = "scripts/backfill_gaps.py"
LOST = ("2025-01-07", "2025-01-09")


@pytest.fixture
def gaps(command, vendor):
    """Runs a command of the script on the test's database and vendor; for the usual week, unless it lists."""

    async def run(verb, *options, **settings):
        dates = () if verb == "list" else ONE_WEEK
        return await command(SCRIPT, verb, *dates, *options, **{"POLYGON_BASE_URL": vendor.url} | settings)

    return run


@pytest.fixture
def delete(fetch):
    """Deletes minutes of AAPL behind the toolkit's back; returns how many bars."""

    async def run(first, last):
        rows = await fetch(
            """DELETE FROM market_data WHERE symbol = 'AAPL' AND timeframe = '1m'
               AND (timestamp AT TIME ZONE 'America/New_York')::date BETWEEN $1 AND $2 RETURNING 1""",
            date.fromisoformat(first),
            date.fromisoformat(last),
        )
        return len(rows)

    return run


async def test_a_gap_is_found_listed_and_filled(master, gaps, delete, fetch, tmp_path):
    assert (await master("AAPL,BTC")).status == 0
    asked = master.vendor.counts.total
    deleted = await delete(*LOST)

    found = await gaps("scan", "--symbols", "AAPL,BTC")
    fast, listed = await asyncio.gather(gaps("scan", "--symbols", "AAPL", "--fast", "--quiet"), gaps("list"))

    assert found.status == 3, found.stderr
    assert "AAPL 1m: 2025-01-07 .. 2025-01-08 (2 sessions)  lost: fewer bars" in found.stderr
    assert re.search(r"^AAPL +◐ \d+% +✓", found.stderr, re.MULTILINE)
    assert f"fill --symbols AAPL {' '.join(ONE_WEEK)}" in " ".join(found.stderr.split())
    assert (fast.status, fast.stderr.splitlines()[1:]) == (0, []), "blind to it"
    assert master.vendor.counts.total == asked, "nothing was sent"
    [row] = await fetch("SELECT symbol, timeframe, gap_start, filled, attempts, run_id FROM backfill_gaps")
    assert tuple(row) == ("AAPL", "1m", date(2025, 1, 7), False, 0, None), "nor did it touch the ledger"

    assert listed.status == 0
    assert listed.stdout.startswith("AAPL 1m: 2025-01-07 .. 2025-01-08 (2 sessions)  lost, found ")
    assert "1 open" in listed.stderr

    page = tmp_path / "page.html"
    filled = await gaps("fill", "--symbols", "AAPL,BTC", "--json", "--output-html", page)
    assert filled.status == 0, filled.stderr
    assert "gaps      1 found, 1 filled, 0 remain" in filled.stderr
    assert master.vendor.counts.total - asked == 1
    audit = filled.result
    assert audit["symbols_processed"]["AAPL"]["1m"]["inserted"] == deleted
    assert audit["completeness"]["AAPL"]["1m"]["symbol"] == "✓"
    [run] = await fetch("SELECT script, status FROM backfill_runs WHERE run_id = $1", audit["run_id"])
    assert tuple(run) == ("backfill_gaps fill", "complete")
    assert "Nothing is missing" in page.read_text()
    assert 'aria-label="BTC, 2025-01-06 … 2025-01-10: 5 complete"' in page.read_text()

    nothing, all_of_them = await asyncio.gather(gaps("list", "--json"), gaps("list", "--all", "--json"))
    assert nothing.result == {"gaps": []}
    [gap] = all_of_them.result["gaps"]
    expected = {"start": "2025-01-07", "end": "2025-01-09", "days": 2, "attempts": 1, "filled": True}
    assert gap | expected | {"run_id": audit["run_id"]} == gap
    assert gap["filled_at"] >= gap["detected_at"]


async def test_what_the_vendor_does_not_give_remains_with_its_cause(master, gaps, tmp_path):
    master.vendor.change(withhold={"AAPL": [date(2025, 1, 8)]})
    page = tmp_path / "page.html"
    first = await master("AAPL", "--output-html", page)
    assert first.status == 3
    assert f"page      {page}" in first.stderr
    asked = master.vendor.counts.total

    finished = await gaps("fill", "--symbols", "AAPL", "--quiet")

    assert finished.status == 3
    assert "2025-01-08  vendor_hole: the vendor has no bars of it" in finished.stderr
    assert "next      the same command again" in finished.stderr
    assert master.vendor.counts.total == asked, "the same question within half an hour says nothing new"
    html = page.read_text()
    assert "6 gaps remain in 1 of 1 symbol<" in html
    assert "hole at the vendor: 1m 5m 15m 30m 1h 4h; complete: 1d 1w" in html
    assert "python scripts/backfill_gaps.py fill --symbols AAPL" in html

    listed, other, later = await asyncio.gather(
        gaps("list", "--symbols", "AAPL", "--timeframes", "1m,1d", "--start", "2025-01-01"),
        gaps("list", "--symbols", "BTC"),
        gaps("list", "--start", "2025-01-09"),
    )
    assert listed.stdout.startswith("AAPL 1m: 2025-01-08  vendor_hole, found ")
    assert other.stdout == later.stdout == ""


async def test_a_scan_needs_no_key_and_says_which_symbol_is_not_tracked(gaps, calendars, vendor):
    unknown, mixed = await asyncio.gather(
        gaps("scan", "--symbols", "NOSUCH", POLYGON_API_KEY=None),
        gaps("scan", "--symbols", "NOSUCH,KO", "--timeframes", "1d", "--json", POLYGON_API_KEY=None),
    )

    assert (unknown.status, mixed.status) == (1, 3)
    assert "NOSUCH not tracked: never backfilled" in unknown.stderr
    assert mixed.result["completeness"] == {
        "KO": {"1d": {"symbol": "✗", "expected_sessions": 4, "complete": 0, "percent": 0.0}}
    }
    assert mixed.result["gaps_detected"]["KO"]["1d"] == [
        {"start": "2025-01-06", "end": "2025-01-11", "days": 4, "state": "missing"}
    ]
    assert vendor.counts.total == 0


async def test_filling_takes_the_run_lock_and_looking_does_not(gaps, calendars, database_url):
    async with open_url(database_url) as database, run_lock(database):
        filling, looking = await asyncio.gather(
            gaps("fill", "--symbols", "KO"), gaps("scan", "--symbols", "KO", "--timeframes", "1d")
        )

    assert (filling.status, looking.status) == (11, 3), filling.stderr + looking.stderr


async def test_a_page_that_cannot_be_written_is_refused_before_anything_is_done(gaps, tmp_path):
    nowhere = await gaps(
        "scan", "--output-html", "nowhere/page.html", DATABASE_URL="postgresql://127.0.0.1:1/x"
    )

    assert nowhere.status == 2
    assert "choose another --output-html" in " ".join(nowhere.stderr.split())
