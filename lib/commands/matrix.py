"""The completeness matrix on a terminal: symbols by timeframes, readable at 80 columns."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lib.gaps import MEANING, Cell, Matrix, Sign, Stretch, gaps_of
from lib.jobs.gaps import GapReport
from lib.timeframe import Timeframe

STYLE = {
    Sign.COMPLETE: "green",
    Sign.PARTIAL: "yellow",
    Sign.MISSING: "bold red",
    Sign.PENDING: "cyan",
    Sign.EMPTY: "dim",
    Sign.NOT_ENTITLED: "blue",
    Sign.NOT_ASKED: "dim",
}
MANY_GAPS = 12
NOT_ASKED = Cell(Sign.NOT_ASKED)
_BADNESS = (Sign.MISSING, Sign.PARTIAL, Sign.NOT_ENTITLED, Sign.EMPTY, Sign.PENDING)


def show_matrix(console: Console, matrix: Matrix, *, worst_first: bool = False) -> None:
    """Print *matrix* with a legend of its signs. *worst_first*: by how much is missing, else by name."""
    if not matrix:
        return
    timeframes = [tf for tf in Timeframe if any(tf in row for row in matrix.values())]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    table.add_column("symbol", no_wrap=True)
    for timeframe in timeframes:
        table.add_column(timeframe, no_wrap=True, min_width=5)
    for symbol in ranked(matrix) if worst_first else matrix:
        cells = (matrix[symbol].get(timeframe, NOT_ASKED) for timeframe in timeframes)
        table.add_row(escape(symbol), *(f"[{STYLE[cell.sign]}]{cell.text}[/]" for cell in cells))
    console.print(table)
    console.print("[dim]" + escape(legend(matrix, timeframes)) + "[/]")


def ranked(matrix: Matrix) -> list[str]:
    """The symbols, the one that lacks most first; equals by name."""
    return sorted(matrix, key=lambda symbol: (*_badness(matrix[symbol]), symbol))


def _badness(cells: Mapping[Timeframe, Cell]) -> tuple[float, ...]:
    lacking = -float(sum(cell.expected - cell.complete for cell in cells.values()))
    return (lacking, *(-sum(cell.sign is sign for cell in cells.values()) for sign in _BADNESS))


def legend(matrix: Matrix, timeframes: Sequence[Timeframe]) -> str:
    """What the signs in *matrix* mean, no others."""
    used = {row.get(timeframe, NOT_ASKED).sign for row in matrix.values() for timeframe in timeframes}
    text = ", ".join(f"{sign} {MEANING[sign]}" for sign in Sign if sign in used)
    return text + ("; percent: sessions complete of those expected" if Sign.PARTIAL in used else "")


def show_remaining(
    console: Console, report: GapReport, listing: str, command: str, *, retried: bool = True
) -> None:
    """Print what was found and filled, the gaps that remain with their cause, and what to type next.

    *listing*: the command that lists them all; *command*: the next one.
    *retried*: whether any were asked for.
    """
    found = sum(len(gaps_of(s)) for series in report.before.values() for s in series.values())
    if found:
        filled = sum(r["filled"] for series in report.results.values() for rs in series.values() for r in rs)
        console.print(
            f"gaps      {found} found" + (f", {filled} filled, {report.remaining} remain" if retried else "")
        )
    lines = [
        f"[bold]{escape(symbol)}[/] {','.join(timeframes)}: {text}"
        for (symbol, text), timeframes in _remaining(report).items()
    ]
    for line in lines[:MANY_GAPS]:
        console.print(line)
    if len(lines) > MANY_GAPS:
        console.print(f"… and {len(lines) - MANY_GAPS} more: {listing}")
    if lines:
        console.print(f"next      {escape(command)}")


def _remaining(report: GapReport) -> dict[tuple[str, str], list[str]]:
    """Timeframes by symbol and what remains of them: the same in several is said once."""
    out: dict[tuple[str, str], list[str]] = {}
    for symbol, series in report.after.items():
        for timeframe, stretches in series.items():
            reason = report.reasons.get((symbol, timeframe), "")
            for gap in gaps_of(stretches):
                text = f"{span(gap)}  {gap.state}" + (f": {escape(reason)}" if reason else "")
                out.setdefault((symbol, text), []).append(str(timeframe))
    return out


def span(stretch: Stretch) -> str:
    """The dates of a stretch, its last one included, and how many units they are."""
    last = stretch.end.fromordinal(stretch.end.toordinal() - 1)
    many = f" ({stretch.units} sessions)" if stretch.units > 1 else ""
    return f"{stretch.start}{f' .. {last}' if last > stretch.start else ''}{many}"
