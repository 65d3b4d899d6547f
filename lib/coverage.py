"""Ranges of time and the ledger of answered requests: pure rules, no database.

A range is half-open ``(start_ms, end_ms)``, milliseconds since 1970-01-01 UTC. A range set is a list of
ranges, ascending, disjoint and not touching.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lib.bars import IntArray

Range = tuple[int, int]

NO_BARS: IntArray = np.array([], np.int64)


def union(ranges: Iterable[Range]) -> list[Range]:
    """The range set that covers what any of *ranges* covers; empty ranges vanish."""
    merged: list[Range] = []
    for start, end in sorted(r for r in ranges if r[0] < r[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def subtract(ranges: Iterable[Range], without: Iterable[Range]) -> list[Range]:
    """The range set of what *ranges* covers and *without* does not."""
    rest: list[Range] = []
    holes = union(without)
    for start, end in union(ranges):
        at = start
        for hole_start, hole_end in holes:
            if hole_end <= at or hole_start >= end:
                continue
            rest.append((at, hole_start))
            at = hole_end
        rest.append((at, end))
    return [r for r in rest if r[0] < r[1]]


def clip(ranges: Iterable[Range], start_ms: int, end_ms: int) -> list[Range]:
    """What of *ranges* lies in [start_ms, end_ms), as a range set."""
    return union((max(a, start_ms), min(b, end_ms)) for a, b in ranges)


def holds(ranges: Sequence[Range], starts_ms: IntArray, ends_ms: IntArray) -> npt.NDArray[np.bool_]:
    """For each window [start, end): whether the range set *ranges* covers it whole."""
    if not ranges:
        return np.zeros(len(starts_ms), np.bool_)
    range_starts, range_ends = np.array(ranges, np.int64).T
    index = np.searchsorted(range_starts, starts_ms, side="right") - 1
    return np.asarray((index >= 0) & (ends_ms <= range_ends[np.maximum(index, 0)]), np.bool_)


class Answered(StrEnum):
    """What the vendor answered for a range."""

    DATA = "data"
    EMPTY = "empty"
    NOT_ENTITLED = "not_entitled"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of ``fetch_log`` of one series: a range the vendor has answered.

    *verify_after*: from then on the answer no longer counts and the range is asked again; None = it stands.
    *attempt*: how many times in a row the same answer came. *row_id*: None until stored.
    """

    start_ms: int
    end_ms: int
    outcome: Answered
    n_bars: int
    attempt: int
    fetched_at: datetime
    verify_after: datetime | None = None
    row_id: int | None = None

    @property
    def settled_data(self) -> bool:
        """True for final data, which merges with its neighbours."""
        return self.outcome is Answered.DATA and self.verify_after is None

    def stands(self, now: datetime) -> bool:
        """True while the answer counts as coverage."""
        return self.verify_after is None or self.verify_after > now


def covered(rows: Iterable[LedgerRow], now: datetime) -> list[Range]:
    """The range set that need not be asked at *now*."""
    return union((r.start_ms, r.end_ms) for r in rows if r.stands(now))


def answered(rows: Iterable[LedgerRow]) -> list[Range]:
    """The range set that was ever answered with bars or as empty, expired or not."""
    return union((r.start_ms, r.end_ms) for r in rows if r.outcome is not Answered.NOT_ENTITLED)


def _without(row: LedgerRow, gone: Sequence[Range], known_t: IntArray) -> list[LedgerRow]:
    """What remains of *row* outside *gone*; the bars of *known_t* that lie in *gone* no longer count.

    How the rest of the bars spread over the pieces is not known: the longest piece carries the count.
    """
    pieces = subtract([(row.start_ms, row.end_ms)], gone)
    if pieces == [(row.start_ms, row.end_ms)]:
        return [row]
    longest = max(pieces, key=lambda r: r[1] - r[0], default=None)
    again = subtract([(row.start_ms, row.end_ms)], pieces)
    left = max(0, row.n_bars - int(np.diff(np.searchsorted(known_t, again)).sum()))
    return [
        replace(row, start_ms=a, end_ms=b, n_bars=left if (a, b) == longest else 0, row_id=None)
        for a, b in pieces
    ]


def _joined(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """*rows* in order, touching rows of final data made one."""
    out: list[LedgerRow] = []
    for row in sorted(rows, key=lambda r: r.start_ms):
        last = out[-1] if out else None
        if last and last.settled_data and row.settled_data and last.end_ms == row.start_ms:
            out[-1] = LedgerRow(
                last.start_ms,
                row.end_ms,
                Answered.DATA,
                last.n_bars + row.n_bars,
                1,
                max(last.fetched_at, row.fetched_at),
            )
        else:
            out.append(row)
    return out


def record(
    stored: Sequence[LedgerRow],
    answers: Sequence[LedgerRow],
    holes: Sequence[Range] = (),
    known_t: IntArray = NO_BARS,
) -> tuple[list[int], list[LedgerRow]]:
    """How the ledger of one series changes: ids to delete, rows to insert.

    *stored*: the rows that overlap or touch the answered range. *answers*: the new rows, disjoint.
    *holes*: what the answer leaves uncovered (refused bars) even where an older answer covered it.
    *known_t*: stamps of the bars known in the answered range, ascending: the older rows need not count them.
    The new answers replace what they overlap; the rows of a series stay disjoint.
    """
    gone = [(r.start_ms, r.end_ms) for r in answers] + list(holes)
    kept = [piece for row in stored for piece in _without(row, gone, known_t)]
    wanted = _joined([*kept, *answers])
    unchanged = {row.row_id for row in wanted if row.row_id is not None}
    delete = [row.row_id for row in stored if row.row_id is not None and row.row_id not in unchanged]
    return delete, [row for row in wanted if row.row_id is None]
