"""The operator's look into the database, as typed: runs, gaps."""

import re
import socket

import pytest

SCRIPT = "scripts/backfill_status.py"


@pytest.fixture
def status(command):
    async def run(*arguments, **settings):
        return await command(SCRIPT, *arguments, **settings)

    return run


async def test_the_history_says_how_every_script_ended_and_what_it_did(master, status, command, fetch):
    assert (await master("AAPL")).status == 0
    assert (await command("backfill_features.py", "--symbols", "AAPL", "--timeframes", "1d")).status == 0
    refused = await master("AAPL", "--end", "2025-01-17", "--start", "2025-01-13", POLYGON_API_KEY="wrong")
    assert refused.status == 12

    shown, listed = await status("history"), (await status("history", "--json")).result

    assert shown.status == 0, shown.stderr
    last, features, first = listed["runs"]
    assert [run["script"] for run in listed["runs"]] == [
        "master_backfill",
        "backfill_features",
        "master_backfill",
    ]
    assert [(run["status"], run["exit_status"]) for run in listed["runs"]] == [
        ("failed", 12),
        ("complete", 0),
        ("complete", 0),
    ]
    assert first["host"] == socket.gethostname()
    assert first["requests"] == 2
    assert first["bars"] == (await fetch("SELECT count(*) AS n FROM market_data"))[0]["n"]
    assert features["bars"] == (await fetch("SELECT count(*) AS n FROM market_data_v2"))[0]["n"] > 0
    assert first["api_seconds"] > 0 < first["db_seconds"]
    assert "key" in last["error"]
    assert re.search(r"master_backfill +failed +12 ", shown.stdout)
    assert last["error"] in " ".join(shown.stdout.split())
    by_script = {row["script"]: row for row in listed["scripts"]}
    assert by_script["master_backfill"]["failures_in_a_row"] == 1
    assert by_script["master_backfill"]["success_percent"] == 50

    results = await fetch("SELECT * FROM run_results WHERE run_id = $1 ORDER BY timeframe", first["run_id"])
    assert {row["timeframe"] for row in results} == {"1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"}
    assert {(row["status"], row["error"]) for row in results} == {("ok", None)}
    assert sum(row["written"] for row in results) == first["bars"]


async def test_a_run_whose_process_is_gone_has_died(status, fetch):
    await fetch(
        """INSERT INTO backfill_runs (run_id, script, started_at, status, arguments, host, pid)
           VALUES ('a', 'master_backfill', now(), 'running', '{}', $1, 4194303),
                  ('b', 'master_backfill', now(), 'running', '{}', 'elsewhere', 4194303)""",
        socket.gethostname(),
    )
    runs = (await status("history", "--json")).result["runs"]
    assert {run["run_id"]: run["status"] for run in runs} == {"a": "died", "b": "running"}


async def test_gaps_are_listed_the_longest_first_and_once_for_all_timeframes(status, fetch):
    await fetch(
        """INSERT INTO backfill_gaps (symbol, timeframe, gap_start, gap_end, days, state, detected_at)
           VALUES ('AAPL', '1m', '2025-01-06', '2025-01-07', 1, 'lost', '2025-02-01Z'),
                  ('AAPL', '5m', '2025-01-06', '2025-01-07', 1, 'lost', '2025-02-01Z'),
                  ('SPY', '1d', '2025-01-06', '2025-01-18', 9, 'missing', '2025-02-01Z')"""
    )
    shown = await status("gaps", COLUMNS="80")

    assert shown.status == 0, shown.stderr
    rows = [re.split(r"  +", line) for line in shown.stdout.splitlines()]
    assert rows[1][:6] == ["SPY", "1d", "2025-01-06", "2025-01-17", "9", "missing"]
    assert rows[2][:6] == ["AAPL", "1m,5m", "2025-01-06", "2025-01-06", "1", "lost"]
    assert max(map(len, shown.stdout.splitlines())) <= 80
    [only] = (await status("gaps", "--symbols", "SPY", "--json")).result["gaps"]
    assert (only["days"], only["end"]) == (9, "2025-01-18")
