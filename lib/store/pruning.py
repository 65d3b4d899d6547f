"""What is dropped from a database on purpose, and what is remembered of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from lib import sql
from lib.clock import from_ms
from lib.store.bars import Series
from lib.store.database import Database
from lib.store.ledger import read_ledger, write_ledger
from lib.store.locks import lock_series
from lib.store.series_status import restate_series
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.zones import midnight_ms

_LAST_MS = 253_402_300_799_000  # the end of year 9999


@dataclass(frozen=True, slots=True)
class Records:
    """What runs and alerts left behind: audits, results by series, ended alerts."""

    audits: int
    results: int
    alerts: int


class Pruning:
    """Counts and drops, each change whole or not at all and with its series locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mergeable(self) -> list[tuple[Series, int]]:
        """The series whose ledger has rows that can be one, and how many would go."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.load("read_mergeable"))
        return [(Series(row["symbol"], Timeframe(row["timeframe"])), row["surplus"]) for row in rows]

    async def merge(self, series: Series) -> None:
        """Make one of ledger rows of final data that touch: the rule the write path merges by."""
        async with self._database.connection() as connection, connection.transaction():
            await lock_series(connection, series.symbol, series.timeframe.base)
            stored = await read_ledger(connection, series, 0, _LAST_MS)
            await write_ledger(connection, series, stored, [])

    async def old_records(self, before: datetime) -> Records:
        """What there is of runs and alerts that ended before *before*."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.load("count_old_records"), before)
        return Records(*rows[0])

    async def drop_records(self, before: datetime) -> None:
        """Drop it; the runs themselves stay."""
        async with self._database.connection() as connection:
            await connection.execute(sql.load("drop_old_records"), before)

    async def old_bars(self, series: Series, before: date) -> int:
        """How many bars of *series* have dates before *before*, by the audited counts."""
        async with self._database.connection() as connection:
            count: int = await connection.fetchval(
                sql.load("count_old_bars"), series.symbol, series.timeframe, before
            )
        return count

    async def drop_bars(
        self, instrument: Instrument, timeframe: Timeframe, before: date, now: datetime
    ) -> None:
        """Drop the bars of a series with dates before *before*, and remember that they are not wanted."""
        instant = from_ms(midnight_ms(before, instrument.zone))
        async with self._database.connection() as connection, connection.transaction():
            await lock_series(connection, instrument.symbol, timeframe.base)
            await connection.execute(sql.load("drop_old_bars"), instrument.symbol, timeframe, instant, before)
            await connection.execute(sql.load("write_retention"), instrument.symbol, timeframe, before, now)
            await restate_series(connection, instrument.symbol, timeframe)

    async def lift(self, instrument: Instrument, timeframes: Sequence[Timeframe]) -> list[Timeframe]:
        """Want the old bars of some series again, as if never answered; which of them had been dropped."""
        lifted = []
        async with self._database.connection() as connection, connection.transaction():
            for timeframe in timeframes:
                await lock_series(connection, instrument.symbol, timeframe.base)
                kept_from = await connection.fetchval(
                    sql.load("lift_retention"), instrument.symbol, timeframe
                )
                if kept_from is None:
                    continue
                lifted.append(timeframe)
                series, end = Series(instrument.symbol, timeframe), midnight_ms(kept_from, instrument.zone)
                stored = await read_ledger(connection, series, 0, end)
                await write_ledger(connection, series, stored, [], holes=[(0, end)])
        return lifted
