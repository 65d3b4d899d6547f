"""A run of ``scripts/backfill_corporate_actions.py``: from options to a finished run, and what it says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.markup import escape

from lib.clock import SystemClock
from lib.commands.action_summary import changes, show_findings
from lib.commands.after import NOTHING, Wanted, after_run
from lib.commands.backfill import ROOT, of_demo, tell_database
from lib.commands.running import Output, set_up_logging, told
from lib.commands.summary import typed
from lib.errors import BackfillError, RunInterrupted, UsageError
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.action_run import SCRIPT, ActionReport, carry_out_actions, new_action_report
from lib.settings import Secret, Settings, load_settings
from lib.store.database import open_database
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import DEFAULT_KEY
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.wiring import VendorTerms, open_toolkit


@dataclass(frozen=True, slots=True)
class ActionJob:
    """One invocation, parsed and checked. *symbols* None: every active one."""

    symbols: list[str] | None
    full: bool
    terms: VendorTerms
    demo: bool
    database_url: str | None
    arguments: Mapping[str, Any]
    after: Wanted = NOTHING


async def execute(job: ActionJob, output: Output) -> int:
    """Run *job* and return its exit status."""
    settings = load_settings(database_url=job.database_url, script_folder=ROOT)
    set_up_logging(output, settings)
    async with _vendor(settings, job) as settings:
        if not settings.api_key:
            raise UsageError("no API key is set", hint="set POLYGON_API_KEY (MASSIVE_API_KEY), or try --demo")
        tell_database(settings, output, demo=job.demo)
        after = after_run(job.after, settings)
        report = new_action_report(settings, SystemClock(), full=job.full)
        told.info("%s %s begins on the database %s", SCRIPT, report.run_id, settings.database_name)
        await _run(job, report)
        status = _conclude(report, output, demo=job.demo)
        told.info("%s %s ends with status %d", SCRIPT, report.run_id, status)
        if not report.interrupted:
            await after(output)
        return status


async def _run(job: ActionJob, report: ActionReport) -> None:
    try:
        async with (
            open_database(report.settings, clock=report.clock) as database,
            open_toolkit(report.settings, job.terms, report.clock, database) as toolkit,
        ):
            await carry_out_actions(toolkit, job.symbols, report, job.arguments)
    except (UsageError, RunInterrupted):
        raise
    except BackfillError as error:
        report.error = error


@asynccontextmanager
async def _vendor(settings: Settings, job: ActionJob) -> AsyncIterator[Settings]:
    """The settings to run with: with --demo the emulator's, and the demo's database."""
    if not job.demo:
        yield settings
        return
    async with Emulator(SimulatedMarket()) as emulator:
        yield replace(of_demo(settings), base_url=emulator.url, api_key=Secret(DEFAULT_KEY))


def _conclude(report: ActionReport, output: Output, *, demo: bool) -> int:
    console = output.console()
    unknown = [f"{symbol}: not tracked, so nothing was asked about it" for symbol in report.unknown]
    outcome = report.outcome or ActionsOutcome()
    if report.outcome:
        console.print(f"splits     {', '.join(changes(outcome.splits)) or 'nothing new'}")
        console.print(f"dividends  {', '.join(changes(outcome.dividends)) or 'nothing new'}")
    show_findings(output.console(always=True), unknown + outcome.findings())
    if outcome.rebased:
        for line in outcome.stale():
            console.print(escape(line))
        console.print(
            f"next       {typed('backfill_features.py', demo=demo)}   computes the stale features anew"
        )
    console.print(f"[bold]{report.status}[/]: {len(report.symbols)} symbols, {report.requests} requests")
    if report.error:
        output.error(report.error)
    output.result(report.document())
    return 130 if report.interrupted else report.exit_status
