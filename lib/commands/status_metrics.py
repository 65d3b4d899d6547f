"""``backfill_status.py metrics``: the figures for Prometheus without a run."""

import sys
from pathlib import Path

from lib.audit import check_output_path, write_file
from lib.commands.after import METRICS_OPTION
from lib.commands.status_reading import Place, reading
from lib.jobs.metrics import read_metrics


async def show_metrics(place: Place, path: Path | None) -> int:
    """Print the figures on stdout, or replace the file at *path* by them. Raises UsageError."""
    if path is not None:
        check_output_path(path, METRICS_OPTION)
    async with reading(place) as opened:
        text = await read_metrics(opened.database, opened.clock)
    if path is None:
        sys.stdout.write(text)
    else:
        write_file(path, text, METRICS_OPTION)
    return 0
