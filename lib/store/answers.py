"""The write path: an answer of the vendor becomes bars, derived bars, ledger and audit, all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import numpy as np

from lib.bars import Bars
from lib.coverage import LedgerRow, Range, answered, clip, subtract, union
from lib.rollup import roll_up
from lib.sessions import SessionTable
from lib.store.bars import (
    DERIVED,
    VENDOR,
    Series,
    Written,
    merged,
    read_bars,
    timeframes_with_rows,
    write_bars,
)
from lib.store.features import mark_written
from lib.store.ledger import read_ledger, write_ledger
from lib.store.locks import lock_series
from lib.store.series_status import Gain, Said, note_refused, note_written
from lib.store.session_counts import (
    Count,
    audited,
    count_by_day,
    growth,
    lost_days,
    read_counts,
    whole_days,
    write_counts,
)
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.verification import ledger_rows, not_entitled_row, units_of
from lib.zones import ceil_to_window, floor_to_window, local_days, midnight_ms, midnights


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor answered for bars of *timeframe* that start in [start_ms, end_ms).

    *holes*: ranges in it that hold refused bars and are not covered by this answer. *fetched_at*: now, by
    the earlier of our clock and the vendor's.
    """

    instrument: Instrument
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    bars: Bars
    holes: tuple[Range, ...]
    fetched_at: datetime


async def write_answer(
    connection: asyncpg.Connection, answer: Answer, sessions: SessionTable, *, derive: bool
) -> dict[Timeframe, Written]:
    """Store *answer* and what follows from it; all or nothing. Counts per timeframe written.

    With *derive*, longer bars are rolled up from the stored minutes or days for every window that the
    ledger, this answer included, covers whole: a window may span pages, requests and runs.
    """
    async with connection.transaction():
        return await _Writing(connection, answer, sessions, derive).run()


async def derive_again(
    connection: asyncpg.Connection,
    instrument: Instrument,
    base: Timeframe,
    span: Range,
    sessions: SessionTable,
    now: datetime,
) -> dict[Timeframe, Written]:
    """Roll the stored bars of *base* (1m or 1d) in *span* up again: derived bars that were lost come back."""
    async with connection.transaction():
        stored = await read_bars(connection, Series(instrument.symbol, base), *span)
        answer = Answer(instrument, base, *span, stored, (), now)
        return await _Writing(connection, answer, sessions, derive=True).derive_only()


async def write_not_entitled(
    connection: asyncpg.Connection,
    instrument: Instrument,
    timeframe: Timeframe,
    refused: Range,
    now: datetime,
) -> None:
    """Record that the plan does not include *refused* of one series; what was answered before stands."""
    series = Series(instrument.symbol, timeframe)
    async with connection.transaction():
        await lock_series(connection, instrument.symbol, timeframe.base)
        stored = await read_ledger(connection, series, *refused)
        standing = [(row.start_ms, row.end_ms) for row in stored if row.stands(now)]
        rows = [not_entitled_row(piece, now) for piece in subtract([refused], standing)]
        await write_ledger(connection, series, stored, rows)
        await note_refused(connection, instrument.symbol, timeframe, refused)


class _Writing:
    """One transaction of the write path; the steps share what they read."""

    def __init__(
        self, connection: asyncpg.Connection, answer: Answer, sessions: SessionTable, derive: bool
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._sessions = sessions
        self._symbol = answer.instrument.symbol
        self._zone = answer.instrument.zone
        self._derived = answer.timeframe.derived if derive else ()
        self._reach = self._days_touched()
        self._counted: dict[Timeframe, dict[int, Count]] = {}
        self._before: dict[Timeframe, Bars] = {}
        self._after: dict[Timeframe, Bars] = {}
        self._written_since: dict[Timeframe, int] = {}

    def _days_touched(self) -> Range:
        """The answered range, widened to the windows derived from it and then to whole local days."""
        start, end = self._answer.start_ms, self._answer.end_ms
        for timeframe in self._derived:
            start = min(start, floor_to_window(self._answer.start_ms, timeframe, self._zone))
            end = max(end, ceil_to_window(self._answer.end_ms, timeframe, self._zone))
        first, last = local_days(np.array([start, end - 1], np.int64), self._zone)
        bounds = midnights(np.array([first, last + 1], np.int64), self._zone)
        return int(bounds[0]), int(bounds[1])

    async def run(self) -> dict[Timeframe, Written]:
        answer = self._answer
        await lock_series(self._connection, self._symbol, answer.timeframe.base)
        await self._read_before()
        ledger = await read_ledger(self._connection, self._series(answer.timeframe), *self._reach)
        written = {answer.timeframe: await self._write(answer.timeframe, answer.bars, VENDOR)}
        complete = self._complete(ledger) if self._derived else []
        for timeframe in self._derived:
            written[timeframe] = await self._write(timeframe, self._roll_up(timeframe, complete), DERIVED)
        await self._write_ledger(ledger)
        gains = await self._write_audit()
        said = Said((answer.start_ms, answer.end_ms), self._zone, with_bars=len(answer.bars) > 0)
        await note_written(self._connection, self._symbol, gains, said, answer.fetched_at)
        await mark_written(self._connection, self._symbol, self._written_since)
        return written

    async def derive_only(self) -> dict[Timeframe, Written]:
        """The derived part of ``run`` alone: the base is as it is, the ledger says what of it is whole."""
        base = self._answer.timeframe
        await lock_series(self._connection, self._symbol, base)
        await self._read_before()
        self._after[base] = self._before[base]
        ledger = await read_ledger(self._connection, self._series(base), *self._reach)
        complete = subtract(clip(answered(ledger), *self._reach), self._gone(range(0)))
        written = {
            timeframe: await self._write(timeframe, self._roll_up(timeframe, complete), DERIVED)
            for timeframe in self._derived
        }
        del self._after[base]  # what may be missing from the base must stay missed
        gains = await self._write_audit()
        await note_written(self._connection, self._symbol, gains, None, self._answer.fetched_at)
        await mark_written(self._connection, self._symbol, self._written_since)
        return written

    def _series(self, timeframe: Timeframe) -> Series:
        return Series(self._symbol, timeframe)

    async def _read_before(self) -> None:
        timeframes = (self._answer.timeframe, *self._derived)
        present = await timeframes_with_rows(self._connection, self._symbol, timeframes, *self._reach)
        for timeframe in timeframes:
            self._before[timeframe] = (
                await read_bars(self._connection, self._series(timeframe), *self._reach)
                if timeframe in present
                else Bars.empty()
            )
        first, last = (int(d) for d in local_days(np.array(self._reach, np.int64), self._zone))
        self._counted = await read_counts(self._connection, self._symbol, timeframes, first, last - 1)

    async def _write(self, timeframe: Timeframe, bars: Bars, source: str) -> Written:
        stored = self._before[timeframe]
        written = await write_bars(
            self._connection,
            self._series(timeframe),
            bars,
            stored,
            source=source,
            fetched_at=self._answer.fetched_at,
        )
        self._after[timeframe] = stored
        if written.since_ms is not None:
            self._after[timeframe] = merged(stored, bars)
            self._written_since[timeframe] = written.since_ms
        return written

    def _complete(self, ledger: Sequence[LedgerRow]) -> list[Range]:
        """What is covered, and stored, once this answer is in the ledger, within the days touched."""
        own, holes = (self._answer.start_ms, self._answer.end_ms), self._answer.holes
        before = subtract(answered(ledger), self._gone(whole_days(*own, self._zone)))
        return clip(subtract(union([*before, own]), holes), *self._reach)

    def _gone(self, answered_whole: range) -> list[Range]:
        """Days, but for those, of which base bars were deleted or dropped: nothing whole is made of them."""
        base = self._answer.timeframe
        kept_from = self._answer.instrument.kept_from(base)
        dropped = [] if kept_from is None else [(0, midnight_ms(kept_from, self._zone))]
        counted = {day: n for day, n in self._counted[base].items() if day not in answered_whole}
        if not counted:
            return dropped
        days = lost_days(count_by_day(self._after[base], base, self._sessions), counted)
        first, last = (midnights(np.array(days, np.int64) + past, self._zone).tolist() for past in (0, 1))
        return [*dropped, *zip(first, last, strict=True)]

    def _roll_up(self, timeframe: Timeframe, complete: Sequence[Range]) -> Bars:
        """The complete windows of *timeframe* that share an instant with the answer."""
        start = floor_to_window(self._answer.start_ms, timeframe, self._zone)
        end = ceil_to_window(self._answer.end_ms, timeframe, self._zone)
        base = self._after[self._answer.timeframe].between(start, end)
        return roll_up(base, timeframe, self._zone, complete)

    async def _write_ledger(self, stored: Sequence[LedgerRow]) -> None:
        answer = self._answer
        touching = [row for row in stored if row.start_ms <= answer.end_ms and row.end_ms >= answer.start_ms]
        rows = ledger_rows(
            units_of(self._sessions, answer.timeframe),
            (answer.start_ms, answer.end_ms),
            answer.bars.t,
            answer.holes,
            touching,
            answer.fetched_at,
        )
        known = self._after[answer.timeframe].t
        series = self._series(answer.timeframe)
        await write_ledger(self._connection, series, touching, rows, answer.holes, known)

    async def _write_audit(self) -> dict[Timeframe, Gain]:
        """Bring the audited counts up to date; by how much those of each series grew."""
        stored = self._counted
        whole = whole_days(self._answer.start_ms, self._answer.end_ms, self._zone)
        gains = {}
        for timeframe, after in self._after.items():
            before = self._before[timeframe]
            was = count_by_day(before, timeframe, self._sessions)
            now = was if after is before else count_by_day(after, timeframe, self._sessions)
            counts = audited(was, now, stored[timeframe], whole)
            await write_counts(self._connection, self._symbol, timeframe, counts)
            gains[timeframe] = Gain(
                growth(counts, stored[timeframe]), after, changed=timeframe in self._written_since
            )
        return gains
