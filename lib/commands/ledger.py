"""The ledger of gaps as people and programs read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.markup import escape

from lib.audit import rfc3339
from lib.clock import Clock, SystemClock
from lib.commands.backfill import ROOT, of_demo, tell_database
from lib.commands.console import Console
from lib.commands.matrix import span
from lib.commands.running import Output, set_up_logging
from lib.gaps import State, Stretch
from lib.jobs.report import Request
from lib.settings import load_settings
from lib.store.database import open_database
from lib.store.store import Store
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK

FILL = "python scripts/backfill_gaps.py fill"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which gaps are listed; None for no restriction. Of *dates* only the dates count."""

    symbols: Sequence[str] | None
    timeframes: Sequence[Timeframe] | None
    dates: Request | None
    filled_too: bool


async def show_ledger(wanted: Filter, output: Output, database_url: str | None, *, demo: bool) -> None:
    """Print the gaps of the ledger on stdout, as text or with --json as a document."""
    settings = load_settings(database_url=database_url, script_folder=ROOT)
    settings = of_demo(settings) if demo else settings
    set_up_logging(output, settings)
    tell_database(settings, output, demo=demo)
    clock = SystemClock()
    async with open_database(settings, clock=clock) as database:
        rows = await _read(Store(database, clock), wanted, clock)
    output.result({"gaps": [_document(row) for row in rows]})
    if not output.as_json:
        _show(Console(highlight=False, soft_wrap=True), rows)
        still_open = sum(not row["filled"] for row in rows)
        output.console().print(f"{still_open} open" + (f"; next: {FILL}" if still_open else ""))


async def _read(store: Store, wanted: Filter, clock: Clock) -> list[dict[str, Any]]:
    dates = wanted.dates.dates(clock.now(), NEW_YORK) if wanted.dates else None
    span = (dates.start, dates.end + timedelta(days=1)) if dates else (None, None)
    return await store.list_gaps(wanted.symbols, wanted.timeframes, span, filled_too=wanted.filled_too)


def _document(row: Row) -> dict[str, Any]:
    """A row in the words of the audit."""
    return {
        "symbol": row["symbol"],
        "timeframe": row["timeframe"],
        "start": row["gap_start"].isoformat(),
        "end": row["gap_end"].isoformat(),
        "days": row["days"],
        "state": row["state"],
        "attempts": row["attempts"],
        "reason": row["reason"],
        "detected_at": rfc3339(row["detected_at"]),
        "filled": row["filled"],
        "filled_at": rfc3339(row["filled_at"]) if row["filled"] else None,
        "run_id": row["run_id"],
    }


def _show(console: Console, rows: Iterable[Row]) -> None:
    """A line a gap, its cause below it; what several timeframes share is said once."""
    timeframes: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        timeframes.setdefault((row["symbol"], _told(row)), []).append(row["timeframe"])
    for (symbol, text), names in timeframes.items():
        console.print(f"[bold]{escape(symbol)}[/] {','.join(names)}: {text}")


def _told(row: Row) -> str:
    gap = Stretch(State(row["state"]), row["gap_start"], row["gap_end"], row["days"])
    asked = f", asked for {row['attempts']}×" if row["attempts"] else ""
    filled = f", filled {row['filled_at']:%Y-%m-%d}" if row["filled"] else ""
    text = f"{span(gap)}  {gap.state}, found {row['detected_at']:%Y-%m-%d}{asked}{filled}"
    return text + (f"\n  [dim]{escape(row['reason'])}[/]" if row["reason"] and not row["filled"] else "")
