"""The audit: exactly the documented keys, no secret, strict JSON, whole on the disk or not at all."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lib.actions import Split
from lib.adjustment import Verdict
from lib.audit import (
    Config,
    RunFacts,
    age_row,
    build_audit,
    check_output_path,
    key_docs,
    requests,
    rfc3339,
    timing,
    write_audit,
    write_file,
)
from lib.audit.actions import CorporateActions
from lib.bars import RefusedBar
from lib.clock import to_ms
from lib.errors import UsageError
from lib.estimate import Purpose
from lib.jobs.action_outcome import ActionsOutcome
from lib.outcome import RunStatus, SeriesOutcome, SeriesStatus, SymbolOutcome
from lib.redaction import Redaction
from lib.settings import Secret
from lib.store.actions import Judged, Jump
from lib.timeframe import Timeframe

NOW = datetime(2025, 11, 14, 15, 30, tzinfo=UTC)
REDACTION = Redaction([Secret('pk_9f+8/"secret"==')])
NO_SECRETS = Redaction()

ACTION_KIND = "status error requests new changed missing withdrawn back duplicates refused ignored"

# DESIGN §5, the database in use (§3), what was learnt of splits and dividends, and how old each series is.
DESIGNED = {
    "": "schema_version run_id timestamp status config symbols_processed gaps_detected retry_results "
    "completeness corporate_actions freshness timing requests plan summary",
    "config": "symbols timeframes start end max_concurrent pacing database",
    "symbols_processed.<symbol>.<timeframe>": "status bars inserted updated requests "
    "first last seconds error",
    "gaps_detected.<symbol>.<timeframe>[]": "start end days state",
    "retry_results.<symbol>.<timeframe>[]": "start end attempts filled reason",
    "completeness.<symbol>.<timeframe>": "symbol expected_sessions complete percent",
    "freshness.<symbol>.<timeframe>": "freshness age_hours last error",
    "corporate_actions": "splits dividends suspect jumps unusable_dividends features_stale",
    "corporate_actions.splits": ACTION_KIND,
    "corporate_actions.dividends": ACTION_KIND,
    "corporate_actions.suspect[]": "symbol date ratio observed applied reason new",
    "corporate_actions.jumps[]": "symbol date observed looks_like new",
    "timing": "wall_seconds api_seconds db_seconds compute_seconds bottleneck",
    "requests": "total pages retries rate_limited rate_limited_percent failed shared_with learnt_limit",
    "plan.<purpose>": "planned_requests planned_pages sent_requests received_pages",
    "summary": "symbols succeeded failed total_records gaps_found gaps_filled gaps_remaining",
}


def config() -> Config:
    return {
        "symbols": ["AAPL", "FOO"],
        "timeframes": ["1m", "1d"],
        "start": "2025-01-02",
        "end": "2025-01-31",
        "max_concurrent": 3,
        "pacing": "adaptive",
        "database": "postgresql://user@host/bars",
    }


def series(timeframe: Timeframe = Timeframe.M1, **facts: object) -> SeriesOutcome:
    return SeriesOutcome("AAPL", timeframe, **{"status": SeriesStatus.OK, **facts})  # type: ignore[arg-type]


def facts(*outcomes: SymbolOutcome, **more: object) -> RunFacts:
    return RunFacts(
        run_id="r1",
        status=RunStatus.PARTIAL,
        config=config(),
        outcomes=outcomes,
        timing=timing(10.0, 7.0004, 2.0, 1.0),
        requests=requests(total=8, pages=6, retries=1, rate_limited=1, failed=0),
        **more,  # type: ignore[arg-type]
    )


def full_facts() -> RunFacts:
    return facts(
        SymbolOutcome(
            "AAPL",
            [series(bars=9720, inserted=9720, requests=1, first=NOW, last=NOW, seconds=1.23456)],
            ended=True,
        ),
        gaps_detected={
            "AAPL": {"1m": [{"start": "2025-01-06", "end": "2025-01-11", "days": 4, "state": "missing"}]}
        },
        retry_results={
            "AAPL": {
                "1m": [
                    {
                        "start": "2025-01-06",
                        "end": "2025-01-11",
                        "attempts": 1,
                        "filled": True,
                        "reason": None,
                    }
                ]
            }
        },
        completeness={
            "AAPL": {"1m": {"symbol": "✓", "expected_sessions": 20, "complete": 20, "percent": 100.0}}
        },
        corporate_actions=full_actions(),
        plan={
            Purpose.MINUTES: {
                "planned_requests": 1,
                "planned_pages": 1,
                "sent_requests": 1,
                "received_pages": 2,
            }
        },
        freshness={"AAPL": {"1m": age_row("stale", timedelta(hours=6.5), NOW, "HTTP 500")}},
    )


def full_actions() -> CorporateActions:
    split = Split("E1", "AAPL", NOW.date(), Decimal(1), Decimal(2))
    suspect = Judged(split, Verdict("suspect", False, 1.0, "no jump"), applied=False, new=True)
    jump = Jump("AAPL", NOW.date(), 2.0, "2:1", new=True)
    return ActionsOutcome(suspects=[suspect], jumps=[jump]).document()


def paths_of(value: object, path: str = "") -> set[str]:
    """The paths of the keys of a document in which AAPL, 1m and a purpose are the only data among the names."""
    if isinstance(value, list):
        return {p for item in value if isinstance(item, dict) for p in paths_of(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, item in value.items():
        shown = {"AAPL": "<symbol>", "1m": "<timeframe>", Purpose.MINUTES: "<purpose>"}.get(name, name)
        here = f"{path}.{shown}" if path else shown
        found |= ({here} if shown == name else set()) | paths_of(item, here)
    return found


def test_the_document_has_exactly_the_designed_keys() -> None:
    designed = {f"{path}.{name}".lstrip(".") for path, names in DESIGNED.items() for name in names.split()}

    document = build_audit(full_facts(), NOW, NO_SECRETS)

    assert paths_of(document) == designed
    assert set(key_docs()) == designed
    assert all(key_docs().values())


def test_every_status_is_documented() -> None:
    assert all(status in key_docs()["status"] for status in RunStatus)
    assert all(
        status in key_docs()["symbols_processed.<symbol>.<timeframe>.status"] for status in SeriesStatus
    )


def test_a_series_of_the_document() -> None:
    document = build_audit(full_facts(), NOW, NO_SECRETS)

    assert document["timestamp"] == "2025-11-14T15:30:00Z"
    assert document["symbols_processed"]["AAPL"]["1m"] == {
        "status": "ok",
        "bars": 9720,
        "inserted": 9720,
        "updated": 0,
        "requests": 1,
        "first": "2025-11-14T15:30:00Z",
        "last": "2025-11-14T15:30:00Z",
        "seconds": 1.235,
        "error": None,
    }


def test_a_symbol_that_failed_at_once_shows_why_at_each_timeframe_asked_for() -> None:
    document = build_audit(facts(SymbolOutcome("FOO", error="FOO is unknown")), NOW, NO_SECRETS)

    assert list(document["symbols_processed"]["FOO"]) == ["1m", "1d"]
    assert document["symbols_processed"]["FOO"]["1d"]["status"] == "failed"
    assert document["symbols_processed"]["FOO"]["1d"]["error"] == "FOO is unknown"


def test_refused_bars_are_told_where_nothing_worse_happened() -> None:
    refused = [RefusedBar(to_ms(NOW), "high below low"), RefusedBar(to_ms(NOW) + 60_000, "volume negative")]

    document = build_audit(facts(SymbolOutcome("AAPL", [series(refused=refused)])), NOW, NO_SECRETS)

    error = document["symbols_processed"]["AAPL"]["1m"]["error"]
    assert error == "2 bars refused, the first of 2025-11-14 15:30 UTC: high below low"


def test_the_summary_counts_symbols_bars_and_gaps() -> None:
    gap = {"start": "2025-01-06", "end": "2025-01-07", "days": 1, "state": "missing"}
    retried = {
        "start": "2025-01-06",
        "end": "2025-01-07",
        "attempts": 2,
        "filled": False,
        "reason": "timed out",
    }
    outcomes = (
        SymbolOutcome("AAPL", [series(bars=5), series(Timeframe.D1, bars=2)], ended=True),
        SymbolOutcome("KO", [series(status=SeriesStatus.PARTIAL, bars=1), series(Timeframe.D1)], ended=True),
        SymbolOutcome("FOO", error="unknown"),
    )

    document = build_audit(
        facts(
            *outcomes,
            gaps_detected={"AAPL": {"1m": [gap, gap], "1d": [gap]}},
            retry_results={"AAPL": {"1m": [retried, {**retried, "filled": True}]}},
        ),
        NOW,
        NO_SECRETS,
    )

    assert document["summary"] == {
        "symbols": 3,
        "succeeded": 1,
        "failed": 1,
        "total_records": 8,
        "gaps_found": 3,
        "gaps_filled": 1,
        "gaps_remaining": 2,
    }


def test_gaps_remaining_is_what_the_last_detection_says() -> None:
    assert build_audit(facts(gaps_remaining=7), NOW, NO_SECRETS)["summary"]["gaps_remaining"] == 7


@pytest.mark.parametrize(
    ("api", "db", "compute", "bottleneck"), [(3, 2, 1, "api"), (1, 2, 1.5, "db"), (0, 0, 0.1, "compute")]
)
def test_the_bottleneck_is_the_longest_part(api: float, db: float, compute: float, bottleneck: str) -> None:
    assert timing(5, api, db, compute)["bottleneck"] == bottleneck


def test_the_share_of_429_without_a_request_is_zero() -> None:
    assert requests(total=0, pages=0, retries=0, rate_limited=0, failed=0)["rate_limited_percent"] == 0.0
    assert requests(total=8, pages=0, retries=0, rate_limited=1, failed=0)["rate_limited_percent"] == 12.5


def test_instants_are_written_in_utc() -> None:
    assert rfc3339(datetime.fromisoformat("2025-01-08T20:00:00-05:00")) == "2025-01-09T01:00:00Z"


@pytest.mark.parametrize(
    "leak",
    [
        'GET /v2/aggs?apiKey=pk_9f+8/"secret"==&x=1',
        "GET /v2/aggs?apiKey=pk_9f%2B8%2F%22secret%22%3D%3D",
        json.dumps({"key": 'pk_9f+8/"secret"=='}),
        'pk_9f+8/"secret"==pk_9f+8/"secret"==',
    ],
)
def test_the_key_never_appears(leak: str, tmp_path: Path) -> None:
    outcome = SymbolOutcome('pk_9f+8/"secret"==', [series(error=leak)])

    document = build_audit(facts(outcome), NOW, REDACTION)
    write_audit(
        {**document, "config": {**document["config"], "database": leak}}, tmp_path / "audit.json", REDACTION
    )

    for text in (repr(document), (tmp_path / "audit.json").read_text()):
        assert "***" in text
        assert "pk_9f" not in text
        assert "secret" not in text


def test_what_is_no_finite_number_becomes_null(tmp_path: Path) -> None:
    write_audit({"percent": float("nan"), "more": [float("inf"), 1.5]}, tmp_path / "audit.json", NO_SECRETS)

    assert json.loads((tmp_path / "audit.json").read_text(), parse_constant=pytest.fail) == {
        "percent": None,
        "more": [None, 1.5],
    }


def test_an_audit_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(0o077)
    try:
        write_audit({"cell": "◐ 97%"}, path, NO_SECRETS)
    finally:
        os.umask(before)

    assert json.loads(path.read_text()) == {"cell": "◐ 97%"}
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    link = tmp_path / "audit.json"
    link.symlink_to(target)

    for attempt in (lambda: check_output_path(link), lambda: write_audit({}, link, NO_SECRETS)):
        with pytest.raises(UsageError, match="symbolic link"):
            attempt()

    assert target.read_text() == "precious"
    assert link.is_symlink()


def test_a_dangling_link_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "audit.json").symlink_to(tmp_path / "nowhere")

    with pytest.raises(UsageError, match="symbolic link"):
        write_audit({}, tmp_path / "audit.json", NO_SECRETS)

    assert not (tmp_path / "nowhere").exists()


def test_a_link_put_there_between_the_check_and_the_rename_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    program = (
        "import os, sys; from pathlib import Path; from lib.audit import write_file\n"
        "path, target = Path(sys.argv[1]), sys.argv[2]\n"
        "sync = os.fsync\n"
        "def fsync(fd):\n"
        "    sync(fd)\n"
        "    os.fsync = sync\n"
        "    path.symlink_to(target)\n"
        "os.fsync = fsync\n"
        "write_file(path, 'new')\n"
    )

    subprocess.run([sys.executable, "-c", program, tmp_path / "audit.json", target], check=True)

    assert target.read_text() == "precious"
    assert not (tmp_path / "audit.json").is_symlink()
    assert (tmp_path / "audit.json").read_text() == "new"


@pytest.mark.parametrize("name", ["missing/audit.json", "", "pipe", "file/audit.json"])
def test_what_cannot_hold_an_audit_is_said_before_the_run(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError) as refusal:
        check_output_path(tmp_path / name)

    assert "--output" in refusal.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what another user may do")
@pytest.mark.parametrize(
    ("mode", "refusal"), [(0o755, "no permission to write"), (0o1777, "belongs to another user")]
)
def test_what_belongs_to_another_user_is_refused(mode: int, refusal: str) -> None:
    program = (
        "import os, sys; from pathlib import Path; from lib.audit import check_output_path\n"
        "from lib.errors import UsageError\n"
        "os.setegid(65534), os.seteuid(65534)\n"
        "try: check_output_path(Path(sys.argv[1]))\n"
        "except UsageError as error: sys.exit(str(error))\n"
    )
    with TemporaryDirectory() as folder:  # not tmp_path, which lies in a private folder
        Path(folder).chmod(mode)
        path = Path(folder, "audit.json")
        path.write_text("root's")

        outcome = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)

    assert outcome.returncode == 1
    assert refusal in outcome.stderr


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_killed_while_writing_leaves_the_old_audit(call: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    write_file(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from lib.audit import write_file\n"
        f"os.{call} = lambda *args, **more: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_file(Path(sys.argv[1]), 'new' * 100_000)\n"
    )

    killed = subprocess.run([sys.executable, "-c", program, path])

    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_full_disk_is_said_and_leaves_the_old_audit(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    write_file(path, "old")
    program = (
        "import resource, signal, sys; from pathlib import Path; from lib.audit import write_file\n"
        "from lib.errors import UsageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_file(Path(sys.argv[1]), 'new' * 1000)\n"
        "except UsageError as error: sys.exit(str(error))\n"
    )

    outcome = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)

    assert "cannot be written: File too large" in outcome.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
