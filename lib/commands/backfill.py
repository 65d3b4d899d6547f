"""What ``master_backfill.py`` and ``scripts/backfill_ohlcv.py`` share: from parsed options to a finished run."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.audit import Audit, check_output_path, write_audit
from lib.clock import SystemClock
from lib.commands.progress import watching
from lib.commands.running import Output, set_up_logging
from lib.commands.summary import plan_document, show_plan, show_summary
from lib.errors import BackfillError, LockHeld, UsageError
from lib.jobs.run import Pacing, Report, Request, carry_out, new_report, plan
from lib.settings import Secret, Settings, load_settings
from lib.store.database import Database, open_database
from lib.store.locks import run_lock
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import DEFAULT_KEY
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.wiring import Toolkit, VendorTerms, open_toolkit

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation, parsed and checked. *audit_path* None: no audit file. *symbols* None: every active one."""

    script: str
    symbols: list[str] | None
    request: Request
    pacing: Pacing
    terms: VendorTerms
    audit_path: Path | None
    exclusive: bool
    dry_run: bool
    demo: bool
    database_url: str | None
    arguments: Mapping[str, Any]


async def execute(job: Job, output: Output) -> int:
    """Run *job* and return its exit status; whatever it is, the audit is written, except for 2 and 11."""
    settings = load_settings(database_url=job.database_url, script_folder=ROOT)
    if job.audit_path:
        check_output_path(job.audit_path)
    async with _demo(settings, job) as settings:
        if not settings.api_key and not job.dry_run:
            raise UsageError("no API key is set", hint="set POLYGON_API_KEY (or MASSIVE_API_KEY), or try --demo")
        set_up_logging(output, settings)
        report = new_report(job.script, settings, job.request, job.pacing, SystemClock())
        return await _run(job, report, output)


async def _run(job: Job, report: Report, output: Output) -> int:
    audit: Audit | None = None
    try:
        async with _opened(job, report) as toolkit:
            if job.dry_run:
                return await _dry_run(job, toolkit, output)
            audit = await _carry_out(job, toolkit, report, output)
    except (UsageError, LockHeld):
        raise
    except BackfillError as error:
        report.error = error
    audit = audit or report.audit(None)
    if job.audit_path:
        write_audit(audit, job.audit_path, report.settings.api_key)
    return _conclude(report, audit, job, output)


@asynccontextmanager
async def _opened(job: Job, report: Report) -> AsyncIterator[Toolkit]:
    async with AsyncExitStack() as stack:
        database: Database = await stack.enter_async_context(open_database(report.settings, clock=report.clock))
        if job.exclusive and not job.dry_run:
            await stack.enter_async_context(run_lock(database, clock=report.clock))
        yield await stack.enter_async_context(open_toolkit(report.settings, job.terms, report.clock, database))


async def _carry_out(job: Job, toolkit: Toolkit, report: Report, output: Output) -> Audit:
    console = output.console()
    symbols = len(job.symbols) if job.symbols is not None else len(await toolkit.store.instruments(None))
    console.print(f"database: {report.settings.database_name}")
    with watching(console, toolkit, symbols) as watcher:
        return await carry_out(toolkit, job.symbols, report, watcher, job.arguments)


async def _dry_run(job: Job, toolkit: Toolkit, output: Output) -> int:
    plans = await plan(toolkit, job.symbols, job.request)
    show_plan(output.console(), plans, job.terms.rate_limit)
    output.result(plan_document(plans, job.terms.rate_limit))
    return 0


def _conclude(report: Report, audit: Audit, job: Job, output: Output) -> int:
    console = output.console()
    show_summary(console, report, audit)
    if job.audit_path:
        console.print(f"audit: {job.audit_path}")
    if report.error:
        output.error(report.error)
    output.result(dict(audit))
    return 130 if report.interrupted else report.exit_status


@asynccontextmanager
async def _demo(settings: Settings, job: Job) -> AsyncIterator[Settings]:
    """The settings to run with: with --demo the emulator's, and a database of its own."""
    if not job.demo:
        yield settings
        return
    async with Emulator(SimulatedMarket()) as emulator:
        yield replace(
            settings,
            home=settings.home / "demo",
            database_url=None,
            base_url=emulator.url,
            api_key=Secret(DEFAULT_KEY),
        )
