"""``backfill_status.py history``: the last runs, and how each script has been doing."""

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from lib.audit import rfc3339
from lib.commands.status_reading import Place, Reading, duration, minute, reading, watched
from lib.commands.tables import fitted_table, result_console

Row = Mapping[str, Any]

STYLE = {"complete": "green", "partial": "yellow", "failed": "bold red", "died": "bold red"}
COLUMNS = (
    *("started (UTC)", "script", "status", "exit", "took"),
    *("requests", "429", "bars", "failed", "API / DB", "run"),
)
LEFT = ("started (UTC)", "script", "status", "run")
LEAST_MISSED = ("run", "429", "exit", "failed")
MANY_REASONS = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are listed; None for no restriction."""

    script: str | None
    days: int | None
    failed: bool
    limit: int


async def show_history(wanted: Wanted, place: Place, every_seconds: int | None) -> int:
    """Print the last runs on stdout, as tables or with --json as a document."""
    async with reading(place) as opened:

        async def show() -> int:
            await _show(wanted, place, opened)
            return 0

        return await watched(show, every_seconds, opened.clock)


async def _show(wanted: Wanted, place: Place, opened: Reading) -> None:
    since = opened.clock.now() - timedelta(days=wanted.days) if wanted.days else None
    runs = await opened.records.runs(
        [wanted.script] if wanted.script else None, since, failed_only=wanted.failed, limit=wanted.limit
    )
    statistics = [
        row
        for row in await opened.records.run_statistics()
        if wanted.script is None or row["script"] == wanted.script
    ]
    place.output.result(
        {"runs": [document(run) for run in runs], "scripts": [_scripts_document(row) for row in statistics]}
    )
    if not place.output.as_json:
        print_history(result_console(), runs, statistics)


def state_of(run: Row) -> str:
    """The run's status; ``died`` if it says running and its process, of this machine, is gone."""
    if run["status"] != "running" or run["host"] != socket.gethostname() or not run["pid"]:
        return str(run["status"])
    try:
        os.kill(run["pid"], 0)
    except ProcessLookupError:
        return "died"
    except PermissionError:
        pass  # another user's: it lives
    return "running"


def document(run: Row) -> dict[str, Any]:
    """A run for programs."""
    instants = ("started_at", "finished_at")
    return {
        **{name: value for name, value in run.items() if name not in instants},
        **{name: rfc3339(run[name]) if run[name] else None for name in instants},
        "status": state_of(run),
    }


def _scripts_document(row: Row) -> dict[str, Any]:
    instants = ("last_started_at", "last_complete_at")
    return {
        **{name: value for name, value in row.items() if name not in instants},
        "success_percent": float(row["success_percent"]),
        **{name: rfc3339(row[name]) if row[name] else None for name in instants},
    }


def print_history(console: Console, runs: Sequence[Row], statistics: Iterable[Row]) -> None:
    """The runs as a table, why the newest of them failed, and a line a script."""
    if not runs:
        console.print("no run is recorded")
        return
    console.print(
        fitted_table(console, COLUMNS, list(map(_cells, runs)), left=LEFT, least_missed=LEAST_MISSED)
    )
    for run in [run for run in runs if run["error"]][:MANY_REASONS]:
        console.print(f"[bold]{minute(run['started_at'])}[/] {escape(run['error'])}")
    console.print()
    for row in statistics:
        console.print(_line(row), soft_wrap=True)


def _cells(run: Row) -> dict[str, str]:
    state = state_of(run)
    return {
        "started (UTC)": minute(run["started_at"]),
        "script": escape(run["script"]),
        "status": f"[{STYLE[state]}]{state}[/]" if state in STYLE else state,
        "exit": "" if run["exit_status"] is None else str(run["exit_status"]),
        "took": duration(run["seconds"]),
        "requests": _count(run["requests"]),
        "429": _count(run["rate_limited"]) if run["rate_limited"] else "",
        "bars": _count(run["bars"]),
        "failed": str(run["failures"]) if run["failures"] else "",
        "API / DB": _split(run),
        "run": run["run_id"],
    }


def _split(run: Row) -> str:
    """Seconds in which a request, and in which a statement was under way; they overlap."""
    api, db = run["api_seconds"], run["db_seconds"]
    return "" if api is None else f"{api:,.1f} / {db:,.1f} s"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _line(row: Row) -> str:
    text = (
        f"[bold]{escape(row['script'])}[/]: {row['complete']} of the last {row['runs']} complete, "
        f"median {duration(row['median_seconds'])}"
    )
    if row["failures_in_a_row"]:
        text += f"; [bold red]the last {row['failures_in_a_row']} failed[/]"
    if row["last_complete_at"]:
        text += f"; last complete {minute(row['last_complete_at'])} UTC"
    return text
