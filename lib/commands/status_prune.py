"""``backfill_status.py prune``: what could go, and letting it go."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from rich.console import Console

from lib.commands.status_reading import Place, Reading, reading
from lib.commands.tables import result_console
from lib.errors import UsageError
from lib.jobs.prune import Surplus, drop, find_surplus
from lib.store.locks import run_lock
from lib.store.pruning import Pruning
from lib.symbols import Instrument
from lib.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Wanted:
    """As typed and checked. *before*: bars of *timeframes* of *symbols* (None: all active) older than that."""

    older_than_days: int
    before: date | None
    timeframes: Sequence[Timeframe]
    symbols: Sequence[str] | None
    lift: bool
    apply: bool


async def prune(wanted: Wanted, place: Place) -> int:
    """Print what would go or, with *apply*, goes. Raises UsageError, LockHeld."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(reading(place))
        if wanted.apply:
            # A run must not be counting what is just being dropped.
            await stack.enter_async_context(run_lock(opened.database, clock=opened.clock))
        instruments = await _instruments(wanted, opened)
        if wanted.lift:
            return await _lift(wanted, instruments, opened, place)
        before = opened.clock.now() - timedelta(days=wanted.older_than_days)
        surplus = await find_surplus(opened.database, before, instruments, wanted.timeframes, wanted.before)
        if wanted.apply:
            await drop(opened.database, surplus, opened.clock)
    place.output.result(_document(surplus, applied=wanted.apply))
    if not place.output.as_json:
        _show(result_console(), surplus, applied=wanted.apply)
    return 0


async def _instruments(wanted: Wanted, opened: Reading) -> list[Instrument]:
    if wanted.before is None and not wanted.lift:
        return []
    found = await opened.records.instruments(wanted.symbols)
    unknown = set(wanted.symbols or ()) - {instrument.symbol for instrument in found}
    if unknown:
        raise UsageError(f"not tracked: {', '.join(sorted(unknown))}")
    return found


async def _lift(wanted: Wanted, instruments: Sequence[Instrument], opened: Reading, place: Place) -> int:
    lifted = {
        one.symbol: [tf for tf in wanted.timeframes if one.kept_from(tf) is not None] for one in instruments
    }
    if wanted.apply:
        for one in instruments:
            await Pruning(opened.database).lift(one, wanted.timeframes)
    place.output.result({"applied": wanted.apply, "lifted": {s: tfs for s, tfs in lifted.items() if tfs}})
    if not place.output.as_json:
        console = result_console()
        for symbol, timeframes in lifted.items():
            if timeframes:
                console.print(f"{symbol}: old bars of {', '.join(timeframes)} are wanted again")
        _next(console, applied=wanted.apply)
    return 0


def _show(console: Console, surplus: Surplus, *, applied: bool) -> None:
    records = surplus.records
    console.print(f"ledger    {surplus.ledger_rows:,} rows of {len(surplus.ledger)} series merge with others")
    console.print(
        f"records   {records.audits:,} audits, {records.results:,} results and {records.alerts:,} ended alerts "
        f"from before {surplus.records_before:%Y-%m-%d}"
    )
    for old in surplus.bars:
        console.print(f"bars      {old.instrument.symbol} {old.timeframe}: {old.bars:,} before {old.before}")
    if any(old.bars for old in surplus.bars):
        console.print("          not missed from then on; features of these series are computed anew")
    _next(console, applied=applied)


def _next(console: Console, *, applied: bool) -> None:
    console.print("done" if applied else "nothing was changed; --apply does it")


def _document(surplus: Surplus, *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "ledger_rows": surplus.ledger_rows,
        "audits": surplus.records.audits,
        "results": surplus.records.results,
        "alerts": surplus.records.alerts,
        "bars": [
            {
                "symbol": old.instrument.symbol,
                "timeframe": old.timeframe,
                "before": old.before.isoformat(),
                "bars": old.bars,
            }
            for old in surplus.bars
        ],
    }
