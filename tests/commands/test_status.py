"""The operator's look into the database, as typed: runs, gaps."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import sys
import termios
from collections import Counter
from datetime import UTC, datetime

import pytest
import typer

from lib.clock import ScaledClock
from lib.commands.monitor import UNKNOWN
from lib.commands.running import Output, run
from lib.health import judge
from lib.jobs.metrics import read_metrics
from lib.jobs.status import matrix_of, read_facts, stored_series
from lib.store.database import open_url
from lib.store.records import Records
from tests.conftest import ROOT

CLEAR = "\x1b[2J"
SCRIPT = "scripts/backfill_status.py"


@pytest.fixture
def status(command):
    async def run(*arguments, **settings):
        return await command(SCRIPT, *arguments, **settings)

    return run


async def test_the_history_says_how_every_script_ended_and_what_it_did(master, status, command, fetch):
    assert (await master("AAPL")).status == 0
    asked = master.vendor.counts.total
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
    assert first["requests"] == asked
    assert first["bars"] == (await fetch("SELECT count(*) AS n FROM market_data"))[0]["n"]
    assert features["bars"] == (await fetch("SELECT count(*) AS n FROM market_data_v2"))[0]["n"] > 0
    assert first["api_seconds"] > 0 < first["db_seconds"]
    assert "key" in last["error"]
    assert re.search(r"master_backfill +failed +12 ", shown.stdout)
    assert last["error"] in " ".join(shown.stdout.split())
    by_script = {row["script"]: row for row in listed["scripts"]}
    assert by_script["master_backfill"]["failures_in_a_row"] == 1
    assert by_script["master_backfill"]["success_percent"] == 50

    results = await fetch(
        "SELECT * FROM run_results WHERE run_id = $1 AND symbol = $2", first["run_id"], "AAPL"
    )
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


async def only(fetch, *symbols):
    await fetch("UPDATE tracked_symbols SET active = symbol = ANY($1::text[])", list(symbols))


async def test_health_ends_as_a_monitor_reads_it(master, status, fetch, database_url):
    await only(fetch, "AAPL")
    never = await status("health")
    assert (never.status, never.stdout.splitlines()[0].split(":")[0]) == (1, "WARNING")
    assert "no backfill has ended yet" in never.stdout

    assert (await master("AAPL")).status == 0  # a week of January 2025: old by now
    old = await status("health", "--json")
    assert (old.status, old.result["status"], old.result["exit_status"]) == (2, "critical", 2)
    assert [reason["condition"] for reason in old.result["reasons"]] == ["age"]
    await fetch("UPDATE tracked_symbols SET listed_until = '2025-01-10' WHERE symbol = 'AAPL'")
    fine = await status("health")
    assert (fine.status, fine.stdout) == (0, "OK: all series fresh enough, no gap, the last runs complete\n")

    unreachable = await status("health", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert unreachable.status == 3
    assert unreachable.stdout.startswith("UNKNOWN: no connection to the database")
    assert (await status("health", "--plan", "golden")).status == 3


async def test_freshness_fills_what_lacks_by_the_job_itself(status, vendor, fetch, calendars):
    await only(fetch, "AAPL", "BTC")
    before = (await status("freshness", "--json")).result
    assert before["counts"] == {"missing": 16}

    days = ("--timeframes", "1d,1w")
    filled = await status("freshness", *days, "--fill", POLYGON_BASE_URL=vendor.url)

    assert filled.status == 0, filled.stderr
    after = await status("freshness", *days, "--json")
    assert {one["freshness"] for one in after.result["series"]} == {"fresh"}
    [run] = await fetch("SELECT script, status, arguments FROM backfill_runs")
    assert (run["script"], run["status"]) == ("backfill_status freshness", "complete")
    asked = vendor.counts.total
    again = await status("freshness", *days, "--fill", POLYGON_BASE_URL=vendor.url)
    assert (again.status, vendor.counts.total) == (0, asked)
    assert "nothing that is due lacks" in again.stderr


async def test_the_tables_fit_and_show_the_worst_of_many_symbols_first(status, fetch, calendars):
    await only(fetch)
    await fetch(
        """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar)
           SELECT 'S' || n, 'stock', 'S' || n, 'XNYS' FROM generate_series(100, 250) AS n"""
    )
    await fetch(
        """INSERT INTO series_status (symbol, timeframe, n_bars, first_ts, last_ts, failures, error)
           SELECT symbol, tf, 1000000, now() - interval '1 year', now(), (symbol = 'S200')::int,
                  CASE WHEN symbol = 'S200' THEN 'the service failed (500)' END
           FROM tracked_symbols, unnest(timeframes) AS tf WHERE active AND symbol <> 'S222'"""
    )
    for columns in ("80", "120"):
        shown = await status("freshness", COLUMNS=columns)
        lines = shown.stdout.splitlines()
        assert lines[1].split()[:2] == ["S222", "missing"]
        assert "… and 111 more" in shown.stdout
        assert re.search(r"^S200 1m,5m,.*failed 1× in a row: the service failed", shown.stdout, re.MULTILINE)
        assert "1200 fresh, 8 missing" in shown.stdout
        assert max(map(len, lines[:41])) <= int(columns)
        for command in (("matrix", "--worst-first"), ("symbols", "list")):
            rows = (await status(*command, COLUMNS=columns)).stdout.splitlines()
            assert len(rows) > 150
            assert max(map(len, rows[:150])) <= int(columns)


async def test_the_matrix_is_that_of_the_scan(master, status, command, fetch):
    await only(fetch, "AAPL")
    await master("AAPL")
    await fetch("UPDATE tracked_symbols SET listed_until = '2025-01-10' WHERE symbol = 'AAPL'")
    await fetch(
        """DELETE FROM market_data
           WHERE timeframe = '5m' AND timestamp BETWEEN '2025-01-07 15:00Z' AND '2025-01-07 16:00Z'"""
    )
    await command("scripts/backfill_gaps.py", "scan", "--start", "2025-01-05", "--end", "2025-01-11")

    matrix = (await status("matrix", "--json")).result["matrix"]["AAPL"]
    # Thursday the ninth was a day of mourning.
    assert matrix["5m"] == {"symbol": "◐", "expected_sessions": 4, "complete": 3, "percent": 75.0}
    assert {tf: cell["symbol"] for tf, cell in matrix.items() if tf != "5m"} == dict.fromkeys(
        ("1m", "15m", "30m", "1h", "4h", "1d", "1w"), "✓"
    )


async def test_symbols_are_added_paused_resumed_and_removed(status, vendor, fetch):
    async def known(symbol):
        rows = await fetch("SELECT vendor_ticker, active FROM tracked_symbols WHERE symbol = $1", symbol)
        return [tuple(row) for row in rows]

    added = await status("symbols", "add", "LTC", "--vendor-ticker", "X:LTCUSD", POLYGON_BASE_URL=vendor.url)
    assert added.status == 0, added.stderr
    assert "LTC is also a" in " ".join(added.stderr.split()), "the vendor of the tests knows every name"
    assert await known("LTC") == [("X:LTCUSD", True)]
    asked = vendor.counts.total
    offline = {"POLYGON_API_KEY": None}
    assert (await status("symbols", "add", "F", "--asset-class", "stock", **offline)).status == 0
    assert vendor.counts.total == asked
    for wrong in (["F"], ["LTC", "--asset-class", "bond"], ["ADA", "--asset-class", "crypto"], ["a b"]):
        assert (await status("symbols", "add", *wrong, **offline)).status == 2, wrong

    assert (await status("symbols", "pause", "LTC,F")).status == 0
    assert await known("F") == [("F", False)]
    listed = (await status("symbols", "list", "--symbols", "LTC", "--json")).result["symbols"]
    assert [(one["symbol"], one["active"], one["records"]) for one in listed] == [("LTC", False, 0)]
    assert (await status("symbols", "resume", "LTC")).status == 0
    assert await known("LTC") == [("X:LTCUSD", True)]
    refused = await status("symbols", "remove", "LTC,NOBODY")
    assert (refused.status, await known("LTC")) == (2, [("X:LTCUSD", True)]), "all or none"
    assert (await status("symbols", "remove", "LTC")).status == 0
    assert await known("LTC") == []


@pytest.mark.parametrize("command_name", ["health", "alert"])
async def test_what_cannot_be_asked_is_unknown_to_a_monitor_not_critical(status, command_name, tmp_path):
    (tmp_path / "wrong.toml").write_text("gap = [")
    for wrong in (["--nope"], ["--log-file"], ["--log-file", tmp_path / "none" / "log"]):
        assert (await status(command_name, *wrong)).status == 3, wrong
    for settings in ({"DATABASE_URL": "nonsense"}, {"ALERT_RULES": str(tmp_path / "wrong.toml")}):
        assert (await status(command_name, **settings)).status == 3, settings
    assert (await status("health", "--watch", "soon")).status == 3
    assert (await status(command_name, "--help")).status == 0
    assert (await status("freshness", "--nope")).status == 2, "no monitor reads it"


def test_a_defect_is_unknown_to_a_monitor(capsys):
    async def broken():
        raise ZeroDivisionError

    with pytest.raises(typer.Exit) as ended:
        run(broken, Output(as_json=True), failed=UNKNOWN)

    assert ended.value.exit_code == UNKNOWN
    assert json.loads(capsys.readouterr().out)["exit_status"] == UNKNOWN


class Screen:
    """A terminal of 80 columns that a command runs in: what it has been sent so far."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (24, 80))
        self.text = ""

    async def until(self, condition) -> None:
        """Read on until *condition* holds of the text."""
        async with asyncio.timeout(60):
            while not condition(self.text):
                await self._more()

    async def _more(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._ours, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._ours)
        self.text += os.read(self._ours, 65536).decode()

    def close(self) -> None:
        os.close(self._ours)
        os.close(self.theirs)


async def test_watch_paints_anew_until_interrupted_and_leaves_the_terminal_as_it_was(command, fetch):
    await only(fetch, "AAPL")
    screen = Screen()
    before = termios.tcgetattr(screen.theirs)
    environment = {n: v for n, v in command.environment.items() if v is not None and n != "NO_COLOR"}
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / SCRIPT, "health", "--watch", "1"),
        env=environment | {"TERM": "xterm"},
        stdin=screen.theirs,
        stdout=screen.theirs,
        stderr=screen.theirs,
    )
    try:
        await screen.until(lambda text: "no backfill has ended yet" in text)
        await fetch(
            """INSERT INTO backfill_runs (run_id, script, started_at, finished_at, status, arguments, error)
               VALUES ('a', 'master_backfill', now(), now(), 'failed', '{}', 'the key was refused')"""
        )
        await screen.until(lambda text: "the key was refused" in text)
        paints = screen.text.count(CLEAR)
        await screen.until(lambda text: text.count(CLEAR) > paints)
        watching.send_signal(signal.SIGINT)
        await asyncio.wait_for(watching.wait(), 60)
        await screen.until(lambda text: "SIGINT: stopping" in text)

        assert watching.returncode == 130
        assert "Traceback" not in screen.text
        assert "no backfill has ended yet" not in screen.text.rpartition(CLEAR)[2]
        assert termios.tcgetattr(screen.theirs) == before
        assert "\x1b[?" not in screen.text, "neither the cursor hidden nor another screen"
        assert screen.text.endswith("\n")
    finally:
        if watching.returncode is None:
            watching.kill()
            await watching.wait()
        screen.close()


async def test_watch_into_a_pipe_is_one_answer_after_the_other(command, fetch):
    await only(fetch)
    watching = await command.start(SCRIPT, "freshness", "--watch", "1", "--json")
    try:
        for _ in range(2):
            document = b""
            async with asyncio.timeout(60):
                while not document.endswith(b"\n}\n"):
                    document += await watching.stdout.readline()
            assert json.loads(document) == {"series": [], "counts": {}}
    finally:
        watching.send_signal(signal.SIGTERM)
        ended = await command.end(watching)
    assert ended.status == 143, ended.stderr


PAUSED = "UPDATE tracked_symbols SET active = false"
BTC = """UPDATE tracked_symbols SET active = symbol = 'BTC';
         INSERT INTO series_status (symbol, timeframe, n_bars, first_ts, last_ts)
         VALUES ('BTC', '1m', 5, '2025-01-06Z', '2025-01-07Z')"""
FUTURE = """UPDATE tracked_symbols SET active = symbol = 'AAPL';
            INSERT INTO series_status (symbol, timeframe, n_bars, first_ts, last_ts)
            VALUES ('AAPL', '1m', 5, '2026-01-06Z', '2026-01-07Z')"""
GAP_OF_A_PAUSED_ONE = f"""{PAUSED};
    INSERT INTO backfill_gaps (symbol, timeframe, gap_start, gap_end, days, state, detected_at)
    VALUES ('AAPL', '1m', '2025-01-06', '2025-01-18', 9, 'missing', '2025-02-01Z')"""


@pytest.mark.parametrize(
    ("situation", "freshness", "conditions"),
    [
        pytest.param(PAUSED, {}, {"never_run"}, id="no symbol"),
        pytest.param("DELETE FROM tracked_symbols", {}, {"never_run"}, id="no symbol at all"),
        pytest.param(BTC, {"older": 1, "missing": 7}, {"never_run", "age", "missing"}, id="coins only"),
        pytest.param(
            FUTURE, {"fresh": 1, "missing": 7}, {"never_run", "missing"}, id="a clock before the bars"
        ),
        pytest.param(GAP_OF_A_PAUSED_ONE, {}, {"never_run"}, id="a gap of a paused symbol"),
    ],
)
async def test_odd_situations_are_answered(database_url, fetch, calendars, situation, freshness, conditions):
    for statement in situation.split(";"):
        await fetch(statement)
    clock = ScaledClock(datetime(2025, 2, 3, 12, tzinfo=UTC))
    async with open_url(database_url, clock=clock) as database:
        series = await stored_series(database, clock)
        facts = await read_facts(Records(database), series, clock.now())
        metrics = await read_metrics(database, clock)

    assert Counter(one.freshness for one in series) == freshness
    assert {reason.condition for reason in judge(facts).reasons} == conditions
    assert sum(map(len, matrix_of(series).values())) == len(series)
    assert "market_backfill_updated_timestamp_seconds" in metrics
