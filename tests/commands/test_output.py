"""Where a command talks: people's text to stderr, the one result to stdout, the key nowhere."""

import asyncio
import json
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from lib.store.binaries import program
from tests.leaks import KEY, holds_a_secret

ROOT = Path(__file__).resolve().parents[2]
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-9]|38;5;[0-9]+)[;m]")


async def test_json_is_the_only_thing_on_stdout_and_is_the_audit(master):
    finished = await master("AAPL", "--json", "--quiet")

    assert finished.status == 0, finished.stderr
    assert finished.result == master.audit
    assert finished.stderr == ""


async def test_a_reader_that_leaves_first_does_not_make_the_run_fail(master):
    process = await master.start("AAPL", "--json")
    process._transport.get_pipe_transport(1).close()  # what `| head -0` does

    _, stderr = await process.communicate()

    assert process.returncode == 0, stderr.decode()
    assert b"Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("script", "streams", "status", "message"),
    [
        (
            "scripts/backfill_status.py cron --json",
            ">/dev/full",
            2,
            "the result cannot be written: No space left",
        ),
        ("scripts/backfill_status.py cron --json", ">&-", 2, "the standard output is closed"),
        ("scripts/backfill_ohlcv.py --json --symbols 'A B'", ">/dev/full", 2, "'A B' is not a symbol"),
        ("master_backfill.py --dry-run --symbols AAPL --log-file /dev/full", "", 0, "/dev/full is not whole"),
    ],
)
async def test_a_full_disk_is_told_once_and_is_no_defect(
    command_environment, tmp_path, script, streams, status, message
):
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} {ROOT}/{script} {streams}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=command_environment,
        cwd=tmp_path,
    )

    _, stderr = await process.communicate()

    assert process.returncode == status, stderr.decode()
    assert stderr.decode().count(message) == 1, stderr.decode()
    assert "Traceback" not in stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&- <&-"])
async def test_a_log_of_cron_that_is_full_or_closed_ends_no_run(
    command_environment, tmp_path, master, streams
):
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} {ROOT}/master_backfill.py --symbols AAPL --start 2025-01-06 --end 2025-01-07"
        f" --output {master.audit_path} {streams}",
        env=command_environment | {"POLYGON_BASE_URL": master.vendor.url},
        cwd=tmp_path,
    )

    assert await process.wait() == 0
    assert master.audit["status"] == "complete"


async def test_a_pipe_gets_plain_lines_and_stdout_stays_empty(master):
    finished = await master("AAPL,SPY")

    assert finished.stdout == ""
    assert ESCAPE not in finished.stderr
    assert "1/2  AAPL" in finished.stderr or "1/2  SPY" in finished.stderr
    assert "━" not in finished.stderr, "no progress bars"
    forced = await master("AAPL", FORCE_COLOR="1")
    assert "━" not in forced.stderr, "colours may be forced, bars that move may not"


async def test_a_terminal_gets_progress_bars_and_no_colour_where_none_is_wanted(master):
    master.vendor.change(latency_seconds=0.4)
    coloured = await _on_a_terminal(master, "AAPL", TERM="xterm-256color")
    plain = await _on_a_terminal(master, "BTC", TERM="xterm-256color", NO_COLOR="1")
    dumb = await _on_a_terminal(master, "SPY", TERM="dumb")

    assert "requests" in coloured
    assert "━" in coloured
    assert "150 free" in coloured
    assert COLOUR.search(coloured)
    assert "━" in plain
    assert not COLOUR.search(plain)
    assert "━" not in dumb


async def test_the_log_file_has_everything_and_grows(master, tmp_path):
    log = tmp_path / "run.log"
    master.vendor.change(faults=[{"kind": "error_html", "first": 1}])
    first = await master("AAPL", "--log-file", log)
    once = log.read_text()
    again = await master("AAPL", "--log-file", log, "--verbose")

    assert (first.status, again.status) == (0, 0), first.stderr + again.stderr
    assert re.search(r"^\S+ INFO +lib\.vendor\.client: trying again in 1\.\d s", once, re.MULTILINE)
    assert re.search(r"^\S+ INFO +run: 1/1  AAPL    ok  [\d,]+ new bars, 2 requests$", once, re.MULTILINE)
    assert once.splitlines()[-1].endswith("ends with status 0")
    assert "trying again" not in first.stderr, "only with --verbose"
    assert log.read_text().startswith(once)


async def test_the_key_is_nowhere(master, database_url, tmp_path):
    """Not on the screen, in the log, in the audit or in any table: after success, after failure."""
    texts = []
    for accepted, symbols in ((KEY, "AAPL,NOSUCH"), ("another", "SPY")):
        master.vendor.change(key=accepted, faults=[{"kind": "error_html", "first": 1}])
        options = ("--verbose", "--json", "--log-file", tmp_path / "log", "--max-attempts", 2)
        finished = await master(symbols, *options, POLYGON_API_KEY=KEY)
        assert finished.status == (0 if accepted == KEY else 12), finished.stderr
        texts += [finished.stdout, finished.stderr, master.audit_path.read_text()]
    texts += [(tmp_path / "log").read_text(), await _dump(database_url)]

    for text in texts:
        assert len(text) > 200
        assert not holds_a_secret(text)
    assert json.loads(texts[0])["status"] == "complete"


async def test_what_is_said_and_the_result_keep_the_secrets_too(master):
    finished = await master("AAPL", "--json", "--output", f"/nowhere/{KEY}/audit.json")

    assert finished.status == 2
    assert "error: there is no folder /nowhere/*** for audit.json" in finished.stderr
    assert finished.result["error"] == "there is no folder /nowhere/*** for audit.json"
    assert finished.result["hint"].startswith("make it (mkdir -p /nowhere/***)")


async def test_what_the_database_holds_is_printed_without_the_secrets(command, fetch):
    """Whoever has written it there."""
    await fetch("UPDATE tracked_symbols SET vendor_ticker = $1 WHERE symbol = 'KO'", KEY)
    listing = ("scripts/backfill_status.py", "symbols", "list", "--symbols", "KO")
    table, document = [await command(*listing, *options) for options in ((), ("--json",))]
    await fetch("UPDATE tracked_symbols SET vendor_ticker = 'KO' WHERE symbol = 'KO'")

    assert [word for word in table.stdout.splitlines()[1].split() if "*" in word] == ["***"]
    assert document.result["symbols"][0]["vendor_ticker"] == "***"


async def test_a_key_in_the_line_of_the_address_is_not_repeated(command):
    finished = await command("scripts/backfill_status.py", "health", POLYGON_BASE_URL=KEY)

    assert "is not a base URL" in finished.stderr + finished.stdout


async def _on_a_terminal(master, symbols, **settings):
    """What the command writes to stderr if that is a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    options = ("--symbols", symbols, "--start", "2025-01-06", "--end", "2025-01-10")
    environment = master.command.environment | {"POLYGON_BASE_URL": master.vendor.url} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "scripts/backfill_ohlcv.py"),
        *options,
        stderr=theirs,
        stdout=asyncio.subprocess.DEVNULL,
        env=environment | {"COLUMNS": "80"},
    )
    os.close(theirs)
    text = await asyncio.to_thread(_read_to_end, ours)
    assert await process.wait() == 0, text
    return text


def _read_to_end(terminal):
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # how Linux says that the other side was closed
        pass
    os.close(terminal)
    return b"".join(parts).decode()


async def _dump(database_url):
    """All rows of all tables as text."""
    process = await asyncio.create_subprocess_exec(
        program("pg_dump"),
        "--data-only",
        "--inserts",
        "--dbname",
        database_url,
        stdout=asyncio.subprocess.PIPE,
    )
    text, _ = await process.communicate()
    return text.decode()
