"""Plain tables that fit: where the terminal is narrow, what is least missed is left out."""

import shutil
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from lib.commands.console import Console as VisibleConsole

PIPE_COLUMNS = 120


def result_console() -> Console:
    """The console for a command's result: stdout, plain if it is no terminal; as wide as COLUMNS says."""
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((PIPE_COLUMNS, 25)).columns
    return VisibleConsole(highlight=False, soft_wrap=False, width=width)


def fitted_table(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    *,
    left: Sequence[str] = (),
    least_missed: Sequence[str] = (),
) -> Table:
    """*rows* of markup by column name. *left*: columns of text; *least_missed*: to be left out, the first first.

    A column that is empty in every row is left out too.
    """
    shown = [name for name in columns if any(row.get(name) for row in rows)] or list(columns)
    everything = console.options.update(max_width=1_000)
    for name in least_missed:
        if Measurement.get(console, everything, _table(shown, rows, left)).maximum <= console.width:
            break
        if name in shown:
            shown.remove(name)
    return _table(shown, rows, left)


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, str]], left: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(row.get(name, "") for name in columns))
    return table
