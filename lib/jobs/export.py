"""The way out: stored bars, on the basis one asks for, series after series, page by page."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from lib.actions import Basis
from lib.coverage import Range
from lib.errors import SymbolUnknown
from lib.store.database import Database
from lib.store.reading import BarReader, Rows, reading
from lib.store.symbols import read_instruments
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.zones import day_number, day_of, midnight_ms

_EVER = (date(1970, 1, 1), date(2099, 12, 31))


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export. *symbols* None: every active one; *timeframes* None: each symbol's own.

    *start*, *end*: inclusive local dates of the bars' starts; None: from the first, to the last.
    *moment*: splits and dividends up to then count. *features*: their columns beside the bars'.
    """

    symbols: Sequence[str] | None
    timeframes: tuple[Timeframe, ...] | None
    basis: Basis
    moment: datetime
    start: date | None = None
    end: date | None = None
    features: bool = False

    def span(self, instrument: Instrument) -> Range:
        """The stamps asked for of one instrument."""
        first, last = self.start or _EVER[0], self.end or _EVER[1]
        following = day_of(day_number(last) + 1)
        return midnight_ms(first, instrument.zone), midnight_ms(following, instrument.zone)


@dataclass(slots=True)
class Exported:
    """What was written: rows by symbol and timeframe."""

    rows: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(sum(series.values()) for series in self.rows.values())


class Sink(Protocol):
    """Takes rows, page by page."""

    def write(self, symbol: str, timeframe: Timeframe, rows: Rows, /) -> None: ...


async def export_bars(database: Database, request: ExportRequest, sink: Sink) -> Exported:
    """Hand the bars asked for to *sink*, series after series, all of one state of the database.

    Raises SymbolUnknown, before anything is written, for a symbol that is not tracked.
    """
    exported = Exported()
    instruments = await _instruments(database, request.symbols)
    async with reading(database, request.moment) as reader:
        for instrument in instruments:
            counts = exported.rows[instrument.symbol] = {}
            for timeframe in request.timeframes or instrument.timeframes:
                counts[timeframe] = await _export(reader, instrument, timeframe, request, sink)
    return exported


async def _export(
    reader: BarReader, instrument: Instrument, timeframe: Timeframe, request: ExportRequest, sink: Sink
) -> int:
    count = 0
    async for rows in reader.pages(
        instrument, timeframe, request.basis, request.span(instrument), features=request.features
    ):
        await asyncio.to_thread(sink.write, instrument.symbol, timeframe, rows)
        count += len(rows.bars)
    return count


async def _instruments(database: Database, symbols: Sequence[str] | None) -> list[Instrument]:
    async with database.connection() as connection:
        known = {i.symbol: i for i in await read_instruments(connection, symbols)}
    unknown = [symbol for symbol in symbols or () if symbol not in known]
    if unknown:
        raise SymbolUnknown(f"not tracked: {', '.join(unknown)}", hint="only tracked symbols have bars")
    return [known[symbol] for symbol in symbols or known]
