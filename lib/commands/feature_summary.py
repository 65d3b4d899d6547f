"""What a person reads at the end of a run of ``backfill_features.py``: by series, and in all."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lib.audit.features import FeatureAudit, FeatureOutcome, FeatureStatus, SymbolFeatures
from lib.clock import from_ms
from lib.commands.summary import typed
from lib.jobs.features import FeatureReport, Mode
from lib.timeframe import Timeframe

MANY_SERIES = 40
MANY_COLUMNS = 8
MARK = {
    FeatureStatus.OK: "[green]ok[/]",
    FeatureStatus.NO_BARS: "[dim]no bars[/]",
    FeatureStatus.DIFFERS: "[red]differs[/]",
    FeatureStatus.FAILED: "[red]failed[/]",
    FeatureStatus.INTERRUPTED: "[yellow]interrupted[/]",
}
COUNTS = ("bars", "computed", "written", "seconds")
AGAIN = "run the same command again: it computes only what is due"


def show_features(console: Console, report: FeatureReport, audit: FeatureAudit) -> None:
    """Print the table of series and the totals."""
    series = [one for outcome in report.outcomes for one in outcome.series]
    if len(series) <= MANY_SERIES:
        _show(console, [(one.symbol, one.timeframe, MARK[one.status], [one]) for one in series])
    else:
        _show(console, [(o.symbol, "all", _mark(o.series), o.series) for o in report.outcomes if o.series])
        _show(console, [("all", tf, _mark(some), some) for tf in Timeframe if (some := _of(series, tf))])
    _show_totals(console, report, audit)


def _of(series: Sequence[FeatureOutcome], timeframe: Timeframe) -> list[FeatureOutcome]:
    return [one for one in series if one.timeframe is timeframe]


def _mark(series: Sequence[FeatureOutcome]) -> str:
    """The status that matters most among several."""
    order = list(MARK)
    order.insert(0, order.pop(order.index(FeatureStatus.NO_BARS)))
    return MARK[max((one.status for one in series), key=order.index)]


def _show(console: Console, rows: Sequence[tuple[str, str, str, Sequence[FeatureOutcome]]]) -> None:
    if not rows:
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name in ("symbol", "timeframe", "status", *COUNTS):
        table.add_column(name, justify="right" if name in COUNTS else "left", no_wrap=True)
    for symbol, timeframe, mark, series in rows:
        sums = [f"{sum(getattr(one, name) for one in series):,}" for name in ("bars", "computed", "written")]
        seconds = sum(one.seconds for one in series)
        table.add_row(escape(symbol), timeframe, mark, *sums, f"{seconds:.1f}")
    console.print(table)
    console.print()


def _show_totals(console: Console, report: FeatureReport, audit: FeatureAudit) -> None:
    total, time = audit["summary"], audit["timing"]
    console.print(
        f"[bold]{audit['status']}[/]: {total['succeeded']} of {total['symbols']} symbols done"
        + (f", {total['failed']} failed" if total["failed"] else "")
        + f"; {_done(report, audit)}"
    )
    if report.interrupted:
        console.print(f"next      {AGAIN}")
    console.print(
        f"time      {time['wall_seconds']:.1f} s; reading {time['read_seconds']:.1f} s, "
        f"computing {time['compute_seconds']:.1f} s, writing {time['write_seconds']:.1f} s; they overlap"
    )


def _done(report: FeatureReport, audit: FeatureAudit) -> str:
    total = audit["summary"]
    if report.request.mode is Mode.VERIFY:
        return f"{total['verified']} series recomputed from scratch, {total['differing']} differ"
    if not total["computed"]:
        return "nothing was due"
    return f"{total['computed']:,} rows computed, {total['written']:,} written"


def one_line(outcome: SymbolFeatures) -> str:
    """A symbol's result in one line of markup."""
    mark = MARK[FeatureStatus.FAILED] if outcome.error else _mark(outcome.series)
    computed, written = (
        sum(getattr(one, name) for one in outcome.series) for name in ("computed", "written")
    )
    return f"[bold]{escape(outcome.symbol):<6}[/]  {mark}  {computed:,} rows computed, {written:,} written"


def problem_lines(outcomes: Sequence[SymbolFeatures], *, demo: bool) -> list[str]:
    """What went wrong, as markup, a line a symbol or series."""
    lines = []
    for outcome in outcomes:
        if outcome.error:
            lines.append(f"[bold]{escape(outcome.symbol)}[/] {escape(outcome.error)}")
        lines += [line for one in outcome.series if (line := _problem(one, demo=demo))]
    return lines


def _problem(one: FeatureOutcome, *, demo: bool) -> str | None:
    name = f"[bold]{escape(one.symbol)}[/] {one.timeframe}"
    if one.error:
        return f"{name}: {escape(one.error)}"
    found = one.difference
    if not found.rows or found.first_ms is None:
        return None
    columns = sorted(found.columns)
    shown = ", ".join(columns[:MANY_COLUMNS])
    more = f" and {len(columns) - MANY_COLUMNS} more" if len(columns) > MANY_COLUMNS else ""
    command = typed("backfill_features.py", demo=demo)
    command += f" --full --symbols {one.symbol} --timeframes {one.timeframe}"
    return (
        f"{name}: {found.rows:,} rows differ, the first of {from_ms(found.first_ms):%Y-%m-%d %H:%M} UTC, "
        f"in {escape(shown)}{more} (recompute: {escape(command)})"
    )
