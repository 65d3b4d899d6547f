"""What the commands that fetch bars or look for gaps share: from options to a finished run."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from lib.audit import Audit, check_output_path, write_audit
from lib.clock import Clock, SystemClock
from lib.commands.action_summary import show_action_findings, show_actions
from lib.commands.after import NOTHING, Wanted, after_run
from lib.commands.matrix import show_matrix, show_remaining
from lib.commands.page import write_page
from lib.commands.plan_summary import plan_document, show_plan
from lib.commands.progress import watching
from lib.commands.pruned import pruned_line
from lib.commands.running import Output, set_up_logging, told
from lib.commands.summary import (
    problem_lines,
    show_places,
    show_problems,
    show_scanned,
    show_symbols,
    show_totals,
    typed,
)
from lib.errors import BackfillError, LockHeld, RunInterrupted, UsageError
from lib.gaps import gaps_of
from lib.jobs.plan import skipped_sessions
from lib.jobs.report import Pacing, Report, Request, new_report
from lib.jobs.run import carry_out, plan
from lib.jobs.scan import scan
from lib.sessions import SessionTable
from lib.settings import Secret, Settings, load_settings
from lib.store.database import Database, open_database
from lib.store.locks import run_lock
from lib.wiring import Toolkit, VendorTerms, open_toolkit

ROOT = Path(__file__).resolve().parents[2]
MANY_LACKING = 10


class Task(Enum):
    """What a command does: fetch (then look for gaps, if it retries them), fill gaps, look for them."""

    BACKFILL = "backfill"
    FILL = "fill"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation, parsed and checked.

    *symbols* None: every active one. *audit_path* None: no audit file. *database_url*: as typed, if it was.
    *counted*: whether a scan counts the stored bars. *actions*: splits and dividends too.
    """

    script: str
    symbols: list[str] | None
    request: Request
    pacing: Pacing
    terms: VendorTerms
    audit_path: Path | None
    exclusive: bool
    gap_retries: int | None
    dry_run: bool
    demo: bool
    database_url: str | None
    arguments: Mapping[str, Any]
    worst_first: bool = False
    html_path: Path | None = None
    task: Task = Task.BACKFILL
    counted: bool = True
    after: Wanted = NOTHING
    actions: bool = False


async def execute(job: Job, output: Output) -> int:
    """Run *job* and return its exit status; whatever it is, the audit is written, except for 2 and 11."""
    settings = load_settings(database_url=job.database_url, script_folder=ROOT)
    set_up_logging(output, settings)
    if job.audit_path and not job.dry_run:
        check_output_path(job.audit_path)
    if job.html_path and not job.dry_run:
        check_output_path(job.html_path, "--output-html")
    async with _demo(settings, job) as settings:
        if not settings.api_key and not job.dry_run and job.task is not Task.SCAN:
            raise UsageError("no API key is set", hint="set POLYGON_API_KEY (MASSIVE_API_KEY), or try --demo")
        tell_database(settings, output, demo=job.demo)
        after = after_run(job.after, settings)
        report = new_report(job.script, settings, job.request, job.pacing, SystemClock())
        told.info("%s %s begins on the database %s", job.script, report.run_id, settings.database_name)
        status = await _run(job, report, output)
        told.info("%s %s ends with status %d", job.script, report.run_id, status)
        if not report.interrupted and not job.dry_run:
            await after(output)
        return status


def tell_database(settings: Settings, output: Output, *, demo: bool) -> None:
    """Name the database; loudly if nobody is looking and it may be another than the one that was meant."""
    nobody = not any(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if settings.database_url is None and not demo and nobody:
        output.warning(
            f"DATABASE_URL is not set: this run uses the embedded database in {settings.home}",
            "set DATABASE_URL in the crontab or in .env if the bars belong into another one",
        )
    output.console().print(f"database: {escape(settings.database_name)}")


async def _run(job: Job, report: Report, output: Output) -> int:
    audit: Audit | None = None
    sessions: Mapping[str, SessionTable] = {}
    try:
        async with _opened(job, report) as toolkit:
            await _tell_pruned(job, toolkit, output)
            if job.dry_run:
                return await _dry_run(job, toolkit, output)
            sessions = toolkit.sessions
            audit = await _carry_out(job, toolkit, report, output)
    except (UsageError, LockHeld, RunInterrupted):
        raise
    except asyncio.CancelledError:
        report.interrupted = True
    except BackfillError as error:
        report.fail(error, job.symbols)
    if job.dry_run:
        raise report.error or RunInterrupted()
    audit = audit or report.audit(None)
    if job.audit_path:
        write_audit(audit, job.audit_path, output.redaction)
    if job.html_path:
        write_page(job.html_path, report, audit, sessions, fill_command(job, report))
    return _conclude(report, audit, job, output)


@asynccontextmanager
async def _opened(job: Job, report: Report) -> AsyncIterator[Toolkit]:
    async with AsyncExitStack() as stack:
        settings, clock = report.settings, report.clock
        database: Database = await stack.enter_async_context(open_database(settings, clock=clock))
        if job.exclusive and not job.dry_run:
            await stack.enter_async_context(_locked(database, clock))
        yield await stack.enter_async_context(open_toolkit(settings, job.terms, clock, database))


@asynccontextmanager
async def _locked(database: Database, clock: Clock) -> AsyncIterator[None]:
    """The run lock for the block. Interrupted while another run has it, the audit is that run's."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(run_lock(database, clock=clock))
        except asyncio.CancelledError as stopped:
            raise RunInterrupted("interrupted while another run holds the run lock") from stopped
        yield


async def _tell_pruned(job: Job, toolkit: Toolkit, output: Output) -> None:
    """Say what is not asked for although it was typed: old bars that were dropped on purpose."""
    now = toolkit.clock.now()
    wanted = [(one, job.request.of(one, now)) for one in await toolkit.store.instruments(job.symbols)]
    line = pruned_line([(one, asked.timeframes, asked.dates.start) for one, asked in wanted])
    if line is not None:
        output.console().print(escape(line))
        told.info("%s", line)


async def _carry_out(job: Job, toolkit: Toolkit, report: Report, output: Output) -> Audit:
    if job.task is Task.SCAN:
        return await scan(toolkit, job.symbols, report, counted=job.counted)
    symbols = len(job.symbols) if job.symbols is not None else len(await toolkit.store.instruments(None))
    with watching(output.console(), toolkit, symbols) as watcher:
        return await carry_out(
            toolkit,
            job.symbols,
            report,
            watcher,
            job.arguments,
            gap_retries=job.gap_retries,
            fetch=job.task is Task.BACKFILL,
            actions=job.actions,
        )


async def _dry_run(job: Job, toolkit: Toolkit, output: Output) -> int:
    plans = await plan(toolkit, job.symbols, job.request, actions=job.actions)
    skipped = skipped_sessions(toolkit, plans)
    show_plan(output.console(), plans, skipped, job.terms.rate_limit)
    output.result(plan_document(plans, skipped, job.terms.rate_limit))
    return 0


def _conclude(report: Report, audit: Audit, job: Job, output: Output) -> int:
    console, scanned = output.console(), job.task is Task.SCAN
    show_symbols(console, [o for o in report.outcomes if o.series or job.task is Task.BACKFILL])
    if report.gaps:
        show_matrix(console, report.gaps.matrix, worst_first=job.worst_first)
        console.print()
    _show_wrong(output.console(always=True), report, job, quiet=output.quiet)
    show_action_findings(output.console(always=True), report)
    if scanned:
        show_scanned(console, report, audit)
    else:
        show_totals(console, report, audit)
        show_actions(console, report, demo=job.demo)
    show_places(
        console,
        report,
        job.audit_path,
        demo=job.demo,
        typed_url=job.database_url is not None,
        page_path=job.html_path,
    )
    if report.error:
        output.error(report.error)
    output.result(_of_a_scan(audit) if scanned else dict(audit))
    return 130 if report.interrupted else report.exit_status


def _of_a_scan(audit: Audit) -> dict[str, object]:
    """What of an audit's keys means something when nothing was sent and no run is recorded."""
    return {
        "schema_version": audit["schema_version"],
        "timestamp": audit["timestamp"],
        "status": audit["status"],
        "config": audit["config"],
        "symbols_processed": audit["symbols_processed"],
        "gaps_detected": audit["gaps_detected"],
        "completeness": audit["completeness"],
    }


def _show_wrong(console: Console, report: Report, job: Job, *, quiet: bool) -> None:
    """What went wrong, with --quiet too: a gap with its cause, else the failure itself."""
    after = report.gaps.after if report.gaps else {}
    told_as_gap = {symbol for symbol, series in after.items() if any(map(gaps_of, series.values()))}
    show_problems(console, [outcome for outcome in report.outcomes if outcome.symbol not in told_as_gap])
    for line in problem_lines(report.outcomes):
        told.warning("%s", Text.from_markup(line).plain)
    if report.gaps and (told_as_gap or not quiet):
        commands = (_list_command(job), next_step(job, report))
        show_remaining(console, report.gaps, *commands, retried=job.task is not Task.SCAN)


def next_step(job: Job, report: Report) -> str:
    """What to do about gaps that remain."""
    if job.task is Task.SCAN:
        return fill_command(job, report)
    again = "the same command again"
    if job.task is Task.FILL:
        return f"{again}; what the vendor had nothing of is asked again after half an hour"
    return f"{again}, or: {_list_command(job)}"


def _list_command(job: Job) -> str:
    return typed("scripts/backfill_gaps.py list", demo=job.demo)


def fill_command(job: Job, report: Report) -> str:
    """The command that fills what *job* found missing, as it is typed in the checkout."""
    after = report.gaps.after if report.gaps else {}
    lacking = [symbol for symbol, series in after.items() if any(map(gaps_of, series.values()))]
    typed = {
        name: job.arguments.get(name) for name in ("symbols", "timeframes", "days", "start", "end", "plan")
    }
    if len(lacking) <= MANY_LACKING:
        typed["symbols"] = ",".join(lacking)
    words = [word for name, value in typed.items() if value for word in (f"--{name}", str(value))]
    words += [] if job.request.derive else ["--no-derive"]
    words += ["--database-url", "URL"] if job.database_url else ["--demo"] if job.demo else []
    return shlex.join(["python", "scripts/backfill_gaps.py", "fill", *words])


@asynccontextmanager
async def _demo(settings: Settings, job: Job) -> AsyncIterator[Settings]:
    """The settings to run with: with --demo the emulator's, and a database of its own."""
    if not job.demo:
        yield settings
        return
    async with demo_vendor(of_demo(settings)) as demo:
        yield demo


@asynccontextmanager
async def demo_vendor(settings: Settings) -> AsyncIterator[Settings]:
    """*settings* with the vendor of the demo, which serves during the block."""
    # Heavy, and no part of a run of the user's own.
    from lib.vendor.emulator.server import Emulator
    from lib.vendor.emulator.settings import DEFAULT_KEY
    from lib.vendor.emulator.simulated import SimulatedMarket

    async with Emulator(SimulatedMarket()) as emulator:
        yield replace(settings, base_url=emulator.url, api_key=Secret(DEFAULT_KEY))


def of_demo(settings: Settings) -> Settings:
    """The settings with the demo's database."""
    return replace(settings, home=settings.home / "demo", database_url=None)
