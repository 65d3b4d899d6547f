"""How a run shows itself while it goes: live bars on a terminal, a plain line now and then under cron."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from lib.commands.running import told
from lib.jobs.ohlcv import Progress as Watcher
from lib.outcome import SeriesStatus, SymbolOutcome
from lib.timeframe import Timeframe
from lib.wiring import Toolkit

LIVE_SECONDS = 0.25
LINE_SECONDS = 60.0

MARK = {
    SeriesStatus.OK: "[green]ok[/]",
    SeriesStatus.PARTIAL: "[yellow]partial[/]",
    SeriesStatus.FAILED: "[red]failed[/]",
    SeriesStatus.NOT_ENTITLED: "[blue]not entitled[/]",
    SeriesStatus.LEFT: "[yellow]left[/]",
    SeriesStatus.INTERRUPTED: "[yellow]interrupted[/]",
}


@contextmanager
def watching(console: Console, toolkit: Toolkit, symbols: int) -> Iterator[Watcher]:
    """What a run reports to: live on a terminal, else a line a symbol and one a minute.

    To be used inside the running event loop.
    """
    pace = Pace(toolkit, symbols)
    if not sys.stderr.isatty() or console.is_dumb_terminal or console.quiet:
        lines = _Lines(console, pace)
        with _ticking(lines.tick, LINE_SECONDS):
            yield lines
        return
    with Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        console=console,
        transient=True,
    ) as live:
        bars = _Live(live, pace)
        with _ticking(bars.tick, LIVE_SECONDS):
            yield bars


@contextmanager
def _ticking(tick: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call *tick* every *seconds* during the block, in the event loop: what it reads is of that thread."""
    loop = asyncio.get_running_loop()
    ended = False

    def again() -> None:
        if not ended:
            tick()
            loop.call_later(seconds, again)

    loop.call_later(seconds, again)
    try:
        yield
    finally:
        ended = True


def worst_status(outcome: SymbolOutcome) -> SeriesStatus:
    """The status of the symbol's worst series; without any, the run ended before its turn."""
    if outcome.error:
        return SeriesStatus.FAILED
    statuses = (s.status for s in outcome.series)
    return max(statuses, key=list(SeriesStatus).index, default=SeriesStatus.INTERRUPTED)


def one_line(outcome: SymbolOutcome) -> str:
    """A symbol's result in one line of markup."""
    inserted = sum(s.inserted for s in outcome.series)
    updated = sum(s.updated for s in outcome.series)
    requests = sum(s.requests for s in outcome.series)
    text = f"[bold]{escape(outcome.symbol):<6}[/]  {MARK[worst_status(outcome)]}  {inserted:,} new bars"
    text += f", {updated:,} changed" if updated else ""
    return text + f", {requests} request{'s' if requests != 1 else ''}"


def duration(seconds: float) -> str:
    """A rough length of time for people, e.g. ``40 s``, ``12 min``, ``2 h 05 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass(slots=True)
class Pace:
    """How far a run has come, and how long the rest may take."""

    toolkit: Toolkit
    symbols: int
    began: float = 0.0
    symbols_planned: int = 0
    symbols_done: int = 0
    windows_planned: int = 0
    windows_done: int = 0
    bars: int = 0

    def __post_init__(self) -> None:
        self.began = self.toolkit.clock.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return max(self.toolkit.clock.monotonic() - self.began, 0.1)

    def seconds_left(self) -> float | None:
        """By the speed so far and by the rate limit, whichever is slower; None while nothing is known."""
        if not self.windows_done:
            return None
        in_all = self.windows_planned * max(1.0, self.symbols / max(1, self.symbols_planned))
        left = in_all - self.windows_done
        by_speed = left * self.elapsed_seconds / self.windows_done
        return max(by_speed, self._seconds_at_limit(left))

    def _seconds_at_limit(self, requests: float) -> float:
        """Until the last of so many requests may be sent: a minute's share goes out at once."""
        budget = self.toolkit.budget
        beyond = requests - budget.left_now
        if budget.unlimited or beyond <= 0:
            return 0.0
        our_share = max(1, budget.limit // (budget.others + 1))
        return budget.wait_seconds + (beyond - 1) // our_share * 60

    def speed(self) -> str:
        """Bars a second and the time left, in words."""
        left = self.seconds_left()
        about = "" if left is None else f", about {duration(left)} left"
        return f"{self.bars / self.elapsed_seconds:,.0f} bars/s{about}"

    def limit(self) -> str:
        """What the rate limit does at this moment, in words."""
        budget, breaker = self.toolkit.budget, self.toolkit.vendor.breaker
        if since := breaker.down_since:
            return f"vendor down since {since:%H:%M} UTC, next probe in {duration(breaker.seconds_to_probe)}"
        if budget.pause_seconds:
            return f"answered 429: all wait {duration(budget.pause_seconds)}"
        shared = f", shared with {budget.others} other{'s' * (budget.others > 1)}" if budget.others else ""
        if budget.unlimited:
            return f"no rate limit{shared}"
        if not budget.left_now:
            return f"rate limit: next in {duration(budget.wait_seconds)}{shared}"
        return f"rate limit: {budget.left_now} of {budget.limit} free{shared}"


class _Lines:
    """For cron and pipes: a line when a symbol is done, and one a minute."""

    def __init__(self, console: Console, pace: Pace) -> None:
        self._console, self._pace = console, pace

    def planned(self, symbol: str, windows: int) -> None:  # noqa: ARG002  the protocol's
        self._pace.symbols_planned += 1
        self._pace.windows_planned += windows

    def page_stored(self, symbol: str, timeframe: Timeframe, bars: int) -> None:  # noqa: ARG002
        self._pace.bars += bars

    def window_done(self, symbol: str) -> None:  # noqa: ARG002
        self._pace.windows_done += 1

    def symbol_done(self, outcome: SymbolOutcome) -> None:
        self._pace.symbols_done += 1
        line = f"{self._count(self._pace.symbols_done)}  {one_line(outcome)}"
        self._console.print(line)
        told.info("%s", Text.from_markup(line).plain)

    def _count(self, number: int) -> str:
        digits = len(str(self._pace.symbols))
        return f"{number:>{digits}}/{self._pace.symbols}"

    def tick(self) -> None:
        pace = self._pace
        self._console.print(
            f"{pace.windows_done} of {pace.windows_planned} requests answered; {pace.speed()}; {pace.limit()}"
        )


class _Live(_Lines):
    """For a terminal: the same lines, and below them bars that move."""

    def __init__(self, live: Progress, pace: Pace) -> None:
        super().__init__(live.console, pace)
        self._live = live
        self._requests = live.add_task("requests", total=None, state="")
        self._symbols = live.add_task("symbols ", total=pace.symbols, state="")

    def tick(self) -> None:
        pace = self._pace
        total = pace.windows_planned or None
        self._live.update(self._requests, completed=pace.windows_done, total=total, state=pace.limit())
        self._live.update(self._symbols, completed=pace.symbols_done, state=pace.speed())
