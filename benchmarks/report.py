"""How figures are taken and shown: medians of alternating runs, a table for people, a dict for programs."""

import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
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


def at_least(name: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f">= {bound:g}", value >= bound)


def at_most(name: str, value: float, bound: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"<= {bound:g}", value <= bound)


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


def show(title: str, figures: list[Figure]) -> None:
    """Print the figures as a table on stderr."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in ("figure", "value", "", "bound", ""):
        table.add_column(name, justify="right" if name == "value" else "left")
    for f in figures:
        mark = "" if not f.bound else "[green]holds[/]" if f.holds else "[red]MISSED[/]"
        table.add_row(f.name, f"{f.value:,.3f}" if f.value < 100 else f"{f.value:,.0f}", f.unit, f.bound, mark)
    Console(file=sys.stderr).print(table)


def document(figures: list[Figure]) -> list[Mapping[str, object]]:
    """The figures for programs."""
    return [
        {"name": f.name, "value": f.value, "unit": f.unit, "bound": f.bound, "holds": f.holds} for f in figures
    ]
