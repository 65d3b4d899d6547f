"""A run of ``scripts/export_bars.py``: from options to a finished file."""

from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from lib.clock import SystemClock
from lib.commands.backfill import ROOT, of_demo, tell_database
from lib.commands.running import Output, set_up_logging
from lib.jobs.export import ExportRequest, export_bars
from lib.jobs.export_files import Format, check_target, file_sink
from lib.settings import load_settings
from lib.store.database import open_database


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One invocation, parsed and checked."""

    request: ExportRequest
    path: Path
    form: Format
    demo: bool
    database_url: str | None


async def execute(job: ExportJob, output: Output) -> int:
    """Write the file and return the exit status."""
    settings = load_settings(database_url=job.database_url, script_folder=ROOT)
    set_up_logging(output, settings)
    settings = of_demo(settings) if job.demo else settings
    check_target(job.path, job.form)
    tell_database(settings, output, demo=job.demo)
    async with open_database(settings, clock=SystemClock()) as database:
        with file_sink(job.path, job.form, job.request) as sink:
            exported = await export_bars(database, job.request, sink)
    for symbol, series in exported.rows.items():
        if not any(series.values()):
            output.warning(f"{symbol} has no bars of {', '.join(series)} in the dates asked for")
    output.console().print(
        f"{exported.total:,} bars of {len(exported.rows)} symbols, {job.request.basis}, "
        f"in {escape(str(job.path))}"
    )
    output.result(
        {
            "status": "complete",
            "output": str(job.path),
            "format": str(job.form),
            "basis": str(job.request.basis),
            "as_of": job.request.moment.isoformat(),
            "rows": exported.total,
            "series": exported.rows,
        }
    )
    return 0
