"""The completeness matrix as a table: symbols by timeframes, each cell with its sign and its words."""

from collections.abc import Sequence
from math import floor

from lib.gaps import MEANING, Cell, Sign
from lib.page.markup import Markup, joined, tag
from lib.page.words import Shown, many, unit_of
from lib.timeframe import Timeframe

NOT_ASKED = Cell(Sign.NOT_ASKED)


def matrix(symbols: Sequence[Shown]) -> Markup:
    """The table, with a legend of the signs it uses; each symbol leads to its calendar: ``#s0``, ``#s1``."""
    timeframes = [tf for tf in Timeframe if any(tf in shown.series for shown in symbols)]
    head = tag("tr", tag("th", "symbol", scope="col"), *(tag("th", tf, scope="col") for tf in timeframes))
    rows = [_row(number, shown, timeframes) for number, shown in enumerate(symbols)]
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="matrix")
    return joined(table, _legend(symbols, timeframes))


def _row(number: int, shown: Shown, timeframes: Sequence[Timeframe]) -> Markup:
    name = tag("th", tag("a", shown.symbol, href=f"#s{number}"), scope="row")
    cells = shown.cells
    drawn = (_cell(cells.get(tf, NOT_ASKED), unit_of(tf)) for tf in timeframes)
    return tag("tr", name, *drawn, data_symbol=shown.symbol, data_lacking=shown.lacking, data_order=number)


def _cell(cell: Cell, unit: str) -> Markup:
    told = MEANING[cell.sign]
    if cell.expected:
        told += f": {cell.complete:,} of {many(cell.expected, unit)}"
    percent = tag("small", f"{floor(cell.percent)}%") if cell.sign is Sign.PARTIAL else ""
    sign = tag("span", cell.sign, aria_hidden="true")
    return tag(
        "td", sign, percent, tag("span", told, class_="aside"), class_=cell.sign.name.lower(), title=told
    )


def _legend(symbols: Sequence[Shown], timeframes: Sequence[Timeframe]) -> Markup:
    used = {shown.cells.get(tf, NOT_ASKED).sign for shown in symbols for tf in timeframes}
    entries = (
        tag("li", tag("span", sign, class_=f"sign {sign.name.lower()}"), " ", MEANING[sign])
        for sign in Sign
        if sign in used
    )
    return tag("ul", *entries, class_="legend")
