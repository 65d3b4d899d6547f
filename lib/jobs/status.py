"""How far the stored series are, as of now: what the records say, put against the calendar. Sends nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lib.audit import Age, age_row, by_series
from lib.clock import Clock
from lib.freshness import Aged, DueClock, Freshness, Held
from lib.gaps import Cell, Matrix, Sign
from lib.health import Facts, ScriptFacts
from lib.jobs.record import FETCHING
from lib.outcome import SymbolOutcome
from lib.sessions import Plans, SessionTable, parse_plans
from lib.store.database import Database
from lib.store.records import Records
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import calendars

MARGIN = timedelta(days=14)  # enough for the whole week of the oldest bar, in any zone

_SIGNS = {
    Freshness.MISSING: Sign.MISSING,
    Freshness.PENDING: Sign.PENDING,
    Freshness.EMPTY: Sign.EMPTY,
    Freshness.NOT_ENTITLED: Sign.NOT_ENTITLED,
}


@dataclass(frozen=True, slots=True)
class SeriesState:
    """One series: how old it is, what is stored of it, its open gaps, and how the last attempt went.

    *bars*: by the audited counts, without those found to be gone. *gap_days*: sessions (weeks for 1w) in its
    *gaps*. *error*: why the last attempt failed; None: it did not. *failures*: attempts that failed in a row.
    """

    instrument: Instrument
    timeframe: Timeframe
    aged: Aged
    bars: int
    first: datetime | None
    last: datetime | None
    gaps: int
    gap_days: int
    longest_gap: int
    attempted_at: datetime | None
    failures: int
    error: str | None

    @property
    def cell(self) -> Cell:
        """Its cell of the matrix: of the units since its first bar, those that are neither a gap nor lacking."""
        if self.last is None:
            return Cell(_SIGNS[self.aged.freshness])
        # A gap at the end that a scan has noted lacks too: it is counted once.
        missing = max(self.gap_days, self.aged.lacking)
        complete = max(self.aged.expected - missing, 0)
        if complete == self.aged.expected:
            return Cell(Sign.COMPLETE, self.aged.expected, complete)
        return Cell(Sign.PARTIAL, self.aged.expected, complete)


async def plans_in_use(records: Records, named: str | None) -> Plans:
    """The plans *named*, else those of the last run that fetched, else the default. Raises UsageError."""
    plan = named or await records.last_plan(FETCHING)
    return parse_plans(plan) if plan else Plans()


async def calendars_needed(database: Database, clock: Clock) -> dict[str, SessionTable]:
    """The trading calendars since the week of the oldest bar: what freshness is reckoned by."""
    first = await Records(database).first_date()
    return await calendars(database, clock, first and first - MARGIN)


async def stored_series(database: Database, clock: Clock) -> list[SeriesState]:
    """The state now of each series of the active symbols, by the plans of the last run that fetched.

    Raises HorizonExceeded, DatabaseError.
    """
    records = Records(database)
    plans = await plans_in_use(records, None)
    sessions = await calendars_needed(database, clock)
    return await read_series(records, sessions, clock.now(), plans)


async def read_series(
    records: Records,
    sessions: Mapping[str, SessionTable],
    now: datetime,
    plans: Plans,
    names: Sequence[str] | None = None,
    timeframes: Sequence[Timeframe] | None = None,
) -> list[SeriesState]:
    """The state of each series at *now*, by symbol and timeframe; None: every active symbol, its timeframes.

    Raises HorizonExceeded if *now* lies outside the trading calendar.
    """
    instruments = {i.symbol: i for i in await records.instruments(names)}
    rows = [row for row in await records.series(names, timeframes) if row["symbol"] in instruments]
    groups: dict[tuple[str, str, Timeframe], list[int]] = {}
    for i, row in enumerate(rows):
        one = instruments[row["symbol"]]
        groups.setdefault((one.calendar, one.asset_class, Timeframe(row["timeframe"])), []).append(i)
    ages: dict[int, Aged] = {}
    for (calendar, _, timeframe), members in groups.items():
        delay = plans.terms(instruments[rows[members[0]]["symbol"]].asset_class).delay
        clock = DueClock(sessions[calendar], timeframe, now, delay)
        held = [_held(rows[i], instruments[rows[i]["symbol"]]) for i in members]
        ages.update(zip(members, clock.aged(held), strict=True))
    return [_state(row, instruments[row["symbol"]], ages[i]) for i, row in enumerate(rows)]


def _held(row: Mapping[str, Any], instrument: Instrument) -> Held:
    return Held(
        row["last_ts"],
        row["first_ts"],
        row["answered_until"],
        row["refused_until"],
        row["empty_until"] is not None,
        instrument.listed_from,
        instrument.listed_until,
    )


def _state(row: Mapping[str, Any], instrument: Instrument, aged: Aged) -> SeriesState:
    return SeriesState(
        instrument,
        Timeframe(row["timeframe"]),
        aged,
        row["n_bars"],
        row["first_ts"],
        row["last_ts"],
        row["gaps"],
        row["gap_days"],
        row["longest_gap"],
        row["attempted_at"],
        row["failures"],
        row["error"],
    )


def matrix_of(series: Sequence[SeriesState]) -> Matrix:
    """The cells of all series, by symbol and timeframe."""
    matrix: Matrix = {}
    for one in series:
        matrix.setdefault(one.instrument.symbol, {})[one.timeframe] = one.cell
    return matrix


async def read_facts(records: Records, series: Sequence[SeriesState], now: datetime) -> Facts:
    """What the health of the database is judged by."""
    gaps = await records.open_gaps()
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
        ages={(one.instrument.symbol, one.timeframe): one.aged for one in series},
        gaps=[(row["symbol"], Timeframe(row["timeframe"]), row["days"], row["state"]) for row in gaps],
        scripts=scripts,
    )


def freshness_rows(
    ages: Sequence[SeriesState], outcomes: Sequence[SymbolOutcome]
) -> dict[str, dict[str, Age]]:
    """How old each series is, and why the last attempt at it failed: this run's, if it made one."""
    errors = {(o.symbol, s.timeframe): s.error or s.refusals for o in outcomes for s in o.series}
    return by_series(
        {
            (one.instrument.symbol, str(one.timeframe)): age_row(
                str(one.aged.freshness),
                one.aged.age,
                one.last,
                errors.get((one.instrument.symbol, one.timeframe), one.error),
            )
            for one in ages
        }
    )
