"""``backfill_runs``: every run, from its start, with its audit and its results by series at the end."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from lib import sql
from lib.audit.results import SeriesResult, attempts_of, figures_of, results_of


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. *exit_status*: None for one that a signal ended; *error*: what ended it early."""

    finished_at: datetime
    status: str
    exit_status: int | None
    error: str | None
    audit: Mapping[str, Any]


async def start_run(
    connection: asyncpg.Connection,
    run_id: str,
    script: str,
    started_at: datetime,
    arguments: Mapping[str, Any],
) -> None:
    """Record that a run began, in this process; it stays ``running`` until finish_run."""
    process = socket.gethostname(), os.getpid()
    await connection.execute(
        sql.load("start_run"), run_id, script, started_at, json.dumps(arguments), *process
    )


async def finish_run(
    connection: asyncpg.Connection, run_id: str, end: RunEnd, *, fetching: bool = False
) -> None:
    """Record how the run ended, what came of each series, and the audit; all or nothing.

    *fetching*: the run was to fetch bars; each series remembers whether that went well.
    """
    figures = figures_of(end.audit)
    async with connection.transaction():
        done = await connection.execute(
            sql.load("finish_run"),
            run_id,
            end.finished_at,
            end.status,
            end.exit_status,
            end.error,
            figures.requests,
            figures.rate_limited,
            figures.written,
            figures.api_seconds,
            figures.db_seconds,
            figures.compute_seconds,
            json.dumps(end.audit["summary"]),
            json.dumps(end.audit),
        )
        if done == "UPDATE 0":
            return  # it was recorded before: the answer to that COMMIT was lost
        await _write_results(connection, run_id, results_of(end.audit))
        if fetching:
            await _note_attempts(connection, end)


async def _write_results(
    connection: asyncpg.Connection, run_id: str, results: Sequence[SeriesResult]
) -> None:
    columns = [
        [getattr(result, name) for result in results]
        for name in ("symbol", "timeframe", "status", "written", "requests", "seconds", "error")
    ]
    await connection.execute(sql.load("insert_run_results"), run_id, *columns)


async def _note_attempts(connection: asyncpg.Connection, end: RunEnd) -> None:
    attempts = attempts_of(end.audit, end.error)
    columns = [[symbol for symbol, _ in attempts], [timeframe for _, timeframe in attempts]]
    await connection.execute(sql.load("note_attempts"), end.finished_at, *columns, list(attempts.values()))


async def read_runs(
    connection: asyncpg.Connection,
    scripts: Sequence[str] | None,
    since: datetime | None,
    *,
    failed_only: bool,
    limit: int,
) -> list[dict[str, Any]]:
    """The last runs, newest first; None for no restriction."""
    wanted = None if scripts is None else list(scripts)
    return [
        dict(row) for row in await connection.fetch(sql.load("read_runs"), wanted, since, failed_only, limit)
    ]


async def read_run_statistics(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """How the last 30 runs of each script went, by script."""
    return [dict(row) for row in await connection.fetch(sql.load("read_run_statistics"))]
