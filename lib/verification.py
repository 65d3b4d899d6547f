"""How long an answer stands: which parts are final, which are asked again and when. Pure.

A session fetched before it is final (ten hours after its end) is asked once more after that: late trades
revise bars. An empty session is asked again at growing distances, since an empty answer is also what "not
ready yet" looks like. (gap-model §3.2 and §3.3)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from lib.bars import IntArray
from lib.clock import from_ms, to_ms
from lib.coverage import Answered, LedgerRow, Range, subtract
from lib.sessions import SessionTable, final_at_ms
from lib.timeframe import Timeframe
from lib.zones import midnights

SAME_ANSWER_AFTER = timedelta(minutes=30)  # sooner, it may be the same outage answering
YOUNG_SESSIONS = 5
NOT_ENTITLED_FOR = timedelta(days=1)  # a plan may be upgraded, an end-of-day plan publishes
_EMPTY_AGAIN = {2: timedelta(days=7), 3: timedelta(days=90)}


@dataclass(frozen=True, slots=True)
class Units:
    """The sessions (1m..1d) or Sunday weeks (1w) of a calendar as ranges, shape (n,) each.

    [start_ms, end_ms): local midnight to local midnight, so that every bar of the session's local date is
    inside. *final_ms*: from then on an answer is final.
    """

    start_ms: IntArray
    end_ms: IntArray
    final_ms: IntArray

    def overlapping(self, start_ms: int, end_ms: int) -> IntArray:
        """Indices of the units that share an instant with [start_ms, end_ms)."""
        first = np.searchsorted(self.end_ms, start_ms, side="right")
        last = np.searchsorted(self.start_ms, end_ms, side="left")
        return np.arange(first, last)


def units_of(sessions: SessionTable, timeframe: Timeframe) -> Units:
    """The units of *timeframe*: every session, or every week that holds one."""
    final = final_at_ms(sessions)
    if timeframe is not Timeframe.W1:
        return Units(
            midnights(sessions.days, sessions.zone), midnights(sessions.days + 1, sessions.zone), final
        )
    sundays = sessions.days - (sessions.days + 4) % 7  # day 0 was a Thursday
    weeks, first = np.unique(sundays, return_index=True)
    last = np.r_[first[1:], len(sundays)] - 1
    return Units(midnights(weeks, sessions.zone), midnights(weeks + 7, sessions.zone), final[last])


def ledger_rows(
    units: Units,
    answered_range: Range,
    bars_t: IntArray,
    holes: Sequence[Range],
    previous: Sequence[LedgerRow],
    now: datetime,
) -> list[LedgerRow]:
    """The ledger rows of an answer for *answered_range* with bars at *bars_t* (ms, ascending).

    One row per empty unit, one per unit that is not final, one for each run of the rest. *holes*: refused
    bars, left out. *previous*: the rows stored for the range; they tell how often it was empty before.
    """
    start, end = answered_range
    rows: list[LedgerRow] = []
    for i in units.overlapping(start, end):
        unit = (int(units.start_ms[i]), int(units.end_ms[i]))
        piece = (max(start, unit[0]), min(end, unit[1]))
        empty = piece == unit and _count(bars_t, unit) == 0
        final_at = from_ms(int(units.final_ms[i]))
        if empty:
            rows.append(
                _empty_row(piece, previous, now, young=_is_young(units, int(i), now), final_at=final_at)
            )
        elif final_at > now:
            rows.append(LedgerRow(*piece, Answered.DATA, _count(bars_t, piece), 1, now, final_at))
    special = [(row.start_ms, row.end_ms) for row in rows]
    rows.extend(
        LedgerRow(*piece, Answered.DATA, _count(bars_t, piece), 1, now)
        for piece in subtract([answered_range], special)
    )
    return sorted(_minus(rows, holes, bars_t), key=lambda row: row.start_ms)


def not_entitled_row(refused_range: Range, now: datetime) -> LedgerRow:
    """The ledger row of a range that the plan does not include."""
    return LedgerRow(*refused_range, Answered.NOT_ENTITLED, 0, 1, now, now + NOT_ENTITLED_FOR)


def _count(bars_t: IntArray, piece: Range) -> int:
    first, last = np.searchsorted(bars_t, piece)
    return int(last - first)


def _is_young(units: Units, index: int, now: datetime) -> bool:
    """Whether fewer than ``YOUNG_SESSIONS`` units have begun since."""
    begun = int(np.searchsorted(units.start_ms, to_ms(now), side="right"))
    return begun - index <= YOUNG_SESSIONS


def _empty_row(
    piece: Range, previous: Sequence[LedgerRow], now: datetime, *, young: bool, final_at: datetime
) -> LedgerRow:
    before = [
        row
        for row in previous
        if row.outcome is Answered.EMPTY and row.start_ms < piece[1] and row.end_ms > piece[0]
    ]
    attempt, fetched_at = 1, now
    if before:
        last = max(before, key=lambda row: row.attempt)
        again = now - last.fetched_at >= SAME_ANSWER_AFTER
        attempt = last.attempt + again
        fetched_at = now if again else last.fetched_at
    return LedgerRow(
        *piece, Answered.EMPTY, 0, attempt, fetched_at, _empty_until(attempt, fetched_at, young, final_at)
    )


def _empty_until(attempt: int, fetched_at: datetime, young: bool, final_at: datetime) -> datetime | None:
    if attempt == 1:
        return fetched_at + (timedelta(hours=1) if young else timedelta(hours=24))
    if attempt in _EMPTY_AGAIN:
        return fetched_at + _EMPTY_AGAIN[attempt]
    return final_at if final_at > fetched_at else None


def _minus(rows: Sequence[LedgerRow], holes: Sequence[Range], bars_t: IntArray) -> list[LedgerRow]:
    if not holes:
        return list(rows)
    return [
        LedgerRow(*piece, row.outcome, _count(bars_t, piece), row.attempt, row.fetched_at, row.verify_after)
        for row in rows
        for piece in subtract([(row.start_ms, row.end_ms)], holes)
    ]
