"""Gaps: the words for what is missing, how a gap stays itself over many runs, and the matrix. Pure.

Dates are half-open: a gap's *end* is the day after its last missing session (or week, for 1w).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from lib.timeframe import Timeframe


class State(StrEnum):
    """The state of a unit, strongest claim first. (gap-model §3.1)

    not_expected: outside the listing. not_entitled: the plan does not include it. pending: not settled yet.
    missing: never answered, or not whole. lost: fewer bars stored than were audited. contradiction: against
    the frame it is built from. vendor_hole: the vendor had nothing, though its other series shows trades.
    recheck_due: nothing missing, but the answer has expired and the next run asks again. suspect, unverified:
    bars that no answer accounts for (another program's), statistically wrong or not. verified_empty: the
    vendor has none. complete: nothing missing.
    """

    NOT_EXPECTED = "not_expected"
    NOT_ENTITLED = "not_entitled"
    PENDING = "pending"
    MISSING = "missing"
    LOST = "lost"
    CONTRADICTION = "contradiction"
    VENDOR_HOLE = "vendor_hole"
    SUSPECT = "suspect"
    UNVERIFIED = "unverified"
    RECHECK_DUE = "recheck_due"
    VERIFIED_EMPTY = "verified_empty"
    COMPLETE = "complete"


GAPS = (
    State.MISSING,
    State.LOST,
    State.CONTRADICTION,
    State.VENDOR_HOLE,
    State.SUSPECT,
)
# Bars of another program that nothing speaks against are taken as they are.
WHOLE = (State.COMPLETE, State.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive units of one state: dates [start, end), *units* sessions (weeks for 1w) in it."""

    state: State
    start: date
    end: date
    units: int


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A row of ``backfill_gaps`` that is not filled. *gap_id* None: not stored yet.

    *detected_at* None: only now.
    """

    gap_id: int | None
    start: date
    end: date
    units: int
    state: State
    detected_at: datetime | None = None


def gaps_of(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those that are gaps."""
    return [s for s in stretches if s.state in GAPS]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of the open rows.

    *kept*: seen again, as they are now. *shrunk*: only dates that were not scanned are left of them.
    *filled*: nothing was found of them. *absorbed*: all of it belongs to another row now. And the *new* ones.
    """

    kept: list[OpenGap]
    shrunk: list[OpenGap]
    filled: list[OpenGap]
    absorbed: list[OpenGap]
    new: list[OpenGap]


Units = Sequence[tuple[date, date]]


def reconcile(
    open_rows: Sequence[OpenGap], found: Sequence[Stretch], scanned: tuple[date, date], beyond: Units = ()
) -> Reconciled:
    """Match the gaps among the stretches *found* in the dates *scanned* [start, end) with the open rows.

    A gap that was seen before stays its row, grown or shrunk; the oldest row wins where several meet, and
    each row is used once. What of a row lies beyond the dates scanned stays open: *beyond* are the units
    (first and last date) that the rows have there, ascending. Rows that lie there whole are left out.
    """
    rows = sorted(
        (r for r in open_rows if r.start < scanned[1] and scanned[0] < r.end), key=lambda r: r.gap_id or 0
    )
    seen, left_over = _beyond_joined(rows, found, scanned, beyond)
    unused, out = list(rows), Reconciled([], [], [], [], [])
    for pieces, again in ((seen, out.kept), (left_over, out.shrunk)):
        for piece in pieces:
            overlapping = [r for r in rows if r.start < piece.end and piece.start < r.end]
            row = next((r for r in overlapping if r in unused), None)
            since = overlapping[0].detected_at if overlapping else None
            gap_id = row.gap_id if row else None
            kept = OpenGap(gap_id, piece.start, piece.end, piece.units, piece.state, since)
            (again if row else out.new).append(kept)
            if row:
                unused.remove(row)
    pieces = [*seen, *left_over]
    for row in unused:
        met = any(row.start < piece.end and piece.start < row.end for piece in pieces)
        (out.absorbed if met else out.filled).append(row)
    return out


def _beyond_joined(
    rows: Sequence[OpenGap], found: Sequence[Stretch], scanned: tuple[date, date], beyond: Units
) -> tuple[list[Stretch], list[Stretch]]:
    """The gaps found, with what the rows have beyond the dates scanned where they meet; and its rest."""
    seen, rest = list(found), []
    for row in rows:
        for at, (start, end) in ((0, (row.start, scanned[0])), (-1, (scanned[1], row.end))):
            units = [unit for unit in beyond if start <= unit[0] < min(end, row.end)]
            if not units:
                continue
            part = Stretch(row.state, units[0][0], units[-1][1] + timedelta(days=1), len(units))
            if seen and seen[at].state is row.state:
                one, other = sorted((part, seen[at]), key=lambda s: s.start)
                seen[at] = Stretch(row.state, one.start, other.end, one.units + other.units)
            else:
                rest.append(part)
    return gaps_of(seen), rest


def split_units(
    stretch: Stretch, dates: Sequence[date], others: set[date], state: State, *, days: int = 1
) -> list[Stretch]:
    """*stretch* cut where units are of the set *others*, which are of *state*.

    *dates*: the first dates of its units, ascending; *days*: of a unit.
    """
    marked = [(state if day in others else stretch.state, day) for day in dates]
    bounds = [0, *(i for i, (a, b) in enumerate(pairwise(marked), 1) if a[0] is not b[0]), len(marked)]
    return [
        Stretch(marked[a][0], marked[a][1], marked[b - 1][1] + timedelta(days=days), b - a)
        for a, b in pairwise(bounds)
        if a < b
    ]


# The statistical rule, for minutes that no ledger knows of. (gap-model §3.5)
_TRAILING_SESSIONS = 20
_FALSE_ALARM = 1e-4
_FLOOR, _CEILING = 0.01, 0.98


@dataclass(frozen=True, slots=True)
class RegularMinutes:
    """The stored minutes of one regular session: *minutes* count from its open, ascending; of *slots*."""

    day: date
    slots: int
    minutes: Sequence[int]

    @property
    def absent(self) -> int:
        return self.slots - len(self.minutes)

    @property
    def longest_run(self) -> int:
        """The longest run of absent minutes, at the open and the close too."""
        return max(b - a - 1 for a, b in pairwise([-1, *self.minutes, self.slots]))


def suspects(sessions: Sequence[RegularMinutes]) -> set[date]:
    """The sessions whose absent minutes chance does not explain, given the ones before them."""
    return {session.day for i, session in enumerate(sessions) if _is_suspect(session, sessions[:i])}


def _is_suspect(session: RegularMinutes, earlier: Sequence[RegularMinutes]) -> bool:
    trailing = earlier[-_TRAILING_SESSIONS:]
    slots = sum(s.slots for s in trailing)
    base = sum(s.absent for s in trailing) / slots if slots else 0.0
    n, run = session.slots, session.longest_run
    own = (session.absent - run) / (n - run) if run < n else 0.0
    p = min(max(_FLOOR, base, own), _CEILING)
    if run >= math.ceil(math.log(_FALSE_ALARM / n) / math.log(p)):
        return True
    q = max(0.002, base) if trailing else max(0.002, own)
    return session.absent > n * q + 5 * math.sqrt(3 * n * q * (1 - q)) + 3


class Sign(StrEnum):
    """The signs of the matrix."""

    COMPLETE = "✓"
    PARTIAL = "◐"
    MISSING = "✗"
    PENDING = "…"
    EMPTY = "∅"
    NOT_ENTITLED = "⊘"
    NOT_ASKED = "-"


MEANING = {
    Sign.COMPLETE: "complete",
    Sign.PARTIAL: "some sessions incomplete",
    Sign.MISSING: "missing",
    Sign.PENDING: "not final yet",
    Sign.EMPTY: "the vendor has none",
    Sign.NOT_ENTITLED: "not in the plan",
    Sign.NOT_ASKED: "not asked",
}


class Cell(NamedTuple):
    """One cell of the matrix: *complete* of *expected* units (sessions; weeks for 1w)."""

    sign: Sign
    expected: int = 0
    complete: int = 0

    @property
    def percent(self) -> float:
        """Complete of expected, 0 to 100, rounded down to a tenth: 100 only when all are."""
        return 1000 * self.complete // self.expected / 10 if self.expected else 100.0

    @property
    def text(self) -> str:
        """As printed: ``◐ 97%`` for a partial cell, else the sign alone."""
        return f"{self.sign} {math.floor(self.percent)}%" if self.sign is Sign.PARTIAL else str(self.sign)


def cell_of(stretches: Iterable[Stretch]) -> Cell:
    """What the states of one series come to."""
    units: dict[State, int] = {}
    for stretch in stretches:
        units[stretch.state] = units.get(stretch.state, 0) + stretch.units
    complete = sum(units.get(state, 0) for state in WHOLE)
    expected = complete + sum(units.get(state, 0) for state in GAPS)
    if not expected:
        others = (
            (State.NOT_ENTITLED, Sign.NOT_ENTITLED),
            (State.PENDING, Sign.PENDING),
            (State.RECHECK_DUE, Sign.PENDING),
            (State.VERIFIED_EMPTY, Sign.EMPTY),
            (State.NOT_EXPECTED, Sign.EMPTY),
        )
        return Cell(next((sign for state, sign in others if units.get(state)), Sign.NOT_ASKED))
    if complete == expected:
        return Cell(Sign.COMPLETE, expected, complete)
    partly = complete or units.get(State.MISSING, 0) < expected
    return Cell(Sign.PARTIAL if partly else Sign.MISSING, expected, complete)


Matrix = dict[str, dict[Timeframe, Cell]]


def build_completeness_matrix(
    found: Mapping[str, Mapping[Timeframe, Sequence[Stretch]]],
) -> dict[str, dict[str, str]]:
    """The matrix of what was found, by symbol and timeframe, as printed: ``matrix["AAPL"]["1m"] == "✓"``."""
    return {
        symbol: {str(timeframe): cell_of(stretches).text for timeframe, stretches in series.items()}
        for symbol, series in found.items()
    }
