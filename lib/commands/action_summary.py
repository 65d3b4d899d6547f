"""What a person reads of splits and dividends after a run."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from lib.actions import Dividend, Split
from lib.commands.running import told
from lib.commands.summary import typed
from lib.jobs.action_outcome import KindOutcome
from lib.jobs.report import Report
from lib.outcome import SeriesStatus

MANY_FINDINGS = 20
MANY_NAMES = 5


def show_findings(console: Console, findings: Sequence[str]) -> None:
    """Print and log what a person should know, a line each."""
    for line in findings[:MANY_FINDINGS]:
        console.print(escape(line))
    if len(findings) > MANY_FINDINGS:
        console.print(f"… and {len(findings) - MANY_FINDINGS} more: see the audit")
    for line in findings:
        told.warning("%s", line)


def show_action_findings(console: Console, report: Report) -> None:
    """Print what is wrong with the splits and dividends, or with the bars around them; nothing if nothing is."""
    if report.actions:
        show_findings(console, report.actions.findings())


def show_actions(console: Console, report: Report, *, demo: bool) -> None:
    """Print what the run learnt of splits and dividends, and what follows; nothing if nothing is new."""
    outcome = report.actions
    if outcome is None:
        return
    words = {"splits": _words(outcome.splits), "dividends": _words(outcome.dividends)}
    if any(words.values()):
        console.print(f"events    {'; '.join(f'{name} {said}' for name, said in words.items() if said)}")
    if outcome.rebased:
        # The command has a line of its own: on a narrow terminal it would be broken in two.
        console.print(f"adjusted  {_names(sorted(outcome.rebased))} anew")
        console.print(f"features  {typed('backfill_features.py', demo=demo)}")


def changes(kind: KindOutcome[Split] | KindOutcome[Dividend]) -> list[str]:
    """What is not as it was, e.g. ``3 new`` and ``1 taken back``."""
    found = {
        "new": len(kind.new),
        "changed": len(kind.changed),
        "no longer listed": len(kind.missing),
        "taken back": len(kind.withdrawn),
        "listed again": len(kind.back),
        "duplicates": len(kind.duplicates),
    }
    return [f"{count:,} {what}" for what, count in found.items() if count]


def _words(kind: KindOutcome[Split] | KindOutcome[Dividend]) -> str:
    status = [] if kind.status is SeriesStatus.OK else [str(kind.status).replace("_", " ")]
    return ", ".join(changes(kind) + status)


def _names(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - MANY_NAMES} more" if len(symbols) > MANY_NAMES else ""
    return escape(", ".join(symbols[:MANY_NAMES]) + more)
