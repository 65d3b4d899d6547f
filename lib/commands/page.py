"""``--output-html``: what a run found, as one page."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from lib.audit import Audit, write_file
from lib.jobs.gaps import GapReport, Scope
from lib.jobs.report import Report
from lib.page import Page, Shown, render
from lib.redaction import Redaction
from lib.sessions import SessionTable
from lib.zones import day_of


def write_page(
    path: Path, report: Report, audit: Audit, sessions: Mapping[str, SessionTable], command: str
) -> None:
    """Put the page of a run at *path*, whole or not at all; *command* fills what is missing.

    Raises UsageError if the file cannot be written there.
    """
    gaps = report.gaps or GapReport()
    scopes = [scope for scope in report.scopes if scope.instrument.symbol in gaps.after]
    page = Page(
        audit,
        [_shown(scope, gaps, sessions[scope.instrument.calendar]) for scope in scopes],
        {outcome.symbol: outcome.error for outcome in report.outcomes if outcome.error is not None},
        str(report.error) if report.error else None,
        command if gaps.remaining else None,
    )
    write_file(path, Redaction(report.settings.secrets).text(render(page)), "--output-html")


def _shown(scope: Scope, gaps: GapReport, sessions: SessionTable) -> Shown:
    symbol, dates = scope.instrument.symbol, scope.wanted.dates
    series = gaps.after[symbol]
    reasons = {tf: gaps.reasons[symbol, tf] for tf in series if (symbol, tf) in gaps.reasons}
    days = sessions.between(dates.start, dates.end + timedelta(days=1)).days
    return Shown(symbol, [day_of(day) for day in days.tolist()], series, reasons)
