"""``backfill_status.py freshness`` and ``matrix``: how old and how complete every series is."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from rich.console import Console
from rich.markup import escape

from lib.audit import rfc3339_ms
from lib.clock import from_ms
from lib.commands.backfill import Job, execute
from lib.commands.matrix import show_matrix
from lib.commands.options import DEFAULT_DAYS
from lib.commands.status_reading import Place, Reading, hours, minute, reading, watched
from lib.commands.tables import fitted_table, result_console
from lib.freshness import Freshness, worst
from lib.gaps import Matrix
from lib.jobs.report import Pacing, Request, completeness
from lib.jobs.status import SeriesState, matrix_of, stored_series
from lib.timeframe import Timeframe
from lib.wiring import VendorTerms

STYLE = {
    Freshness.FRESH: "green",
    Freshness.AGING: "cyan",
    Freshness.STALE: "yellow",
    Freshness.OLDER: "bold red",
    Freshness.MISSING: "bold red",
}
SHORT = {Freshness.PENDING: "…", Freshness.EMPTY: "∅", Freshness.NOT_ENTITLED: "⊘"}
LACKING = (Freshness.AGING, Freshness.STALE, Freshness.OLDER, Freshness.MISSING)
MANY_REASONS = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which series are looked at; None: every active symbol, each one's timeframes, the last run's plan."""

    symbols: Sequence[str] | None
    timeframes: tuple[Timeframe, ...] | None
    plan: str | None


async def show_freshness(wanted: Wanted, limit: int, place: Place, every_seconds: int | None) -> int:
    """Print how old each series is on stdout, as a table or with --json as a document."""
    async with reading(place) as opened:

        async def show() -> int:
            series = await _read(wanted, opened)
            if place.output.as_json:
                place.output.result(freshness_document(series))
            else:
                print_freshness(result_console(), series, limit)
            return 0

        return await watched(show, every_seconds, opened.clock)


async def show_stored_matrix(
    wanted: Wanted, place: Place, every_seconds: int | None, *, worst_first: bool
) -> int:
    """Print how complete each series is on stdout, as the records say it, without looking at a bar."""
    async with reading(place) as opened:

        async def show() -> int:
            matrix = matrix_of(await _read(wanted, opened))
            if place.output.as_json:
                place.output.result(matrix_document(matrix))
            else:
                show_matrix(result_console(), matrix, worst_first=worst_first)
            return 0

        return await watched(show, every_seconds, opened.clock)


async def _read(wanted: Wanted, opened: Reading) -> list[SeriesState]:
    return await stored_series(opened.database, opened.clock, wanted.plan, wanted.symbols, wanted.timeframes)


async def fill(wanted: Wanted, terms: VendorTerms, place: Place, arguments: Mapping[str, Any]) -> int:
    """Backfill every series of which a bar that is due lacks, by the job of the master; its exit status."""
    async with reading(place) as opened:
        series = [one for one in await _read(wanted, opened) if one.freshness in LACKING]
        today = opened.clock.now().date()
    if not series:
        place.output.console().print("nothing that is due lacks")
        place.output.result({"status": "complete", "filled": []})
        return 0
    since = today - timedelta(days=DEFAULT_DAYS - 1)
    reached = [from_ms(ms).date() if (ms := one.reached_ms) else since for one in series]
    # A day earlier: dates are those of the markets, and a bar that was there is not asked for again.
    start = min(min(reached) - timedelta(days=1), today)
    job = Job(
        script="backfill_status freshness",
        symbols=sorted({one.symbol for one in series}),
        request=Request(wanted.timeframes, None, start, None),
        pacing=Pacing(),
        terms=terms,
        audit_path=None,
        exclusive=True,
        gap_retries=2,
        dry_run=False,
        demo=place.demo,
        database_url=place.database_url,
        arguments=arguments,
    )
    return await execute(job, place.output)


def freshness_document(series: Sequence[SeriesState]) -> dict[str, Any]:
    """The freshness for --json."""
    instant = cache(_instant)  # most series have theirs in common with others
    return {
        "series": [
            {
                "symbol": one.symbol,
                "timeframe": one.timeframe,
                "freshness": one.freshness,
                "age_hours": None if one.age_ms is None else round(one.age_ms / 3_600_000, 2),
                "first": instant(one.first_ms),
                "last": instant(one.last_ms),
                "reached": instant(one.reached_ms),
                "bars": one.bars,
                "gaps": one.gaps,
                "attempted_at": instant(one.attempted_ms),
                "failures": one.failures,
                "error": one.error,
            }
            for one in series
        ],
        "counts": _counts(series),
    }


def _instant(t_ms: int | None) -> str | None:
    return rfc3339_ms(t_ms) if t_ms else None


def matrix_document(matrix: Matrix) -> dict[str, Any]:
    """The matrix for --json."""
    return {"matrix": completeness(matrix)}


def _counts(series: Sequence[SeriesState]) -> dict[str, int]:
    found = Counter(one.freshness for one in series)
    return {str(word): found[word] for word in Freshness if found[word]}


def print_freshness(console: Console, series: Sequence[SeriesState], limit: int) -> None:
    """A row a symbol, the worst first; why the last attempt failed; how many series are of which age."""
    if not series:
        console.print("no symbol is tracked")
        return
    symbols: dict[str, list[SeriesState]] = {}
    for one in series:
        symbols.setdefault(one.symbol, []).append(one)
    ordered = sorted(symbols.items(), key=_worst_first)
    timeframes = [tf for tf in Timeframe if any(one.timeframe is tf for one in series)]
    columns = ["symbol", *map(str, timeframes), "behind", "newest (UTC)"]
    rows = [_cells(symbol, some) for symbol, some in ordered[:limit]]
    console.print(fitted_table(console, columns, rows, left=columns, least_missed=("newest (UTC)", "behind")))
    if len(ordered) > limit:
        console.print(f"… and {len(ordered) - limit} more, none of them worse (--limit)")
    for line in failure_lines(series)[:MANY_REASONS]:
        console.print(line, soft_wrap=True)
    console.print(", ".join(f"{count} {word}" for word, count in _counts(series).items()))
    lacking = [s for s, some in ordered if any(one.freshness in LACKING for one in some)]
    if lacking:
        only = ["--symbols", ",".join(sorted(lacking))] if len(lacking) <= MANY_REASONS else []
        command = shlex.join(["python", "scripts/backfill_status.py", "freshness", *only, "--fill"])
        console.print(f"next: {command}", soft_wrap=True)


def _worst_first(item: tuple[str, list[SeriesState]]) -> tuple[Any, ...]:
    symbol, some = item
    order = [Freshness.MISSING, Freshness.OLDER, Freshness.STALE, Freshness.AGING]
    word = worst([one.freshness for one in some])
    oldest = max((one.age for one in some if one.age is not None), default=timedelta(0))
    return order.index(word) if word in order else len(order), -oldest, symbol


def _cells(symbol: str, some: Sequence[SeriesState]) -> dict[str, str]:
    cells = {"symbol": escape(symbol)}
    for one in some:
        word = one.freshness
        text = SHORT.get(word, str(word))
        cells[one.timeframe] = f"[{STYLE[word]}]{text}[/]" if word in STYLE else text
    ages = [one.age for one in some if one.age is not None]
    newest = [one.last for one in some if one.last is not None]
    cells["behind"] = hours(max(ages)) if ages else ""
    cells["newest (UTC)"] = minute(max(newest)) if newest else ""
    return cells


def failure_lines(series: Sequence[SeriesState]) -> list[str]:
    """Why the last attempt failed, as markup, a line a symbol and reason."""
    reasons: dict[tuple[str, str], list[SeriesState]] = {}
    for one in series:
        if one.error:
            reasons.setdefault((one.symbol, one.error), []).append(one)
    return [
        f"[bold]{escape(symbol)}[/] {','.join(one.timeframe for one in some)}: failed "
        f"{max(one.failures for one in some)}× in a row: {escape(error)}"
        for (symbol, error), some in reasons.items()
    ]
