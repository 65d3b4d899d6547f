"""The demo, as a newcomer meets it: no key, no network, a database of its own, a command that opens it."""

import asyncio
import shlex
import sys
from datetime import date, timedelta

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


async def test_the_demo_fills_a_database_that_the_printed_command_opens(command, tmp_path):
    demo = await command(
        "master_backfill.py",
        *("--demo", "--symbols", "AAPL,BTC", "--start", "2025-01-06", "--end", "2025-01-10"),
        *("--output", "audit.json"),
        DATABASE_URL=NOBODY,
        POLYGON_API_KEY=None,
        POLYGON_BASE_URL="http://127.0.0.1:1",
    )

    assert demo.status == 0, demo.stderr
    assert "warning" not in demo.stderr
    assert f"embedded ({tmp_path}/demo)" in demo.stderr
    assert (tmp_path / "demo" / "postgres").is_dir()
    # What is to be typed next is for the demo's database too, on a line of its own.
    assert "features  python backfill_features.py --demo\n" in demo.stderr
    [line] = [line for line in demo.stderr.splitlines() if line.startswith("query it")]
    query = "SELECT count(DISTINCT timeframe) FROM market_data"
    printed = [*shlex.split(line.removeprefix("query it")), "-At", "-c", query]
    assert printed[0] == sys.executable
    opened, unset = await asyncio.gather(
        command(*printed[1:], DATABASE_URL=NOBODY),
        # The demo's home as the usual one: an embedded server that is there already.
        command(
            "master_backfill.py",
            *("--dry-run", "--quiet", "--symbols", "AAPL", "--days", "1"),
            DATABASE_URL=None,
            BACKFILL_HOME=str(tmp_path / "demo"),
        ),
    )
    assert (opened.status, opened.stdout) == (0, "8\n"), opened.stderr
    assert unset.status == 0, unset.stderr
    assert f"warning: DATABASE_URL is not set: this run uses the embedded database in {tmp_path}/demo" in (
        unset.stderr
    ), "nobody is watching, so it is said even with --quiet"


async def test_what_looks_at_the_demo_looks_at_what_it_has_and_asks_its_own_vendor(command):
    nothing = {"DATABASE_URL": NOBODY, "POLYGON_API_KEY": None, "POLYGON_BASE_URL": "http://127.0.0.1:1"}
    words = (
        "scripts/backfill_gaps.py",
        "scan",
        "--demo",
        "--symbols",
        "AAPL",
        "--timeframes",
        "1d",
        "--json",
    )
    scanned = await command(*words, **nothing)
    year = await command(*words, "--days", "365", **nothing)
    doctor = await command("scripts/backfill_status.py", "doctor", "--demo", "--json", **nothing)

    days = [
        date.fromisoformat(found["end"]) - date.fromisoformat(found["start"])
        for found in (scanned.result["config"], year.result["config"])
    ]
    assert days == [timedelta(days=59), timedelta(days=364)]
    levels = {check["check"]: check["level"] for check in doctor.result["checks"]}
    assert "key" not in levels and levels["plan"] == levels["clock"] == levels["database"] == "ok"
