"""A week of nightly runs under a moved clock: a success, a partial run, three failures, the recovery."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lib.freshness import Freshness
from lib.health import Health, judge
from lib.jobs.report import Report
from lib.jobs.status import SeriesState, read_facts, stored_series
from lib.store.database import Database, open_url
from lib.store.records import Records
from lib.vendor.emulator.faults import Fault, FaultKind

SYMBOLS = ("AAPL", "BTC")


@dataclass(frozen=True)
class Day:
    """A night's run: when it begins, and what is wrong with the vendor."""

    name: str
    at: datetime
    faults: tuple[Fault, ...] = ()


def _night(day: int) -> datetime:
    return datetime(2025, 11, day, 2, tzinfo=UTC)


DOWN = (Fault(kind=FaultKind.ERROR_JSON),)
WITHOUT_BTC = (Fault(kind=FaultKind.ERROR_JSON, path="X:BTCUSD"),)

# From Tuesday to Sunday; Saturday's run is the first to see Friday whole.
WEEK = (
    Day("success", _night(11)),
    Day("partial", _night(12), WITHOUT_BTC),
    Day("failure 1", _night(13), DOWN),
    Day("failure 2", _night(14), DOWN),
    Day("failure 3", _night(15), DOWN),
    Day("recovery", _night(16)),
)


class Week:
    """Plays the days of WEEK, one after the other, on the test's database, and says what is known then."""

    def __init__(self, bench, clock, database: Database) -> None:
        self.bench = bench
        self.clock = clock
        self.database = database
        self.records = Records(database)

    async def play(self, day: Day) -> Report:
        """Run the master of *day*; the clock stands at its end afterwards."""
        self.clock.moment = day.at
        self.bench.emulator.change(faults=day.faults)
        return await self.bench.run(
            ",".join(SYMBOLS), days=5, gap_retries=0, max_attempts=1, script="master_backfill"
        )

    async def series(self) -> list[SeriesState]:
        """How far each series is, by the clock."""
        return await stored_series(self.database, self.clock)

    async def freshness(self) -> dict[str, Freshness]:
        """The word of each symbol's minutes."""
        return {one.symbol: one.freshness for one in await self.series() if one.timeframe == "1m"}

    async def health(self) -> Health:
        """What it all comes to."""
        return judge(await read_facts(self.records, await self.series(), self.clock.now()))


@asynccontextmanager
async def open_week(bench, clock) -> AsyncIterator[Week]:
    """The week on *bench*, whose clock and whose emulator's clock is *clock*; only SYMBOLS are active."""
    await bench.fetch("UPDATE tracked_symbols SET active = symbol = ANY($1::text[])", list(SYMBOLS))
    async with open_url(bench.database_url, clock=clock) as database:
        yield Week(bench, clock, database)
