"""``scripts/benchmark.py``: which measurement, a table, and --json."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from benchmarks.report import Figure, document, show

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")]


def _measure(title: str, work: Callable[[], Coroutine[Any, Any, list[Figure]]], as_json: bool) -> None:
    figures = asyncio.run(work())
    show(title, figures)
    if as_json:
        sys.stdout.write(json.dumps({title: document(figures)}, indent=2) + "\n")
    if not all(f.holds for f in figures):
        raise typer.Exit(3)


@app.command()
def write(
    pages: Annotated[int, typer.Option(min=2, help="Pages of 50,000 bars.")] = 10,
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs, of which the median.")] = 5,
    as_json: AsJson = False,
) -> None:
    """The write path: against a plain COPY, on an unchanged re-write, against json + executemany."""
    from benchmarks.write import measure

    _measure("write path", lambda: measure(pages, pairs), as_json)


@app.callback()
def benchmark() -> None:
    """Measure the toolkit: every figure is a ratio against something else measured in the same run."""
