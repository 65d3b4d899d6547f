"""A run of ``backfill_features.py``: from options to a finished run, and how it shows itself."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from lib.audit import check_output_path, write_audit
from lib.audit.features import FeatureAudit, SymbolFeatures
from lib.clock import Clock, SystemClock
from lib.commands.after import NOTHING, Wanted, after_run
from lib.commands.backfill import ROOT, tell_database
from lib.commands.feature_summary import one_line, problem_lines, show_features
from lib.commands.running import Output, set_up_logging, told
from lib.commands.summary import psql_command
from lib.errors import BackfillError, RunInterrupted, UsageError
from lib.jobs.features import (
    SCRIPT,
    FeatureProgress,
    FeatureReport,
    FeatureRequest,
    carry_out_features,
    new_feature_report,
)
from lib.settings import load_settings
from lib.store.database import open_database
from lib.wiring import feature_tools


@dataclass(frozen=True, slots=True)
class FeatureJob:
    """One invocation, parsed and checked. *symbols* None: every active one."""

    symbols: list[str] | None
    request: FeatureRequest
    audit_path: Path
    demo: bool
    database_url: str | None
    arguments: Mapping[str, Any]
    after: Wanted = NOTHING


async def execute(job: FeatureJob, output: Output) -> int:
    """Run *job* and return its exit status; whatever it is, the audit is written, except for 2."""
    settings = load_settings(database_url=job.database_url, script_folder=ROOT)
    set_up_logging(output, settings)
    if job.demo:
        settings = replace(settings, home=settings.home / "demo", database_url=None)
    check_output_path(job.audit_path)
    tell_database(settings, output, demo=job.demo)
    after = after_run(job.after, settings)
    report = new_feature_report(settings, job.request, SystemClock())
    told.info("%s %s begins on the database %s", SCRIPT, report.run_id, settings.database_name)
    status = await _run(job, report, output)
    told.info("%s %s ends with status %d", SCRIPT, report.run_id, status)
    if not report.interrupted:
        await after(output)
    return status


async def _run(job: FeatureJob, report: FeatureReport, output: Output) -> int:
    audit = None
    try:
        async with open_database(report.settings, clock=report.clock) as database:
            tools = await feature_tools(report.settings, report.clock, database)
            with _watching(output.console(), report.clock) as progress:
                audit = await carry_out_features(tools, job.symbols, report, progress, job.arguments)
    except (UsageError, RunInterrupted):
        raise
    except asyncio.CancelledError:
        report.interrupted = True
    except BackfillError as error:
        report.error = error
    audit = audit or report.audit()
    write_audit(audit, job.audit_path, output.redaction)
    return _conclude(job, report, audit, output)


def _conclude(job: FeatureJob, report: FeatureReport, audit: FeatureAudit, output: Output) -> int:
    console = output.console()
    show_features(console, report, audit)
    for line in problem_lines(report.outcomes, demo=job.demo):
        output.console(always=True).print(line)
        told.warning("%s", Text.from_markup(line).plain)
    console.print(f"database  {escape(report.settings.database_name)}")
    query = psql_command(demo=job.demo, typed_url=job.database_url is not None)
    console.print(f"query it  {escape(query)}")
    console.print(f"audit     {escape(str(job.audit_path))}")
    if report.error:
        output.error(report.error)
    output.result(dict(audit))
    return 130 if report.interrupted else report.exit_status


class _Lines:
    """For cron and pipes: a line when a symbol is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def planned(self, series: int) -> None:
        told.info("%d series have rows due", series)

    def page_done(self, rows: int) -> None: ...

    def series_done(self) -> None: ...

    def symbol_done(self, outcome: SymbolFeatures) -> None:
        if any(one.seconds for one in outcome.series):
            line = one_line(outcome)
            self._console.print(line)
            told.info("%s", Text.from_markup(line).plain)


class _Live(_Lines):
    """For a terminal: the same lines, and below them a bar that moves."""

    def __init__(self, live: Progress, clock: Clock) -> None:
        super().__init__(live.console)
        self._live, self._clock = live, clock
        self._began, self._rows = clock.monotonic(), 0
        self._series = live.add_task("series", total=None, state="")

    def planned(self, series: int) -> None:
        super().planned(series)
        self._live.update(self._series, total=series)

    def page_done(self, rows: int) -> None:
        self._rows += rows
        seconds = max(self._clock.monotonic() - self._began, 0.1)
        self._live.update(self._series, state=f"{self._rows / seconds:,.0f} rows/s")

    def series_done(self) -> None:
        self._live.advance(self._series)


@contextmanager
def _watching(console: Console, clock: Clock) -> Iterator[FeatureProgress]:
    """What a run reports to: live on a terminal, else a line a symbol."""
    if not sys.stderr.isatty() or console.is_dumb_terminal or console.quiet:
        yield _Lines(console)
        return
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), BarColumn(bar_width=16))
    with Progress(
        *columns, MofNCompleteColumn(), TextColumn("{task.fields[state]}"), console=console, transient=True
    ) as live:
        yield _Live(live, clock)
