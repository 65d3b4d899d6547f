"""The features of one series, page by page: which rows are due, what they rest on, their values.

A page goes on where current rows end: it looks back over as many bars as any feature remembers, and the
on-balance volume continues from its stored value. Without current rows before it, that is summed up anew from
the first bar of all.

The first page is read, computed and written under the lock of the bars. After that, while one page is being
written, the next is read and computed; it counts only if nothing has changed once the lock is held.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

import numpy as np

from lib.audit.features import FeatureOutcome
from lib.bars import Bars
from lib.clock import Clock
from lib.concurrency import prefetch
from lib.coverage import Range, clip, holds, subtract, union
from lib.indicators import FEATURE_SET_VERSION, LOOKBACK_BARS, compute
from lib.outcome import Busy
from lib.sessions import SessionTable, after_hole
from lib.store.bars import Series
from lib.store.feature_rows import FeaturesWritten, Page, compare
from lib.store.features import EVER, FeatureState, FeatureStore, SeriesFeatures
from lib.timeframe import Timeframe

PAGE_BARS = 50_000
TOLERANCE = 1e-9  # relatively: what --verify lets pass

Known = tuple[int, float]  # the stamp of a bar and the on-balance volume there


@dataclass(frozen=True, slots=True)
class Basis:
    """What else than their bars the features of a series rest on, its splits apart."""

    timeframe: Timeframe
    sessions: SessionTable
    bars_per_year: float
    _checksums: dict[int, int] = field(default_factory=dict)

    def fingerprint(self, state: FeatureState, until_ms: int) -> str:
        """A text that changes when the values before *until_ms* would for another reason than their bars."""
        count = int(np.searchsorted(self.sessions.open_ms, until_ms))
        if count not in self._checksums:
            self._checksums[count] = crc32(self.sessions.days[:count].tobytes())
        splits = ", ".join(f"{end} {factor}" for end, factor in state.eras)
        return (
            f"{self.bars_per_year!r} bars a year; {count} sessions {self._checksums[count]:08x}; "
            f"splits: {splits or 'none'}"
        )

    def page(self, bars: Bars, start_ms: int, known: Known | None) -> Page:
        """The features of *bars* from *start_ms* on; those before are looked back to.

        *known*: the on-balance volume at one of the bars; None: they begin with the first bar of all.
        """
        values = compute(
            bars,
            self.bars_per_year,
            after_hole=after_hole(self.sessions, self.timeframe, bars.t),
            obv_known=None if known is None else (int(np.searchsorted(bars.t, known[0])), known[1]),
        )
        return Page(bars, values).take(slice(int(np.searchsorted(bars.t, start_ms)), None))


@dataclass(frozen=True, slots=True)
class Phases:
    """How long a run was at reading, computing and writing."""

    read: Busy
    compute: Busy
    write: Busy


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows of *span*, computed when the series was in *state*."""

    span: Range
    page: Page
    state: FeatureState

    def fits(self, state: FeatureState) -> bool:
        """Whether nothing they rest on has changed since."""
        return (self.state.changes, self.state.eras) == (state.changes, state.eras)


@dataclass(slots=True)
class SeriesWork:
    """The features of one series of a run. *wanted*: the stamps whose rows may be written.

    *full*: rows count as current only if this run has written them.
    """

    store: FeatureStore
    clock: Clock
    basis: Basis
    wanted: Range
    full: bool
    phases: Phases
    outcome: FeatureOutcome
    page_done: Callable[[int], None]
    done: list[Range] = field(default_factory=list)

    @property
    def series(self) -> Series:
        return Series(self.outcome.symbol, self.outcome.timeframe)

    def due(self, state: FeatureState) -> list[Range]:
        """The stamps whose rows are to be computed."""
        if state.last_bar_ms is None:
            return []
        end = state.last_bar_ms + 1
        if self.full and state.computed:
            end = max(end, state.computed[-1][1])  # rows may be there whose bars another program took away
        return subtract([(self.wanted[0], min(self.wanted[1], end))], self._trusted(state))

    def current(self, state: FeatureState) -> list[Range]:
        """The stamps whose rows are what their bars give."""
        if not state.computed or state.version != FEATURE_SET_VERSION:
            return []
        same = state.basis == self.basis.fingerprint(state, state.computed[-1][1])
        return list(state.computed) if same else []

    def _trusted(self, state: FeatureState) -> list[Range]:
        current = self.current(state)
        return subtract(current, subtract(current, self.done)) if self.full else current

    async def bring_up_to_date(self) -> None:
        """Compute and write all rows that are due; after an outage of the database, what is due then."""
        await self.store.outlast(self._bring_up_to_date)

    async def _bring_up_to_date(self) -> None:
        while rest := await self._first_page():
            await self._further_pages(rest[0])

    async def _first_page(self) -> list[Range]:
        """Read, compute and write a page while nobody can write its bars; what is due after it."""
        now = self.clock.now()
        async with self.store.writing(self.series, now) as features:
            due = self.due(features.state)
            if not due:
                return []
            prepared = await self._prepare(features, due[0])
            written = await self._write(features, prepared, now)
        self._note(prepared, written)
        return subtract(due, [prepared.span])

    async def _further_pages(self, span: Range) -> None:
        """Compute each page while the one before is written, to the end of *span* or to a change."""
        async with prefetch(self._ahead(span)) as coming:
            async for prepared in coming:
                now = self.clock.now()
                async with self.store.writing(self.series, now) as features:
                    if not prepared.fits(features.state):
                        return
                    written = await self._write(features, prepared, now)
                self._note(prepared, written)

    async def _ahead(self, span: Range) -> AsyncGenerator[Prepared, None]:
        (start, end), known = span, None
        while start < end:
            async with self.store.reading(self.series, self.clock.now()) as features:
                prepared = await self._prepare(features, (start, end), known)
            yield prepared
            start, known = prepared.span[1], _last_known(prepared.page) or known

    async def _prepare(self, features: SeriesFeatures, span: Range, known: Known | None = None) -> Prepared:
        """The first page of *span*. *known*: the on-balance volume before it, if it was computed."""
        bars = await self._bars(features, span, LOOKBACK_BARS)
        if known is None:
            known = await self._known(features, bars, span[0])
        page = await self._page(bars, span[0], known)
        if len(page) == PAGE_BARS:
            span = (span[0], int(page.bars.t[-1]) + 1)
        return Prepared(span, page, features.state)

    async def _write(self, features: SeriesFeatures, prepared: Prepared, now: datetime) -> FeaturesWritten:
        with self.phases.write.task():
            written = await features.write(prepared.page, prepared.span, now)
            computed = union([*self.current(features.state), prepared.span])
            basis = self.basis.fingerprint(features.state, computed[-1][1])
            await features.conclude(FEATURE_SET_VERSION, basis, computed, now)
        return written

    def _note(self, prepared: Prepared, written: FeaturesWritten) -> None:
        """Count a page, once it is committed."""
        self.done = union([*self.done, prepared.span])
        self.outcome.add(written.inserted, written.updated, written.deleted)
        self._count(prepared.page)
        self.page_done(len(prepared.page))

    async def _bars(self, features: SeriesFeatures, span: Range, lookback: int) -> Bars:
        with self.phases.read.task():
            bars = await features.bars(span, lookback=lookback, limit=PAGE_BARS)
        self.outcome.bars += len(bars)
        return bars

    async def _page(self, bars: Bars, start_ms: int, known: Known | None) -> Page:
        with self.phases.compute.task():
            return await asyncio.to_thread(self.basis.page, bars, start_ms, known)

    def _count(self, page: Page) -> None:
        if len(page):
            first, last = int(page.bars.t[0]), int(page.bars.t[-1])
            seen = self.outcome
            seen.computed += len(page)
            seen.first_ms = first if seen.first_ms is None else min(first, seen.first_ms)
            seen.last_ms = last if seen.last_ms is None else max(last, seen.last_ms)

    async def _known(self, features: SeriesFeatures, bars: Bars, start_ms: int) -> Known | None:
        """The on-balance volume before *start_ms*; None if no bar lies before it."""
        if not len(bars) or bars.t[0] >= start_ms:
            return None
        trusted = self._trusted(features.state)
        if any(end == start_ms for _, end in trusted):
            last = trusted[-1][1] == start_ms == features.state.computed[-1][1]
            stored = features.known if last else await features.obv_before(start_ms)
            if stored is not None and stored[0] in bars.t:
                return stored
        return await self._summed_up(features, start_ms)

    async def _summed_up(self, features: SeriesFeatures, end_ms: int) -> Known | None:
        """The on-balance volume before *end_ms*, from the first bar on."""
        start, known = EVER[0], None
        while len(page := await self._stretch(features, (start, end_ms), known)):
            start, known = int(page.bars.t[-1]) + 1, _last_known(page) or known
        return known

    async def _stretch(self, features: SeriesFeatures, span: Range, known: Known | None) -> Page:
        """The next page of *span*, for its on-balance volume only: what it goes on from is looked back to."""
        return await self._page(await self._bars(features, span, 1), span[0], known)

    async def verify(self) -> None:
        """Compare the current rows in *wanted* with what the bars give from the first one on.

        After an outage of the database from the beginning: what is compared is one state of it.
        """
        await self.store.outlast(self._verify_all)

    async def _verify_all(self) -> None:
        self.outcome.forget_read()
        async with self.store.reading(self.series, self.clock.now()) as features:
            await self._verify(features)

    async def _verify(self, features: SeriesFeatures) -> None:
        current = clip(self.current(features.state), *self.wanted)
        start, known = EVER[0], None
        while current and start < current[-1][1]:
            bars = await self._bars(features, (start, current[-1][1]), LOOKBACK_BARS)
            page = await self._page(bars, start, known)
            end = int(bars.t[-1]) + 1 if len(page) == PAGE_BARS else current[-1][1]
            due = clip(current, start, end)
            if due:
                await self._compare(page, await features.rows((due[0][0], end)), due)
            start, known = end, _last_known(page) or known

    async def _compare(self, page: Page, stored: Page, due: Sequence[Range]) -> None:
        page, stored = _within(page, due), _within(stored, due)
        found = await asyncio.to_thread(compare, page, stored, TOLERANCE)
        self._count(page)
        difference = self.outcome.difference
        difference.add(page.bars.t[found.changed].tolist(), found.columns)
        difference.add(page.bars.t[found.new].tolist(), ("(no row)",))
        difference.add(found.orphans.tolist(), ("(no bar)",))


def _last_known(page: Page) -> Known | None:
    """The last bar of *page* with an on-balance volume: bars without a price have none."""
    at = np.flatnonzero(~np.isnan(page.values["obv"]))
    return (int(page.bars.t[at[-1]]), float(page.values["obv"][at[-1]])) if len(at) else None


def _within(page: Page, ranges: Sequence[Range]) -> Page:
    return page.take(holds(ranges, page.bars.t, page.bars.t + 1))
