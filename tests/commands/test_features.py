"""``backfill_features.py`` as cron and people meet it: statuses, messages, audit, what is on which stream."""

import json
import re
import signal
from datetime import UTC, datetime

import pytest

from lib.audit.features import feature_key_docs
from lib.store.database import open_url
from lib.store.locks import run_lock

FEATURES = "backfill_features.py"
NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
async def features(command, tmp_path, fetch):
    """The command on the test's database; ``audit`` reads what it wrote, ``bars`` puts some there."""

    async def run(*options, **settings):
        return await command(FEATURES, "--output", tmp_path / "audit.json", *options, **settings)

    async def bars(symbol, timeframe, step, count):
        await fetch(
            """INSERT INTO market_data
                   (timestamp, fetched_at, open, high, low, close, volume, symbol, timeframe, source)
               SELECT '2020-01-02 05:00Z'::timestamptz + n * $3::text::interval, now(),
                      100, 101, 99, 100 + n % 2, n, $1, $2, 'polygon'
               FROM generate_series(0, $4::int - 1) AS n""",
            symbol,
            timeframe,
            step,
            count,
        )

    run.bars, run.start = bars, command.start
    run.audit = lambda: json.loads((tmp_path / "audit.json").read_text())
    run.path, run.end = tmp_path / "audit.json", command.end
    return run


async def test_0_when_all_is_computed_and_again_when_nothing_is_due(features, fetch):
    await features.bars("AAPL", "1h", "1 hour", 300)
    await features.bars("BTC", "1m", "1 minute", 500)

    finished = await features("--symbols", "AAPL,BTC")
    again = await features("--symbols", "AAPL,BTC")

    assert finished.status == again.status == 0, finished.stderr
    assert finished.stdout == ""
    [rows] = await fetch("SELECT count(*), count(rsi_14) AS rsi FROM market_data_v2")
    assert tuple(rows) == (800, 800 - 2 * 14)
    assert "complete: 2 of 2 symbols done; 800 rows computed, 800 written" in finished.stderr
    assert re.search(r"AAPL +1h +ok +300 +300 +300 +\d", finished.stderr)
    assert "complete: 2 of 2 symbols done; nothing was due" in again.stderr
    assert features.audit()["summary"]["written"] == 0
    runs = await fetch("SELECT script, status, audit FROM backfill_runs ORDER BY started_at")
    assert [run["status"] for run in runs] == ["complete", "complete"]
    assert json.loads(runs[1]["audit"]) == features.audit()


async def test_3_and_the_command_that_helps_when_a_symbol_has_no_bars(features):
    await features.bars("AAPL", "1d", "1 day", 4)

    finished = await features("--symbols", "AAPL,KO,ZZZZ", "--quiet")

    assert finished.status == 3, finished.stderr
    for symbol in ("KO", "ZZZZ"):
        command = f"python scripts/backfill_ohlcv.py --symbols {symbol}"
        assert f"{symbol} no bars of {symbol} are stored (fetch them: {command})" in finished.stderr
    assert "AAPL" not in finished.stderr, "quiet: only what went wrong"
    processed = features.audit()["symbols_processed"]
    assert processed["AAPL"]["1d"]["status"] == "ok"
    assert processed["AAPL"]["1d"]["written"] == 4
    assert processed["AAPL"]["1m"] == processed["AAPL"]["1m"] | {"status": "no_bars", "error": None}
    assert "backfill_ohlcv" in processed["KO"]["1d"]["error"]
    summary = features.audit()["summary"]
    assert summary | {"symbols": 3, "succeeded": 1, "failed": 2} == summary


async def test_1_when_no_symbol_has_bars(features):
    finished = await features("--symbols", "AAPL,SPY", "--timeframes", "1h")

    assert finished.status == 1, finished.stderr
    assert "no 1h bars of AAPL are stored (fetch them: python scripts/backfill_ohlcv.py" in finished.stderr
    assert "--symbols AAPL --timeframes 1h)" in finished.stderr
    assert features.audit()["status"] == "failed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--full", "--verify"), "--full and --verify exclude each other"),
        (("--days", 3, "--start", "2025-01-01"), "--days excludes --start and --end"),
        (("--timeframes", "2m"), "'2m' is not a timeframe"),
    ],
)
async def test_2_for_what_cannot_be_meant_and_the_audit_stays(features, options, message):
    features.path.write_text("{}")

    finished = await features(*options)

    assert finished.status == 2, finished.stderr
    assert message in finished.stderr
    assert features.audit() == {}


async def test_3_when_verification_finds_a_difference(features, fetch):
    await features.bars("AAPL", "1d", "1 day", 30)
    assert (await features("--symbols", "AAPL")).status == 0
    await fetch("UPDATE market_data_v2 SET return_1 = 1 WHERE timestamp = '2020-01-08T05:00Z'")

    found = await features("--symbols", "AAPL", "--verify", "--json")

    assert found.status == 3, found.stderr
    assert "1 series recomputed from scratch, 1 differ" in found.stderr
    assert "AAPL 1d: 1 rows differ, the first of 2020-01-08 05:00 UTC, in return_1" in found.stderr
    assert "python backfill_features.py --full --symbols AAPL --timeframes 1d" in found.stderr
    difference = {"rows": 1, "first": "2020-01-08T05:00:00Z", "columns": ["return_1"]}
    assert found.result["differences"] == {"AAPL": {"1d": difference}}
    assert found.result["symbols_processed"]["AAPL"]["1d"]["status"] == "differs"
    assert found.result == features.audit()
    assert flattened_keys(found.result) == set(feature_key_docs())


async def test_10_when_the_database_cannot_be_reached(features):
    finished = await features("--json", DATABASE_URL=NOBODY)

    assert finished.status == 10, finished.stderr
    assert "no connection to the database postgresql://nobody@127.0.0.1:1/none" in finished.stderr
    assert finished.result["status"] == features.audit()["status"] == "failed"


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_130_and_143_when_interrupted_with_an_audit_of_how_far_it_came(
    features, fetch, feature_gate, sent, status
):
    await features.bars("BTC", "1m", "1 minute", 120_000)
    await feature_gate.stand_before(datetime(2020, 2, 25, tzinfo=UTC))  # the 76,000th of these minutes
    process = await features.start(FEATURES, "--symbols", "BTC,ETH", "--output", features.path)
    await feature_gate.reached()
    process.send_signal(sent)
    finished = await features.end(process)

    assert finished.status == status, finished.stderr
    assert "Traceback" not in finished.stderr
    audit = features.audit()
    assert audit["status"] == "interrupted"
    assert audit["symbols_processed"]["BTC"]["1m"]["status"] == "interrupted"
    [kept] = await fetch("SELECT count(*) FROM market_data_v2")
    assert 0 < audit["summary"]["written"] == kept["count"] < 120_000
    assert [run["status"] for run in await fetch("SELECT status FROM backfill_runs")] == ["interrupted"]


async def test_it_needs_no_key_runs_beside_a_master_and_tells_the_time_of_each_phase(features, database_url):
    await features.bars("AAPL", "1d", "1 day", 30)

    async with open_url(database_url) as database, run_lock(database):
        finished = await features("--symbols", "AAPL", "--json", POLYGON_API_KEY=None)

    assert finished.status == 0, finished.stderr
    timing = finished.result["timing"]
    assert timing["bottleneck"] in ("read", "compute", "write")
    assert timing["wall_seconds"] >= max(timing["read_seconds"], timing["compute_seconds"])


def flattened_keys(audit):
    """The paths of its keys, those that are data in brackets; of the series AAPL 1d only."""
    keys = {
        key.replace(".AAPL.1d", ".<symbol>.<timeframe>")
        for key in flattened(audit)
        if not key.endswith((".AAPL", ".AAPL.1d"))
    }
    return {key for key in keys if ".AAPL." not in key}


def flattened(document, path=""):
    if isinstance(document, dict):
        for name, value in document.items():
            yield f"{path}{name}"
            yield from flattened(value, f"{path}{name}.")
