"""What the database knows of runs, gaps and series, for those who watch over it: reads only."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from lib import sql
from lib.alerts import GapSeen
from lib.store import gaps, runs, symbols
from lib.store.database import Database
from lib.store.outage import outlasting
from lib.store.series_status import SeriesColumns, read_series
from lib.symbols import Instrument
from lib.timeframe import Timeframe


@outlasting
class Records:
    """Reads of one database; each question by indexes, none looks at bars or audited counts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outage = database.outage

    async def runs(
        self,
        scripts: Sequence[str] | None = None,
        since: datetime | None = None,
        *,
        failed_only: bool = False,
        limit: int = 20,
    ) -> list[dict[str, Any]]:
        """The last runs, newest first; None for no restriction."""
        async with self._database.connection() as connection:
            return await runs.read_runs(connection, scripts, since, failed_only=failed_only, limit=limit)

    async def run_statistics(self) -> list[dict[str, Any]]:
        """How the last 30 runs of each script went, by script."""
        async with self._database.connection() as connection:
            return await runs.read_run_statistics(connection)

    async def rights(self) -> dict[str, Any]:
        """What the role may do, and which server and schema it works with."""
        async with self._database.connection() as connection:
            return dict((await connection.fetch(sql.load("read_rights")))[0])

    async def script_figures(self) -> list[tuple[Any, ...]]:
        """What each script did last, and when it was last complete, by script."""
        async with self._database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql.load("read_script_figures"))]

    async def open_gaps(
        self,
        symbols: Sequence[str] | None = None,
        timeframes: Sequence[Timeframe] | None = None,
        dates: tuple[date | None, date | None] = (None, None),
    ) -> list[dict[str, Any]]:
        """The open gaps, by symbol, timeframe and date; None for no restriction."""
        async with self._database.connection() as connection:
            return await gaps.list_gaps(connection, symbols, timeframes, dates, filled_too=False)

    async def watched_gaps(self) -> list[GapSeen]:
        """The open gaps of the active symbols in their timeframes: those that somebody is to be told of."""
        async with self._database.connection() as connection:
            return await gaps.watched_gaps(connection)

    async def series(
        self, names: Sequence[str] | None, timeframes: Sequence[Timeframe] | None
    ) -> list[SeriesColumns]:
        """How far each series is, by timeframe; None: every active symbol, each one's timeframes."""
        async with self._database.connection() as connection:
            return await read_series(connection, names, timeframes)

    async def instruments(self, names: Sequence[str] | None) -> list[Instrument]:
        """The tracked instruments of these names, active or not; None: every active one."""
        async with self._database.connection() as connection:
            return await symbols.read_instruments(connection, names)

    async def last_plan(self, scripts: Sequence[str]) -> str | None:
        """The plan that the last run of *scripts* was told of; None if it was not told of any."""
        async with self._database.connection() as connection:
            plan: str | None = await connection.fetchval(sql.load("read_last_plan"), list(scripts))
        return plan

    async def symbols(self, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The tracked symbols, paused ones too, with what is stored of them, by name; None: all."""
        wanted = None if names is None else list(names)
        async with self._database.connection() as connection:
            return [dict(row) for row in await connection.fetch(sql.load("read_symbol_records"), wanted)]
