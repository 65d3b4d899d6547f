"""What a backfill costs as the work grows: by the plan of a dry run, and measured where it is not too large."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from benchmarks.baseline import run_master
from benchmarks.processes import MB, EmulatorProcess, Finished, emulator_process, run_python
from benchmarks.report import Finding, Listing, Note
from benchmarks.schedule import COINS, LAST, STOCKS
from benchmarks.scratch import Scratch, scratch
from lib.estimate import ROW_BYTES, Purpose
from lib.vendor.emulator.simulated import SimulatedMarket

SYMBOLS, DAYS = (25, 100, 400), (30, 365, 1825)
TICKERS = 500  # in the emulator's lists, of which some are no stocks
FOR_BARS = (Purpose.MINUTES, Purpose.DAYS, Purpose.MARKET_DAYS)
NOBODY = "http://127.0.0.1:9"  # a plan that asked the vendor would fail

_REGISTER = """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar)
               SELECT name, 'stock', name, 'XNYS' FROM unnest($1::text[]) AS name ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Cell:
    """So many symbols over so many days, and the document of the dry run."""

    symbols: int
    days: int
    plan: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.symbols} x {self.days}"

    @property
    def rows(self) -> float:
        """At most: as if each name traded in every minute."""
        return float(self.plan["disk_bytes"] / ROW_BYTES)

    @property
    def planned(self) -> tuple[str | float, ...]:
        plan = self.plan
        for_bars = sum(plan["by_kind"][kind]["requests"] for kind in FOR_BARS)
        sizes = [round(plan[size] / MB) for size in ("wire_bytes", "disk_bytes")]
        return self.title, for_bars, plan["requests"], plan["pages"], *sizes


async def measure(runs: bool, most_rows: int, database_url: str | None = None) -> Sequence[Finding]:
    """The plans of all nine; *runs*: also the runs that store at most *most_rows*, without a rate limit."""
    names = _names()
    async with scratch(database_url) as databases:
        url = await _registered(databases, names)
        cells = [
            Cell(symbols, days, await _plan(url, names[:symbols], days))
            for symbols in SYMBOLS
            for days in DAYS
        ]
        head = ("symbols x days", "for bars", "requests", "pages", "MB received", "MB on disk")
        findings: list[Finding] = [
            Listing("by the plan", head, tuple(cell.planned for cell in cells)),
            Note("Bytes are upper limits: the plan counts a bar for every minute that its windows may hold."),
        ]
        if runs:
            findings.append(await _measured(databases, cells, names, most_rows))
    return findings


def _names() -> Sequence[str]:
    """The 25 that are tracked from the beginning, then further stocks of the simulated market."""
    listed = [row.ticker for row in SimulatedMarket(size=TICKERS).listings() if row.market == "stocks"]
    return list(dict.fromkeys((*STOCKS, *COINS, *listed)))[: max(SYMBOLS)]


async def _registered(databases: Scratch, names: Sequence[str]) -> str:
    """The URL of a new database in which *names* are tracked, so that none needs a look-up."""
    url = await databases.database()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_REGISTER, names)
    finally:
        await connection.close()
    return url


def _chosen(names: Sequence[str], days: int) -> tuple[str, ...]:
    dates = ("--start", str(LAST - timedelta(days=days - 1)), "--end", str(LAST))
    return "--symbols", ",".join(names), "--timeframes", "all", *dates, "--rate-limit", "0"


async def _plan(url: str, names: Sequence[str], days: int) -> Mapping[str, Any]:
    arguments = ("master_backfill.py", "--dry-run", "--json", *_chosen(names, days))
    return (await run_python(*arguments, DATABASE_URL=url, POLYGON_BASE_URL=NOBODY)).result


async def _measured(
    databases: Scratch, cells: Sequence[Cell], names: Sequence[str], most_rows: int
) -> Listing:
    """The runs from the smallest on. What a larger one will store, the one before tells, about."""
    rows, share = [], 1.0
    async with emulator_process(tickers=TICKERS) as vendor:
        for cell in sorted(cells, key=lambda cell: cell.rows):
            if cell.rows * share > most_rows:
                break
            ended = await _run(databases, vendor, names[: cell.symbols], cell.days)
            bars = ended.result["summary"]["total_records"]
            share = bars / cell.rows
            rows.append((cell.title, f"{bars:,}", ended.seconds, ended.peak_mb, bars / ended.seconds))
    head = ("symbols x days", "bars, all timeframes", "seconds", "peak MB", "bars/s")
    return Listing("the process of master_backfill.py alone", head, tuple(rows))


async def _run(databases: Scratch, vendor: EmulatorProcess, names: Sequence[str], days: int) -> Finished:
    url = await _registered(databases, names)
    ended = await run_master(vendor, url, *_chosen(names, days))
    await databases.drop(url)
    return ended
