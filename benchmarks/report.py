"""How figures are taken and shown: medians of alternating runs, tables for people, JSON for programs."""

import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. *bound*: what it must keep, e.g. "at least 0.9"; *holds*: whether it does."""

    name: str
    value: float
    unit: str
    bound: str = ""
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """Several things measured in the same way, one a row; *head* names the columns."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What follows from the figures, in a sentence."""

    text: str


Finding = Figure | Listing | Note


def at_least(name: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f">= {bound:g}", value >= bound)


def at_most(name: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"<= {bound:g}", value <= bound)


def exactly(name: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"= {bound:g}", value == bound)


def shown(name: str, value: float, unit: str = "") -> Figure:
    return Figure(name, value, unit)


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """How long *work* takes, by the wall clock."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def median_ratio(pairs: list[tuple[float, float]]) -> float:
    """The median over pairs of first / second: drift of the machine cancels within a pair."""
    return statistics.median(first / second for first, second in pairs)


def hold(findings: Sequence[Finding]) -> bool:
    """Whether every bound is kept."""
    return all(finding.holds for finding in findings if isinstance(finding, Figure))


def show(title: str, findings: Sequence[Finding]) -> None:
    """Print the listings, then the figures, as tables on stderr; the notes last."""
    console = Console(file=sys.stderr)
    figures = [finding for finding in findings if isinstance(finding, Figure)]
    for listing in (finding for finding in findings if isinstance(finding, Listing)):
        table = _table(listing.head)
        for row in listing.rows:
            table.add_row(*(cell if isinstance(cell, str) else _number(cell) for cell in row))
        console.print(f"{title}: {listing.title}", highlight=False)
        console.print(table)
    if figures:
        table = _table(("figure", "value", "", "bound", ""))
        for f in figures:
            mark = "" if not f.bound else "[green]holds[/]" if f.holds else "[red]MISSED[/]"
            table.add_row(f.name, _number(f.value), f.unit, f.bound, mark)
        console.print(title, highlight=False)
        console.print(table)
    for note in (finding for finding in findings if isinstance(finding, Note)):
        console.print(note.text, highlight=False)


def _table(head: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(head):
        words = number == 0 or name in ("", "bound")
        table.add_column(name, justify="left" if words else "right", no_wrap=number > 0)
    return table


def _number(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 100 and value != int(value) else f"{value:,.0f}"


def document(findings: Sequence[Finding]) -> Mapping[str, object]:
    """The findings for programs."""
    figures = [finding for finding in findings if isinstance(finding, Figure)]
    listings = [finding for finding in findings if isinstance(finding, Listing)]
    return {
        "figures": [
            {"name": f.name, "value": f.value, "unit": f.unit, "bound": f.bound, "holds": f.holds}
            for f in figures
        ],
        "listings": {
            listing.title: [dict(zip(listing.head, row, strict=True)) for row in listing.rows]
            for listing in listings
        },
        "notes": [finding.text for finding in findings if isinstance(finding, Note)],
    }
