"""What the database knows of runs, gaps and series, for those who watch over it: reads only."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from lib.store import gaps, runs
from lib.store.database import Database
from lib.timeframe import Timeframe


class Records:
    """Reads of one database; each question by indexes, none looks at bars or audited counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def open_gaps(
        self,
        symbols: Sequence[str] | None = None,
        timeframes: Sequence[Timeframe] | None = None,
        dates: tuple[date | None, date | None] = (None, None),
    ) -> list[dict[str, Any]]:
        """The open gaps, by symbol, timeframe and date; None for no restriction."""
        async with self._database.connection() as connection:
            return await gaps.list_gaps(connection, symbols, timeframes, dates, filled_too=False)
