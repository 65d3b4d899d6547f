"""Tidying up: first what would go, then, if asked, it goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from lib.clock import Clock
from lib.store.bars import Series
from lib.store.database import Database
from lib.store.pruning import Pruning, Records
from lib.symbols import Instrument
from lib.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class OldBars:
    """Bars of one series with dates before *before*."""

    instrument: Instrument
    timeframe: Timeframe
    before: date
    bars: int


@dataclass(frozen=True, slots=True)
class Surplus:
    """What could go. *records*: of runs and alerts that ended before *records_before*."""

    ledger: Sequence[tuple[Series, int]]
    records: Records
    records_before: datetime
    bars: Sequence[OldBars]

    @property
    def ledger_rows(self) -> int:
        return sum(rows for _, rows in self.ledger)


async def find_surplus(
    database: Database,
    records_before: datetime,
    instruments: Sequence[Instrument] = (),
    timeframes: Sequence[Timeframe] = (),
    bars_before: date | None = None,
) -> Surplus:
    """What could go; bars only with *bars_before*, of *timeframes* of *instruments*. Changes nothing."""
    pruning = Pruning(database)
    bars = []
    if bars_before is not None:
        for instrument in instruments:
            for timeframe in timeframes:
                count = await pruning.old_bars(Series(instrument.symbol, timeframe), bars_before)
                bars.append(OldBars(instrument, timeframe, bars_before, count))
    return Surplus(await pruning.mergeable(), await pruning.old_records(records_before), records_before, bars)


async def drop(database: Database, surplus: Surplus, clock: Clock) -> None:
    """Let it go, series by series: stopped in between, what was not come to is still whole."""
    pruning = Pruning(database)
    for series, _ in surplus.ledger:
        await pruning.merge(series)
    await pruning.drop_records(surplus.records_before)
    for old in surplus.bars:
        await pruning.drop_bars(old.instrument, old.timeframe, old.before, clock.now())
