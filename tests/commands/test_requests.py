"""What a run would send, what it may send, and what is left for the next one."""


async def test_a_dry_run_prints_the_plan_sends_nothing_and_writes_nothing(master, fetch):
    finished = await master("AAPL,BTC,X:LTCUSD", "--dry-run", "--json", POLYGON_API_KEY=None)

    assert finished.status == 0, finished.stderr
    assert master.vendor.counts.total == 0
    assert finished.result["requests"] == finished.result["pages"] == 7
    kinds = finished.result["by_kind"]
    requests = {kind: load["requests"] for kind, load in kinds.items() if load["requests"]}
    assert requests == {"minute_windows": 2, "day_windows": 2, "look_ups": 1, "corporate_actions": 2}
    assert sum(load["disk_bytes"] for load in kinds.values()) == finished.result["disk_bytes"] > 0
    assert finished.result["look_ups"] == ["X:LTCUSD"]
    assert finished.result["symbols"]["AAPL"] == {
        "1m": {"requests": 1, "pages": 1},
        "1d": {"requests": 1, "pages": 1},
    }
    assert "7 requests, 7 pages; within a minute at 150 a minute" in finished.stderr
    assert "nothing was sent" in finished.stderr
    assert not master.audit_path.exists()
    [counts] = await fetch("SELECT (SELECT count(*) FROM market_data), (SELECT count(*) FROM backfill_runs)")
    assert tuple(counts) == (0, 0)


async def test_max_requests_stops_with_3_and_the_next_run_completes(master):
    stopped = await master("AAPL,BTC", "--max-requests", 1)

    assert stopped.status == 3, stopped.stderr
    assert master.vendor.counts.total == 1
    assert master.audit["status"] == "partial"
    processed = master.audit["symbols_processed"]
    assert "left" in {series["status"] for symbol in processed.values() for series in symbol.values()}
    assert "the same command again" in stopped.stderr

    again = await master("AAPL,BTC")

    assert again.status == 0, again.stderr
    assert master.vendor.counts.total == 4 + 2, "what was answered is not asked again"
    assert master.audit["status"] == "complete"

    settled = await master("AAPL,BTC", "--max-requests", 0)
    assert settled.status == 0, "nothing is left to ask"
