"""What a person reads at the end of a run: a table of symbols, what went wrong, totals, what comes next."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from lib.audit import Audit, Requests
from lib.commands.progress import MARK, worst_status
from lib.freshness import Freshness
from lib.jobs.report import Report
from lib.outcome import SeriesStatus, SymbolOutcome

MANY_SYMBOLS = 40
MANY_PROBLEMS = 20
MANY_OLD = 8
_OLD = (Freshness.STALE, Freshness.OLDER, Freshness.MISSING)
CHECKOUT = Path(__file__).resolve().parents[2]
TEXT_COLUMNS = ("symbol", "status", "from", "newest (UTC)", "timeframe", "asked for")
LEAST_MISSED = ("from", "requests")
LEGEND = "bars: in the range asked for, all timeframes; new: by this run, in whole weeks"
AGAIN = "run the same command again: it asks only for what is missing"


def show_symbols(console: Console, outcomes: Sequence[SymbolOutcome]) -> None:
    """Print what was stored, a row a symbol."""
    if outcomes:
        console.print(_table(console, outcomes))
        console.print(f"[dim]{LEGEND}[/]")
        console.print()


def show_totals(console: Console, report: Report, audit: Audit) -> None:
    """Print how the run ended, what to do about it, and where its time went."""
    total, time, sent = audit["summary"], audit["timing"], audit["requests"]
    console.print(
        f"[bold]{audit['status']}[/]: {total['succeeded']} of {total['symbols']} symbols done"
        + (f", {total['failed']} failed" if total["failed"] else "")
        + f"; {total['total_records']:,} bars"
    )
    gaps_told = report.gaps is not None and report.gaps.remaining > 0
    if (report.exit_status in (1, 3) and not gaps_told) or report.interrupted:
        console.print(f"next      {AGAIN}")
    console.print(
        f"requests  {sent['total']:,}; {sent['retries']} tried again, {sent['rate_limited']} answered 429"
    )
    for line in _rate_lines(sent):
        console.print(line)
    if audit["freshness"] and report.request.end is None:
        console.print(f"age       {ages_told(audit)}")
    console.print(
        f"time      {time['wall_seconds']:.1f} s; API {time['api_seconds']:.1f} s, "
        f"database {time['db_seconds']:.1f} s, compute {time['compute_seconds']:.1f} s; they overlap"
    )


def _rate_lines(sent: Requests) -> Iterator[str]:
    """What of the key's limit was not as --rate-limit says."""
    if limit := sent["learnt_limit"]:
        yield f"limit     the vendor allows {limit} a minute; --rate-limit {limit} spares the answers of 429"
    if others := sent["shared_with"]:
        yield f"limit     shared with {others} other{'s' * (others > 1)} that used the key"


def ages_told(audit: Audit) -> str:
    """How many series are of which age after the run, in market time."""
    words = Counter(row["freshness"] for series in audit["freshness"].values() for row in series.values())
    counts = ", ".join(f"{words[word]} {word}" for word in Freshness if words[word])
    old = [
        s for s, series in audit["freshness"].items() if any(r["freshness"] in _OLD for r in series.values())
    ]
    return (
        counts
        + (f"; not up to date: {escape(', '.join(old[:MANY_OLD]))}" if old else "")
        + (f" and {len(old) - MANY_OLD} more" if len(old) > MANY_OLD else "")
    )


def show_scanned(console: Console, report: Report, audit: Audit) -> None:
    """Print what a scan, which asks and stores nothing, came to."""
    cells = [cell for row in (report.gaps.matrix if report.gaps else {}).values() for cell in row.values()]
    complete, expected = sum(cell.complete for cell in cells), sum(cell.expected for cell in cells)
    console.print(
        f"[bold]{audit['status']}[/]: {complete:,} of {expected:,} sessions, all timeframes, in "
        f"{audit['timing']['wall_seconds']:.1f} s; nothing was sent"
    )


def show_places(
    console: Console,
    report: Report,
    audit_path: Path | None,
    *,
    demo: bool,
    typed_url: bool,
    page_path: Path | None = None,
) -> None:
    """Print where the data, the audit and the page are, and the command that opens the database."""
    console.print(f"database  {escape(report.settings.database_name)}")
    console.print(f"query it  {escape(psql_command(demo=demo, typed_url=typed_url))}")
    if audit_path:
        console.print(f"audit     {escape(str(audit_path))}")
    if page_path:
        console.print(f"page      {escape(str(page_path))}")


def psql_command(*, demo: bool, typed_url: bool) -> str:
    """The command, as it works in this folder, that opens the run's database.

    *typed_url*: the database came from --database-url, so the environment does not name it.
    """
    arguments = "--demo" if demo else "--database-url URL" if typed_url else ""
    if Path.cwd() == CHECKOUT and Path(sys.prefix) == CHECKOUT / ".venv":
        return f"make psql ARGS={_quoted(arguments)}" if arguments else "make psql"
    script = _from_here(CHECKOUT / "scripts" / "database.py")
    return f"{_from_here(Path(sys.executable))} {script} psql {arguments}".rstrip()


def typed(script: str, *, demo: bool) -> str:
    """The command of *script*, for the database that this run used."""
    return f"python {script}{' --demo' if demo else ''}"


def _quoted(arguments: str) -> str:
    return f'"{arguments}"' if " " in arguments else arguments


def _from_here(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def show_problems(console: Console, outcomes: Sequence[SymbolOutcome]) -> None:
    """Print what went wrong, a line a symbol and reason; nothing if nothing did."""
    problems = problem_lines(outcomes)
    for line in problems[:MANY_PROBLEMS]:
        console.print(line)
    if len(problems) > MANY_PROBLEMS:
        console.print(f"… and {len(problems) - MANY_PROBLEMS} more: see the audit")


def problem_lines(outcomes: Sequence[SymbolOutcome]) -> list[str]:
    """What went wrong, as markup, a line a symbol and reason."""
    return [line for outcome in outcomes for line in _problems(outcome)]


def _problems(outcome: SymbolOutcome) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for series in outcome.series:
        if reason := series.error or series.refusals:
            reasons.setdefault(reason, []).append(series.timeframe)
    lines = [f"{','.join(timeframes)}: {escape(reason)}" for reason, timeframes in reasons.items()]
    if outcome.error:
        lines.insert(0, escape(outcome.error))
    return [f"[bold]{escape(outcome.symbol)}[/] {line}" for line in lines]


def _table(console: Console, outcomes: Sequence[SymbolOutcome]) -> Table:
    """The table, without what is least missed where the terminal is narrow."""
    columns = ["symbol", "status", "bars", "new", "changed", "requests", "from", "newest (UTC)"]
    if not any(s.updated for o in outcomes for s in o.series):
        columns.remove("changed")
    everything = console.options.update(max_width=1_000)
    for least_missed in LEAST_MISSED:
        if Measurement.get(console, everything, _table_of(columns, outcomes)).maximum > console.width:
            columns.remove(least_missed)
    return _table_of(columns, outcomes)


def _table_of(columns: Sequence[str], outcomes: Sequence[SymbolOutcome]) -> Table:
    table = plain_table(columns)
    for outcome in outcomes[:MANY_SYMBOLS]:
        cells = _cells(outcome)
        table.add_row(*(cells[name] for name in columns))
    if len(outcomes) > MANY_SYMBOLS:
        table.add_row("…", f"and {len(outcomes) - MANY_SYMBOLS} more")
    return table


def plain_table(columns: Sequence[str]) -> Table:
    """An unruled table: words to the left, numbers to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right", no_wrap=True)
    return table


def _cells(outcome: SymbolOutcome) -> dict[str, str]:
    series = outcome.series
    bars = sum(s.bars for s in series)
    firsts, lasts = [s.first for s in series if s.first], [s.last for s in series if s.last]
    return {
        "symbol": escape(outcome.symbol),
        "status": MARK[worst_status(outcome)],
        # Not counted where the run was cut off.
        "bars": "" if SeriesStatus.INTERRUPTED in (s.status for s in series) else f"{bars:,}",
        "new": f"{sum(s.inserted for s in series):,}",
        "changed": f"{sum(s.updated for s in series):,}",
        "requests": f"{sum(s.requests for s in series):,}",
        "from": f"{min(firsts):%Y-%m-%d}" if firsts else "",
        "newest (UTC)": _minute(max(lasts)) if lasts else "",
    }


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
