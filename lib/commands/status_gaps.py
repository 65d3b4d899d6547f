"""``backfill_status.py gaps``: the open gaps, the longest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from lib.audit import rfc3339
from lib.commands.status_reading import Place, Reading, reading, watched
from lib.commands.tables import fitted_table, result_console
from lib.timeframe import Timeframe

Row = Mapping[str, Any]

COLUMNS = ("symbol", "timeframes", "from", "to", "sessions", "state", "found", "asked", "reason")
LEFT = ("symbol", "timeframes", "from", "to", "state", "found", "reason")
LEAST_MISSED = ("reason", "asked", "found")
FILL = "python scripts/backfill_gaps.py fill"


async def show_gaps(
    symbols: Sequence[str] | None,
    timeframes: Sequence[Timeframe] | None,
    limit: int,
    place: Place,
    every_seconds: int | None,
) -> int:
    """Print the open gaps on stdout, as a table or with --json as a document."""
    async with reading(place) as opened:

        async def show() -> int:
            await _show(symbols, timeframes, limit, place, opened)
            return 0

        return await watched(show, every_seconds, opened.clock)


async def _show(
    symbols: Sequence[str] | None,
    timeframes: Sequence[Timeframe] | None,
    limit: int,
    place: Place,
    opened: Reading,
) -> None:
    shared = sorted(merged(await opened.records.open_gaps(symbols, timeframes)), key=_longest_first)
    place.output.result({"gaps": [_document(row) for row in shared]})
    if not place.output.as_json:
        print_gaps(result_console(), shared, limit)


def merged(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The gaps with what several timeframes of a symbol share as one, their names in ``timeframes``."""
    shared: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("symbol", "gap_start", "gap_end", "state", "reason"))
        one = shared.setdefault(key, {**row, "timeframes": []})
        one["timeframes"].append(row["timeframe"])
        one["detected_at"] = min(one["detected_at"], row["detected_at"])
        one["attempts"] = max(one["attempts"], row["attempts"])
    return list(shared.values())


def _longest_first(row: Row) -> tuple[Any, ...]:
    return -row["days"], row["symbol"], row["gap_start"]


def _document(row: Row) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "timeframes": row["timeframes"],
        "start": row["gap_start"].isoformat(),
        "end": row["gap_end"].isoformat(),
        "days": row["days"],
        "state": row["state"],
        "attempts": row["attempts"],
        "reason": row["reason"],
        "detected_at": rfc3339(row["detected_at"]),
    }


def print_gaps(console: Console, rows: Sequence[Row], limit: int) -> None:
    """The gaps as a table, and what to type about them."""
    if not rows:
        console.print("no open gap")
        return
    cells = [_cells(row) for row in rows[:limit]]
    console.print(fitted_table(console, COLUMNS, cells, left=LEFT, least_missed=LEAST_MISSED))
    if len(rows) > limit:
        console.print(f"… and {len(rows) - limit} more (--limit)")
    console.print(f"next: {FILL}")


def _cells(row: Row) -> dict[str, str]:
    last = row["gap_end"].fromordinal(row["gap_end"].toordinal() - 1)
    return {
        "symbol": escape(row["symbol"]),
        "timeframes": ",".join(row["timeframes"]),
        "from": str(row["gap_start"]),
        "to": str(last),
        "sessions": str(row["days"]),
        "state": row["state"],
        "found": f"{row['detected_at']:%Y-%m-%d}",
        "asked": f"{row['attempts']}×" if row["attempts"] else "",
        "reason": escape(row["reason"] or ""),
    }
