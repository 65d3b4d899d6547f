"""The whole toolkit in process, on a database and an emulator of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from lib.clock import Clock, SystemClock
from lib.jobs.report import Pacing, Report, Request, new_report
from lib.jobs.run import carry_out
from lib.outcome import SymbolOutcome
from lib.sessions import Plans
from lib.settings import Secret, Settings
from lib.store.database import open_url
from lib.timeframe import Timeframe, parse_timeframes
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.wiring import Toolkit, VendorTerms, open_toolkit
from tests.emulator import Emulator
from tests.end_to_end.week import Week, open_week
from tests.leaks import KEY, with_password


class JumpClock:
    """A clock that stands at *now* but for the waits, which pass at once; tests move it."""

    def __init__(self, now: datetime) -> None:
        self.moment = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=max(0.0, seconds))
        await asyncio.sleep(0)


class Silent:
    """A progress display that shows nothing."""

    def planned(self, symbol: str, windows: int) -> None: ...
    def page_stored(self, symbol: str, timeframe: Timeframe, bars: int) -> None: ...
    def window_done(self, symbol: str) -> None: ...
    def symbol_done(self, outcome: SymbolOutcome) -> None: ...


@dataclass
class Workbench:
    """Runs jobs in process against one database and one emulator."""

    database_url: str
    emulator: Emulator
    clock: Clock = field(default_factory=SystemClock)

    @property
    def settings(self) -> Settings:
        return Settings(
            Path("/nonexistent"), Secret(KEY), self.emulator.url, with_password(self.database_url)
        )

    @asynccontextmanager
    async def toolkit(self, **terms) -> AsyncIterator[Toolkit]:
        # What waits on a clock that jumps, moves it: nothing may, beside the test.
        terms = VendorTerms(**{"shared": not isinstance(self.clock, JumpClock), **terms})
        async with (
            open_url(self.database_url, clock=self.clock) as database,
            open_toolkit(self.settings, terms, self.clock, database) as toolkit,
        ):
            yield toolkit

    async def run(
        self,
        symbols,
        timeframes="all",
        start=None,
        end=None,
        *,
        days=None,
        derive=True,
        concurrent=3,
        gap_retries=None,
        recheck=False,
        script="test",
        actions=False,
        **terms,
    ) -> Report:
        request = Request(
            parse_timeframes(timeframes),
            days,
            date.fromisoformat(start) if start else None,
            date.fromisoformat(end) if end else None,
            derive,
            recheck,
        )
        report = new_report(script, self.settings, request, Pacing(concurrent), self.clock)
        async with self.toolkit(**{"rate_limit": 0, "plans": Plans(), **terms}) as toolkit:
            names = symbols.split(",")
            self.audit = await carry_out(
                toolkit, names, report, Silent(), {}, gap_retries=gap_retries, actions=actions
            )
        return report

    async def fetch(self, query: str, *arguments):
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def tables(self):
        """What a run leaves: bars, coverage, audited counts; without what tells when."""
        bars = await self.fetch(
            """SELECT symbol, timeframe, timestamp, open, high, low, close, volume, vwap, trades, source
               FROM market_data ORDER BY 1, 2, 3"""
        )
        coverage = await self.fetch(
            """SELECT symbol, timeframe, outcome, range_agg(rng), sum(n_bars)
               FROM fetch_log GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        )
        counts = await self.fetch("SELECT * FROM session_audit ORDER BY 1, 2, 3")
        return [tuple(row) for row in bars], [tuple(row) for row in coverage], [tuple(row) for row in counts]


@pytest.fixture
def jump_clock():
    """Makes a clock for the test to move, standing at an instant such as 2025-06-10T12:00."""
    return lambda text: JumpClock(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.fixture
def workbench_of(database_url):
    """Makes the workbench of the test's database for an emulator."""
    return lambda emulator, clock=None: Workbench(database_url, emulator, clock or SystemClock())


@pytest.fixture
async def week(workbench_of, jump_clock) -> AsyncIterator[Week]:
    """A week of nightly runs to play, day by day."""
    clock = jump_clock("2025-11-11T02:00")
    async with (
        Emulator(SimulatedMarket(size=50), clock=clock) as emulator,
        open_week(workbench_of(emulator, clock), clock) as week,
    ):
        yield week
