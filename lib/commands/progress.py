"""How a run shows itself while it goes: live bars on a terminal, a plain line a symbol under cron."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from lib.jobs.ohlcv import Progress as Watcher
from lib.outcome import SeriesStatus, SymbolOutcome
from lib.timeframe import Timeframe
from lib.wiring import Toolkit

MARK = {
    SeriesStatus.OK: "[green]ok[/]",
    SeriesStatus.PARTIAL: "[yellow]partial[/]",
    SeriesStatus.FAILED: "[red]failed[/]",
    SeriesStatus.NOT_ENTITLED: "[blue]not entitled[/]",
    SeriesStatus.LEFT: "[yellow]left for the next run[/]",
    SeriesStatus.INTERRUPTED: "[yellow]interrupted[/]",
}


@contextmanager
def watching(console: Console, toolkit: Toolkit, symbols: int) -> Iterator[Watcher]:
    """What a run reports to: live on a terminal, else one line a symbol."""
    if not sys.stderr.isatty() or console.quiet:
        yield _Lines(console, toolkit, symbols)
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    ) as live:
        yield _Live(live, toolkit, symbols)


def one_line(outcome: SymbolOutcome) -> str:
    """A symbol's result in one line of markup."""
    if outcome.error:
        return f"[bold]{outcome.symbol}[/]  [red]failed[/]  {outcome.error}"
    worst = max(outcome.series, key=lambda s: list(SeriesStatus).index(s.status), default=None)
    status = MARK[worst.status] if worst else MARK[SeriesStatus.OK]
    inserted = sum(s.inserted for s in outcome.series)
    updated = sum(s.updated for s in outcome.series)
    requests = sum(s.requests for s in outcome.series)
    text = f"[bold]{outcome.symbol}[/]  {status}  {inserted:,} new bars"
    text += f", {updated:,} changed" if updated else ""
    text += f", {requests} request{'s' if requests != 1 else ''}"
    return text + (f"  {worst.error}" if worst and worst.error else "")


class _Lines:
    """For cron and pipes: nothing but one line when a symbol is done."""

    def __init__(self, console: Console, toolkit: Toolkit, symbols: int) -> None:
        self._console, self._toolkit, self._symbols, self._done = console, toolkit, symbols, 0

    def planned(self, symbol: str, windows: int) -> None:
        pass

    def page_stored(self, symbol: str, timeframe: Timeframe, bars: int) -> None:
        pass

    def window_done(self, symbol: str) -> None:
        pass

    def symbol_done(self, outcome: SymbolOutcome) -> None:
        self._done += 1
        self._console.print(f"{self._done:>4}/{self._symbols}  {one_line(outcome)}")


class _Live:
    """For a terminal: requests done of those planned, bars a second, and what the rate limit does."""

    def __init__(self, live: Progress, toolkit: Toolkit, symbols: int) -> None:
        self._live, self._toolkit = live, toolkit
        self._began, self._bars = toolkit.clock.monotonic(), 0
        self._total: TaskID = live.add_task("requests", total=0, rate="")
        self._symbols: TaskID = live.add_task("symbols ", total=symbols, rate="")

    def planned(self, symbol: str, windows: int) -> None:
        task = self._live.tasks[0]
        self._live.update(self._total, total=(task.total or 0) + windows)

    def page_stored(self, symbol: str, timeframe: Timeframe, bars: int) -> None:
        self._bars += bars
        seconds = max(self._toolkit.clock.monotonic() - self._began, 0.1)
        self._live.update(self._symbols, rate=f"{self._bars / seconds:,.0f} bars/s")
        self._live.update(self._total, rate=self._rate_limit())

    def window_done(self, symbol: str) -> None:
        self._live.update(self._total, advance=1, rate=self._rate_limit())

    def _rate_limit(self) -> str:
        budget = self._toolkit.budget
        if budget.pause_seconds:
            return f"429: waiting {budget.pause_seconds:.0f} s"
        return f"{budget.left_now} of {budget.limit} left now"

    def symbol_done(self, outcome: SymbolOutcome) -> None:
        self._live.console.print(one_line(outcome))
        self._live.update(self._symbols, advance=1)
