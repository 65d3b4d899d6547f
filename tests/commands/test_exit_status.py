"""The exit status is a contract with cron: each on the real process, with its message and its audit."""

import asyncio
import signal

import pytest

from lib.store.database import open_url
from lib.store.locks import run_lock

AT_ONCE = ("--max-attempts", 1, "--gap-retries", 0, "--max-outage", 0)  # no waits
MINUTES = "SELECT FROM market_data WHERE timeframe = '1m'"
NOBODY = "postgresql://nobody@127.0.0.1:1/none"


def not_found(ticker):
    return {"kind": "not_found", "path": f"reference/tickers/{ticker}"}


async def test_0_when_all_that_was_asked_for_is_stored(master, fetch):
    finished = await master("AAPL,BTC")

    assert finished.status == 0, finished.stderr
    assert "complete: 2 of 2 symbols done" in finished.stderr
    assert master.audit["status"] == "complete"
    assert master.audit["summary"]["succeeded"] == 2
    [run] = await fetch("SELECT run_id, status, script FROM backfill_runs")
    assert tuple(run) == (master.audit["run_id"], "complete", "master_backfill")
    [stored] = await fetch("SELECT count(*) FROM market_data WHERE timestamp >= '2025-01-06'")
    assert stored["count"] >= master.audit["summary"]["total_records"] > 13_000


async def test_1_when_every_symbol_failed(master):
    finished = await master("AAPL,SPY", *AT_ONCE, POLYGON_BASE_URL="http://127.0.0.1:1")

    assert finished.status == 1, finished.stderr
    assert "AAPL 1m" in finished.stderr
    assert "the connection to the vendor failed" in finished.stderr
    assert "the same command again" in finished.stderr
    assert master.audit["status"] == "failed"
    assert master.audit["summary"]["failed"] == 2


async def test_3_when_a_symbol_is_unknown_or_fails_and_the_others_go_on(master):
    failing = {"kind": "error_json", "path": "ticker/SPY/range"}
    master.vendor.change(faults=[not_found("NOSUCH"), failing])

    finished = await master("NOSUCH,AAPL,SPY", *AT_ONCE, "--quiet")

    assert finished.status == 3, finished.stderr
    assert "NOSUCH the vendor does not know the symbol NOSUCH (check the spelling" in finished.stderr
    assert "SPY 1m" in finished.stderr
    assert "AAPL" not in finished.stderr, "quiet: only what went wrong"
    assert master.audit["status"] == "partial"
    assert master.audit["summary"] | {"symbols": 3, "succeeded": 1, "failed": 2} == master.audit["summary"]
    assert master.audit["symbols_processed"]["AAPL"]["1m"]["status"] == "ok"


async def test_10_when_the_database_cannot_be_reached(master):
    finished = await master("AAPL", "--json", DATABASE_URL=NOBODY)

    assert finished.status == 10, finished.stderr
    assert "error: no connection to the database postgresql://nobody@127.0.0.1:1/none" in finished.stderr
    assert "hint:  check DATABASE_URL" in finished.stderr
    assert master.audit["status"] == "failed"
    assert master.audit["config"]["symbols"] == ["AAPL"], "what was asked for, though nothing of it was begun"
    assert master.audit["summary"] | {"symbols": 1, "succeeded": 0} == master.audit["summary"]
    assert finished.result == master.audit
    assert master.vendor.counts.total == 0


async def test_11_when_another_run_holds_the_lock(master, command, database_url):
    async with open_url(database_url) as database, run_lock(database):
        waiting = await master.start("AAPL", "--json")
        # The core fetch may run beside it, and a dry run takes no lock.
        await asyncio.sleep(1.0)
        planned = await master("AAPL", "--dry-run")
        beside = await command(
            "scripts/backfill_ohlcv.py",
            *("--symbols", "SPY", "--days", 1, "--timeframe", "1d"),
            POLYGON_BASE_URL=master.vendor.url,
        )
        refused = await command.end(waiting)

    assert (planned.status, beside.status) == (0, 0), planned.stderr + beside.stderr
    assert refused.status == 11, refused.stderr
    assert "another run (pid" in refused.stderr
    assert "hint:  wait for it to end" in refused.stderr
    assert refused.result["exit_status"] == 11
    assert not master.audit_path.exists(), "the audit belongs to the run that is working"


async def test_12_when_the_key_is_refused(master, fetch):
    finished = await master("AAPL,SPY", POLYGON_API_KEY="wrong")

    assert finished.status == 12, finished.stderr
    assert "hint:  check POLYGON_API_KEY" in finished.stderr
    assert master.audit["status"] == "failed"
    assert [run["status"] for run in await fetch("SELECT status FROM backfill_runs")] == ["failed"]


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_130_and_143_when_interrupted_with_an_audit_of_how_far_it_came(master, fetch, sent, status):
    master.vendor.change(page_cap=500, latency_seconds=0.2)
    process = await master.start("BTC")
    await _until(lambda: master.vendor.counts.pages >= 3)
    process.send_signal(sent)
    finished = await master.command.end(process)

    assert finished.status == status, finished.stderr
    assert f"{sent.name}: stopping" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert master.audit["status"] == "interrupted"
    assert master.audit["requests"]["pages"] >= 2, "a page is asked for when the one before has come"
    assert [run["status"] for run in await fetch("SELECT status FROM backfill_runs")] == ["interrupted"]


async def test_143_while_the_vendor_is_waited_for(master, fetch):
    """The vendor stays away, so without the signal it would end with 1; what was fetched before is kept."""
    master.vendor.change(page_cap=500, latency_seconds=0.2)
    process = await master.start("BTC,ETH,SOL,XRP,DOGE", "--max-concurrent", "5", "--max-outage", "2")
    while not await fetch(f"{MINUTES} LIMIT 1"):
        assert process.returncode is None
    master.vendor.change(latency_seconds=0, faults=[{"kind": "error_html", "status": 503}])
    said = []
    while not said or b"the vendor is down since" not in said[-1]:
        said.append(await process.stderr.readline())
        assert said[-1], said
    kept = len(await fetch(MINUTES))
    process.terminate()
    finished = await master.command.end(process)

    assert finished.status == 143, finished.stderr
    assert "SIGTERM: stopping" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert master.audit["status"] == "interrupted"
    assert len(await fetch(MINUTES)) >= kept > 0
    [run] = await fetch("SELECT status FROM backfill_runs")
    assert run["status"] == "interrupted"


async def test_143_before_the_database_answered_still_writes_the_audit(master):
    asked = asyncio.Event()

    async def say_nothing(reader, writer):
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        process = await master.start("AAPL", DATABASE_URL=f"postgresql://postgres@127.0.0.1:{port}/none")
        await asyncio.wait_for(asked.wait(), 30)
        process.terminate()
        finished = await master.command.end(process)

    assert finished.status == 143, finished.stderr
    assert master.audit["status"] == "interrupted"


async def _until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  the emulator has no event for it
            await asyncio.sleep(0.005)
