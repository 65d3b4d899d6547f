"""Gaps: the words for what is missing, how a gap stays itself over many runs, and the matrix. Pure.

Dates are half-open: a gap's *end* is the day after its last missing session (or week, for 1w).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise

from lib.timeframe import Timeframe


class State(StrEnum):
    """The state of a unit, strongest claim first. (gap-model §3.1)

    not_expected: outside the listing. not_entitled: the plan does not include it. pending: not settled yet.
    missing: never answered, or not whole. lost: fewer bars stored than were audited. contradiction: against
    the frame it is built from. vendor_hole: the vendor had nothing, though its other series shows trades.
    suspect, unverified: bars of another program, without a ledger, statistically wrong or not.
    verified_empty: the vendor has none. complete: nothing missing.
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
    """A row of ``backfill_gaps`` that is not filled. *gap_id* None: not stored yet."""

    gap_id: int | None
    start: date
    end: date
    units: int
    state: State


def gaps_of(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those that are gaps."""
    return [s for s in stretches if s.state in GAPS]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What becomes of the open rows: still open (as found now), filled, and new ones."""

    kept: list[OpenGap]
    filled: list[OpenGap]
    new: list[OpenGap]


def reconcile(
    open_rows: Sequence[OpenGap], found: Sequence[Stretch], scanned: tuple[date, date]
) -> Reconciled:
    """Match the gaps *found* in the dates *scanned* [start, end) with the rows that are open.

    A gap that was seen before stays its row, grown or shrunk; the oldest row wins where several meet, and
    each row is used once. A row of which nothing was found in the dates scanned is filled, unless it reaches
    beyond them: then the rest of it stays open.
    """
    kept: list[OpenGap] = []
    unused = sorted(open_rows, key=lambda row: row.gap_id or 0)
    new: list[OpenGap] = []
    for gap in found:
        row = next((r for r in unused if r.start < gap.end and gap.start < r.end), None)
        if row is None:
            new.append(OpenGap(None, gap.start, gap.end, gap.units, gap.state))
        else:
            unused.remove(row)
            kept.append(OpenGap(row.gap_id, gap.start, gap.end, gap.units, gap.state))
    filled: list[OpenGap] = []
    for row in unused:
        rest = _outside(row, scanned)
        (filled if rest is None else kept).append(row if rest is None else rest)
    return Reconciled(kept, filled, new)


def _outside(row: OpenGap, scanned: tuple[date, date]) -> OpenGap | None:
    """What of *row* was not scanned: the longer side; None if all of it was."""
    sides = [(row.start, min(row.end, scanned[0])), (max(row.start, scanned[1]), row.end)]
    start, end = max(sides, key=lambda side: side[1] - side[0])
    if end <= start:
        return None
    share = (end - start) / (row.end - row.start)
    return OpenGap(row.gap_id, start, end, max(1, round(row.units * share)), row.state)


def split_units(stretch: Stretch, dates: Sequence[date], others: set[date], state: State) -> list[Stretch]:
    """*stretch* cut where units are of *others*, which are of *state*. *dates*: its units, ascending."""
    marked = [(state if day in others else stretch.state, day) for day in dates]
    bounds = [0, *(i for i, (a, b) in enumerate(pairwise(marked), 1) if a[0] is not b[0]), len(marked)]
    return [
        Stretch(marked[a][0], marked[a][1], marked[b - 1][1] + timedelta(days=1), b - a)
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
    own = (session.absent - run) / n
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
    Sign.PENDING: "not settled yet",
    Sign.EMPTY: "the vendor has none",
    Sign.NOT_ENTITLED: "not in the plan",
    Sign.NOT_ASKED: "not asked",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix: *complete* of *expected* units (sessions; weeks for 1w)."""

    sign: Sign
    expected: int = 0
    complete: int = 0

    @property
    def percent(self) -> float:
        """Complete of expected, 0 to 100, rounded down to a tenth: 100 only when all are."""
        return math.floor(1000 * self.complete / self.expected) / 10 if self.expected else 100.0

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
