"""``backfill_runs``: every run, from its start, with its audit at the end."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from lib import sql


async def start_run(
    connection: asyncpg.Connection,
    run_id: str,
    script: str,
    started_at: datetime,
    arguments: Mapping[str, Any],
) -> None:
    """Record that a run began; it stays ``running`` until finish_run."""
    await connection.execute(sql.load("start_run"), run_id, script, started_at, json.dumps(arguments))


async def finish_run(
    connection: asyncpg.Connection, run_id: str, finished_at: datetime, status: str, audit: Mapping[str, Any]
) -> None:
    """Record how the run ended, with its audit."""
    await connection.execute(
        sql.load("finish_run"), run_id, finished_at, status, json.dumps(audit["summary"]), json.dumps(audit)
    )
