"""Gaps in the database: detection by SQL over many series at once, and the ledger ``backfill_gaps``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from lib import sql
from lib.alerts import GapSeen
from lib.audit import Gap
from lib.clock import from_ms
from lib.errors import HorizonExceeded, SymbolUnknown, UsageError
from lib.gaps import (
    OpenGap,
    Reconciled,
    RegularMinutes,
    State,
    Stretch,
    gaps_of,
    reconcile,
    split_units,
    suspects,
)
from lib.sessions import Delay, Plans
from lib.store.bars import Series
from lib.store.locks import lock_series
from lib.store.series_status import restate_series
from lib.store.symbols import read_instruments
from lib.timeframe import Timeframe, parse_timeframes

# Bars that were deleted, or written by another program: what was counted on writing no longer tells of them.
_BARS_WENT_OR_CAME = {State.LOST, State.UNVERIFIED, State.SUSPECT}
TRAILING_DAYS = timedelta(days=35)  # holds the twenty sessions the statistical rule looks back on


@dataclass(frozen=True, slots=True)
class Question:
    """What detection is asked: units of *timeframe* with dates in [first, past), as seen at *now*.

    *derive*: the series is covered by the answers for its base; else by its own. *counted*: count the stored
    bars of every unit, which finds a single deleted one; False believes the audited counts.
    """

    timeframe: Timeframe
    first: date
    past: date
    now: datetime
    delay: Delay
    derive: bool = True
    counted: bool = True

    @property
    def ledger(self) -> Timeframe:
        """The series whose answers cover it."""
        return self.timeframe.base if self.derive else self.timeframe


async def find_stretches(
    connection: asyncpg.Connection, calendar: str, zone: str, symbols: Sequence[str], question: Question
) -> dict[str, list[Stretch]]:
    """The state of every unit of *symbols*, all of *calendar*, as stretches of equal state, oldest first.

    Raises HorizonExceeded unless the calendar knows all those dates.
    """
    await _check_horizon(connection, calendar, question)
    names = list(dict.fromkeys(symbols))
    rows = await connection.fetch(
        sql.load("find_gaps"),
        names,
        question.timeframe,
        question.ledger,
        calendar,
        question.first,
        question.past,
        from_ms(question.delay.settled_before(question.now, zone)),
        question.counted,
        question.now,
    )
    found: dict[str, list[Stretch]] = {symbol: [] for symbol in names}
    for symbol, state, start, end, units in rows:
        found[symbol].append(Stretch(State(state), start, end, units))
    for symbol, stretches in found.items():
        found[symbol] = await _examined(connection, calendar, symbol, stretches, question)
    return found


async def _check_horizon(connection: asyncpg.Connection, calendar: str, question: Question) -> None:
    known = await connection.fetchrow(sql.load("read_calendar"), calendar)
    if known is None:
        raise HorizonExceeded(f"the calendar {calendar} has no sessions in this database yet")
    if question.first < known["known_from"] or question.past > known["horizon"]:
        raise HorizonExceeded(
            f"the calendar {calendar} is known from {known['known_from']} until before {known['horizon']}, "
            f"not for all of {question.first} until before {question.past}"
        )


async def _examined(
    connection: asyncpg.Connection, calendar: str, symbol: str, stretches: list[Stretch], question: Question
) -> list[Stretch]:
    """Rows without a ledger put to the statistics; frames fetched each for itself held against their base."""
    vendors_own = (
        question.counted and not question.derive and question.timeframe is not question.timeframe.base
    )
    out: list[Stretch] = []
    for stretch in stretches:
        if stretch.state is State.UNVERIFIED and question.timeframe is Timeframe.M1:
            out.extend(await _with_suspects(connection, calendar, symbol, stretch))
        elif stretch.state is State.COMPLETE and vendors_own:
            out.extend(await _with_contradictions(connection, calendar, symbol, stretch, question.timeframe))
        else:
            out.append(stretch)
    return out


async def _with_suspects(
    connection: asyncpg.Connection, calendar: str, symbol: str, stretch: Stretch
) -> list[Stretch]:
    rows = await connection.fetch(
        sql.load("regular_minutes"), symbol, calendar, stretch.start - TRAILING_DAYS, stretch.end
    )
    sessions = [RegularMinutes(*row) for row in rows]
    known = [s for s in sessions if s.minutes or s.day >= stretch.start]
    return split_units(
        stretch, [s.day for s in sessions if s.day >= stretch.start], suspects(known), State.SUSPECT
    )


async def _with_contradictions(
    connection: asyncpg.Connection, calendar: str, symbol: str, stretch: Stretch, timeframe: Timeframe
) -> list[Stretch]:
    rows = await connection.fetch(
        sql.load("find_contradictions"),
        symbol,
        timeframe,
        timeframe.base,
        calendar,
        stretch.start,
        stretch.end,
    )
    contradicting = {row["unit_date"] for row in rows if row["contradicts"]}
    days = 7 if timeframe is Timeframe.W1 else 1
    dates = [row["unit_date"] for row in rows]
    return split_units(stretch, dates, contradicting, State.CONTRADICTION, days=days)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run knows of one series' gaps: *attempts* rounds asked for them, *reason*: why they stay."""

    run_id: str | None
    attempts: int = 0
    reason: str | None = None


async def series_to_note(
    connection: asyncpg.Connection, found: Mapping[str, Mapping[Timeframe, Sequence[Stretch]]]
) -> list[Series]:
    """The series of *found* for which ``record_gaps`` may have something to do: most have no gap, old or new."""
    rows = await connection.fetch(sql.load("series_with_open_gaps"), list(found))
    with_open = {Series(row["symbol"], Timeframe(row["timeframe"])) for row in rows}
    return [
        series
        for symbol, timeframes in found.items()
        for timeframe, stretches in timeframes.items()
        if (series := Series(symbol, timeframe)) in with_open
        or gaps_of(stretches)
        or any(stretch.state in _BARS_WENT_OR_CAME for stretch in stretches)
    ]


async def record_gaps(
    connection: asyncpg.Connection,
    symbol: str,
    timeframe: Timeframe,
    found: Sequence[Stretch],
    scanned: tuple[date, date],
    now: datetime,
    seen: Seen,
) -> Reconciled:
    """Bring ``backfill_gaps`` to what was *found* of one series in the dates *scanned* [first, past).

    *found*: the stretches of every state in those dates.
    """
    async with connection.transaction():
        # A scan may run beside a backfill: each would insert what the other has not committed yet.
        await lock_series(connection, symbol, timeframe.base)
        rows = await connection.fetch(sql.load("read_open_gaps"), symbol, timeframe, *scanned)
        open_rows = [_open_gap(row) for row in rows]
        beyond = await _units_beyond(connection, symbol, timeframe, open_rows, scanned)
        outcome = reconcile(open_rows, found, scanned, beyond)
        await _write_gaps(connection, symbol, timeframe, outcome, now, seen)
        states = {*(stretch.state for stretch in found), *(row.state for row in open_rows)}
        if not states.isdisjoint(_BARS_WENT_OR_CAME):
            await restate_series(connection, symbol, timeframe)
    return outcome


async def _units_beyond(
    connection: asyncpg.Connection,
    symbol: str,
    timeframe: Timeframe,
    rows: Sequence[OpenGap],
    scanned: tuple[date, date],
) -> list[tuple[date, date]]:
    """The units that *rows* have outside the dates *scanned*."""
    first, past = (min([scanned[0], *(r.start for r in rows)]), max([scanned[1], *(r.end for r in rows)]))
    units: list[tuple[date, date]] = []
    for start, end in ((first, scanned[0]), (scanned[1], past)):
        if start < end:
            units += map(tuple, await connection.fetch(sql.load("read_units"), symbol, timeframe, start, end))
    return units


async def _write_gaps(
    connection: asyncpg.Connection,
    symbol: str,
    timeframe: Timeframe,
    outcome: Reconciled,
    now: datetime,
    seen: Seen,
) -> None:
    for gap in outcome.new:
        await connection.execute(
            sql.load("insert_gap"),
            symbol,
            timeframe,
            gap.start,
            gap.end,
            gap.units,
            gap.state,
            gap.detected_at or now,
            seen.run_id,
            seen.attempts,
            seen.reason,
        )
    known = [(gap, seen) for gap in outcome.kept] + [(gap, Seen(None)) for gap in outcome.shrunk]
    for gap, by in known:
        await connection.execute(
            sql.load("update_gap"),
            gap.gap_id,
            gap.start,
            gap.end,
            gap.units,
            gap.state,
            by.run_id,
            by.attempts,
            by.reason,
        )
    for gap in outcome.filled:
        await connection.execute(sql.load("fill_gap"), gap.gap_id, now, seen.run_id, seen.attempts)
    await connection.execute(sql.load("delete_gaps"), [gap.gap_id for gap in outcome.absorbed])


async def list_gaps(
    connection: asyncpg.Connection,
    symbols: Sequence[str] | None,
    timeframes: Sequence[Timeframe] | None,
    dates: tuple[date | None, date | None],
    *,
    filled_too: bool,
) -> list[dict[str, Any]]:
    """The rows of ``backfill_gaps``, by symbol, timeframe and date; None for no restriction."""
    rows = await connection.fetch(
        sql.load("list_gaps"),
        None if symbols is None else list(symbols),
        None if timeframes is None else list(timeframes),
        *dates,
        filled_too,
    )
    return [dict(row) for row in rows]


async def watched_gaps(connection: asyncpg.Connection) -> list[GapSeen]:
    """The open gaps of the active symbols in their timeframes."""
    rows = await connection.fetch(sql.load("read_watched_gaps"))
    return [GapSeen(row[0], Timeframe(row[1]), *row[2:]) for row in map(tuple, rows)]


async def find_gaps_in_timeframe(
    connection: asyncpg.Connection,
    symbol: str,
    timeframe: str,
    start: date,
    end: date,
    *,
    now: datetime | None = None,
    plans: Plans | None = None,
) -> list[Gap]:
    """The gaps of one tracked symbol with dates in [start, end), oldest first; sends nothing, writes nothing.

    Every unit's bars are counted. What has not settled at *now* (default: the present) is no gap.
    Raises SymbolUnknown for a symbol that is not tracked, UsageError for a timeframe that is none,
    HorizonExceeded for dates that the trading calendar does not know.
    """
    wanted, *others = parse_timeframes(timeframe)
    if others:
        raise UsageError(f"{timeframe!r} is not one timeframe", hint=f"one of {','.join(Timeframe)}")
    instruments = await read_instruments(connection, [symbol])
    if not instruments:
        raise SymbolUnknown(f"the symbol {symbol} is not tracked")
    delay = (plans or Plans()).terms(instruments[0].asset_class).delay
    question = Question(wanted, start, end, now or datetime.now(UTC), delay)
    found = await find_stretches(connection, instruments[0].calendar, instruments[0].zone, [symbol], question)
    return [gap_row(stretch) for stretch in gaps_of(found[symbol])]


def gap_row(stretch: Stretch) -> Gap:
    """A stretch in the form of the audit."""
    return {
        "start": stretch.start.isoformat(),
        "end": stretch.end.isoformat(),
        "days": stretch.units,
        "state": str(stretch.state),
    }


def _open_gap(row: asyncpg.Record) -> OpenGap:
    return OpenGap(
        row["id"], row["gap_start"], row["gap_end"], row["days"], State(row["state"]), row["detected_at"]
    )
