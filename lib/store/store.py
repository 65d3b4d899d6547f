"""The store as the jobs see it: each question or change behind one method, connections kept inside."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any

import asyncpg

from lib import sql
from lib.clock import Clock
from lib.coverage import LedgerRow, Range
from lib.gaps import Stretch
from lib.outcome import Busy
from lib.plan import DateRange
from lib.sessions import SessionTable
from lib.store import answers, gaps, ledger, runs, symbols
from lib.store.actions import ActionStore
from lib.store.answers import Answer
from lib.store.bars import Series, Written
from lib.store.database import Database
from lib.store.outage import outlasting
from lib.store.records import Records
from lib.symbols import Instrument
from lib.timeframe import Timeframe

LEAST_SEEN = 20  # sessions, a month: fewer tell little of what a name usually has
WRITERS = 2  # measured: two connections write 1.4 times as fast as one, three slower than two (speed.md 1.5)


@outlasting
class Store:
    """Reads and writes of one database. *busy* is the time at least one of them was under way.

    *actions*: those of splits and dividends.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._outage = database.outage
        self._writers = asyncio.Semaphore(WRITERS)
        self._series: defaultdict[tuple[str, Timeframe], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.busy = Busy(clock)
        self.records = Records(database)
        self.actions = ActionStore(self._connection, database.outage)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        with self.busy.task():
            async with self._database.connection() as connection:
                yield connection

    @asynccontextmanager
    async def _writer(
        self, instrument: Instrument, timeframe: Timeframe
    ) -> AsyncIterator[asyncpg.Connection]:
        """A connection to write with. Who only waits for the lock of its series takes no writer's place."""
        async with (
            self._series[instrument.symbol, timeframe.base],
            self._writers,
            self._connection() as connection,
        ):
            yield connection

    async def write_answer(
        self, answer: Answer, sessions: SessionTable, *, derive: bool
    ) -> dict[Timeframe, Written]:
        """Store an answer and what is derived from it, all or nothing."""
        async with self._writer(answer.instrument, answer.timeframe) as connection:
            return await answers.write_answer(connection, answer, sessions, derive=derive)

    async def derive_again(
        self, instrument: Instrument, base: Timeframe, span: Range, sessions: SessionTable, now: datetime
    ) -> dict[Timeframe, Written]:
        """Roll the stored bars of *base* in *span* up again."""
        async with self._writer(instrument, base) as connection:
            return await answers.derive_again(connection, instrument, base, span, sessions, now)

    async def find_stretches(
        self, calendar: str, zone: str, names: Sequence[str], question: gaps.Question
    ) -> dict[str, list[Stretch]]:
        """The state of every unit of some symbols of one calendar."""
        async with self._connection() as connection:
            return await gaps.find_stretches(connection, calendar, zone, names, question)

    async def series_to_note(
        self, found: Mapping[str, Mapping[Timeframe, Sequence[Stretch]]]
    ) -> list[Series]:
        """The series of *found* of which the ledger of gaps may have something to learn."""
        async with self._connection() as connection:
            return await gaps.series_to_note(connection, found)

    async def record_gaps(
        self,
        symbol: str,
        timeframe: Timeframe,
        found: Sequence[Stretch],
        scanned: tuple[date, date],
        now: datetime,
        seen: gaps.Seen,
    ) -> None:
        """Bring the ledger of gaps to what was found of one series."""
        async with self._connection() as connection:
            await gaps.record_gaps(connection, symbol, timeframe, found, scanned, now, seen)

    async def list_gaps(
        self,
        names: Sequence[str] | None,
        timeframes: Sequence[Timeframe] | None,
        dates: tuple[date | None, date | None],
        *,
        filled_too: bool,
    ) -> list[dict[str, Any]]:
        """The ledger of gaps, by symbol, timeframe and date; None for no restriction."""
        async with self._connection() as connection:
            return await gaps.list_gaps(connection, names, timeframes, dates, filled_too=filled_too)

    async def write_not_entitled(
        self, instrument: Instrument, timeframe: Timeframe, refused: Range, now: datetime
    ) -> None:
        """Record that the plan does not include a range."""
        async with self._connection() as connection:
            await answers.write_not_entitled(connection, instrument, timeframe, refused, now)

    async def read_ledgers(self, wanted: Sequence[tuple[Series, Range]]) -> list[list[LedgerRow]]:
        """For each series and range the answered ranges that overlap or touch it."""
        async with self._connection() as connection:
            return await ledger.read_ledgers(connection, wanted)

    async def audited_bars(
        self, instrument: Instrument, timeframes: Sequence[Timeframe], dates: DateRange
    ) -> dict[Timeframe, tuple[int, datetime | None, datetime | None]]:
        """How many bars are stored for *dates* by the audited counts, and the first and last stamp."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                sql.load("count_audited_bars"), instrument.symbol, timeframes, dates.start, dates.end
            )
        stored = {
            Timeframe(row["timeframe"]): (row["n_bars"], row["first_ts"], row["last_ts"]) for row in rows
        }
        return {timeframe: stored.get(timeframe, (0, None, None)) for timeframe in timeframes}

    async def bars_a_session(self, instrument: Instrument) -> float | None:
        """How many minutes a session of it has on average, by the audited counts; None where few were seen."""
        async with self._connection() as connection:
            seen: float | None = await connection.fetchval(
                sql.load("read_usual_session"), instrument.symbol, LEAST_SEEN
            )
        return seen

    async def instruments(self, names: Sequence[str] | None) -> list[Instrument]:
        """The tracked instruments of these names; None: every active one."""
        async with self._connection() as connection:
            return await symbols.read_instruments(connection, names)

    async def register(self, instrument: Instrument) -> None:
        """Track an instrument."""
        async with self._connection() as connection:
            await symbols.register(connection, instrument)

    async def start_run(
        self, run_id: str, script: str, started_at: datetime, arguments: Mapping[str, Any]
    ) -> None:
        """Record that a run began."""
        async with self._connection() as connection:
            await runs.start_run(connection, run_id, script, started_at, arguments)

    async def finish_run(self, run_id: str, end: runs.RunEnd, *, fetching: bool = False) -> None:
        """Record how a run ended. *fetching*: it was to fetch bars."""
        async with self._connection() as connection:
            await runs.finish_run(connection, run_id, end, fetching=fetching)
