"""How far the stored series are, as of now: what the records say, put against the calendar. Sends nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from lib.audit import Age, age_row, by_series
from lib.clock import Clock, from_ms, to_ms
from lib.freshness import DueClock, Freshness
from lib.gaps import Cell, Matrix, Sign
from lib.health import Facts, ScriptFacts
from lib.jobs.record import FETCHING
from lib.outcome import SymbolOutcome
from lib.sessions import Plans, SessionTable, parse_plans
from lib.store.database import Database
from lib.store.records import Records
from lib.store.series_status import SeriesColumns
from lib.timeframe import Timeframe
from lib.wiring import calendars

MARGIN = timedelta(days=14)  # enough for the whole week of the oldest bar, in any zone

_SIGNS = {
    Freshness.MISSING: Sign.MISSING,
    Freshness.PENDING: Sign.PENDING,
    Freshness.EMPTY: Sign.EMPTY,
    Freshness.NOT_ENTITLED: Sign.NOT_ENTITLED,
}


class SeriesState(NamedTuple):
    """One series: how old it is, what is stored of it, its open gaps, and how the last attempt went.

    What ``Ages`` and ``SeriesColumns`` say of it; instants in ms since 1970-01-01 UTC, 0: none.
    """

    symbol: str
    timeframe: Timeframe
    freshness: Freshness
    age_ms: int | None
    reached_ms: int | None
    expected: int
    lacking: int
    bars: int
    first_ms: int
    last_ms: int
    gaps: int
    gap_days: int
    attempted_ms: int
    failures: int
    error: str | None

    @property
    def age(self) -> timedelta | None:
        """In market time; None without a bar."""
        return None if self.age_ms is None else timedelta(milliseconds=self.age_ms)

    @property
    def last(self) -> datetime | None:
        """When its newest bar begins."""
        return from_ms(self.last_ms) if self.last_ms else None

    @property
    def cell(self) -> Cell:
        """Its cell of the matrix: of the units since its first bar, those that are neither a gap nor lacking."""
        if not self.last_ms:
            return Cell(_SIGNS[self.freshness])
        if not (self.gap_days or self.lacking):
            return Cell(Sign.COMPLETE, self.expected, self.expected)
        # A gap at the end that a scan has noted lacks too: it is counted once.
        complete = max(self.expected - max(self.gap_days, self.lacking), 0)
        return Cell(Sign.COMPLETE if complete == self.expected else Sign.PARTIAL, self.expected, complete)


async def plans_in_use(records: Records, named: str | None) -> Plans:
    """The plans *named*, else those of the last run that fetched, else the default. Raises UsageError."""
    plan = named or await records.last_plan(FETCHING)
    return parse_plans(plan) if plan else Plans()


async def stored_series(
    database: Database,
    clock: Clock,
    plan: str | None = None,
    names: Sequence[str] | None = None,
    timeframes: Sequence[Timeframe] | None = None,
) -> list[SeriesState]:
    """The state now of each series, by symbol and timeframe; None: every active symbol, its timeframes.

    *plan*: None for that of the last run that fetched. Raises UsageError, HorizonExceeded, DatabaseError.
    """
    records, now = Records(database), clock.now()
    plans = await plans_in_use(records, plan)
    columns = await records.series(names, timeframes)
    firsts = np.concatenate([[to_ms(now)], *(some.held.first_ms for some in columns)])
    oldest = from_ms(int(firsts[firsts > 0].min())).date()
    return states(columns, await calendars(database, clock, oldest - MARGIN), now, plans)


def states(
    columns: Sequence[SeriesColumns], sessions: Mapping[str, SessionTable], now: datetime, plans: Plans
) -> list[SeriesState]:
    """The state of each series at *now*, by symbol and timeframe; *columns* are by timeframe.

    Raises HorizonExceeded if *now* lies outside the trading calendar.
    """
    found: list[SeriesState] = []
    for some in columns:
        delay = plans.terms(some.asset_class).delay
        clock = DueClock(sessions[some.asset_class.calendar], some.timeframe, now, delay)
        ages = clock.ages(some.held)
        stored = (some.bars, some.held.first_ms, some.held.last_ms, some.gaps, some.gap_days)
        attempts = (some.attempted_ms, some.failures)
        rows = zip(
            some.symbols,
            repeat(some.timeframe, len(some.symbols)),
            ages.freshness,
            ages.age_ms,
            ages.reached_ms,
            ages.expected,
            ages.lacking,
            *(column.tolist() for column in (*stored, *attempts)),
            some.errors,
            strict=True,
        )
        found += map(SeriesState._make, rows)
    return sorted(found, key=itemgetter(0))  # of one symbol they keep the order of the timeframes


def matrix_of(series: Sequence[SeriesState]) -> Matrix:
    """The cells of all series, by symbol and timeframe."""
    matrix: Matrix = {}
    for one in series:
        matrix.setdefault(one.symbol, {})[one.timeframe] = one.cell
    return matrix


async def read_facts(records: Records, series: Sequence[SeriesState], now: datetime) -> Facts:
    """What the health of the database is judged by."""
    gaps = await records.watched_gaps()
    scripts = [
        ScriptFacts(
            script=row["script"],
            fetches=row["script"] in FETCHING,
            last_status=row["last_status"],
            last_error=row["last_error"],
            failures_in_a_row=row["failures_in_a_row"],
            failed_days=row["failed_days"],
            last_complete_at=row["last_complete_at"],
            requests=row["last_requests"] or 0,
            rate_limited=row["last_rate_limited"] or 0,
        )
        for row in await records.run_statistics()
    ]
    return Facts(
        now=now,
        ages=[(one.symbol, one.freshness, one.age_ms) for one in series],
        gaps=[(gap.symbol, gap.timeframe, gap.days) for gap in gaps],
        scripts=scripts,
    )


def freshness_rows(
    ages: Sequence[SeriesState], outcomes: Sequence[SymbolOutcome]
) -> dict[str, dict[str, Age]]:
    """How old each series is, and why the last attempt at it failed: this run's, if it made one."""
    errors = {(o.symbol, s.timeframe): s.error or s.refusals for o in outcomes for s in o.series}
    return by_series(
        {
            (one.symbol, str(one.timeframe)): age_row(
                str(one.freshness),
                one.age,
                one.last,
                errors.get((one.symbol, one.timeframe), one.error),
            )
            for one in ages
        }
    )
