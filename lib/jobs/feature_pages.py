"""The features of one series, page by page: which rows are due, what they rest on, their values.

A page goes on where current rows end: it looks back over as many bars as any feature remembers, and the
on-balance volume continues from its stored value. Without current rows before it, that is summed up anew from
the first bar of all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

import numpy as np

from lib.adjustment import Factors, split_adjusted
from lib.audit.features import FeatureOutcome
from lib.bars import Bars
from lib.coverage import Range, clip, holds, subtract, union
from lib.indicators import FEATURE_SET_VERSION, LOOKBACK_BARS, compute
from lib.outcome import Busy
from lib.sessions import SessionTable, after_hole
from lib.store.feature_rows import Page, compare
from lib.store.features import EVER, FeatureState, SeriesFeatures
from lib.timeframe import Timeframe
from lib.zones import local_days

PAGE_BARS = 50_000
TOLERANCE = 1e-9  # relatively: what --verify lets pass

Known = tuple[int, float]  # the stamp of a bar and the on-balance volume there


@dataclass(frozen=True, slots=True)
class Basis:
    """What else than their bars the features of a series rest on. *factors* None: no splits."""

    timeframe: Timeframe
    sessions: SessionTable
    bars_per_year: float
    factors: Factors | None = None

    def fingerprint(self, until_ms: int) -> str:
        """A text that changes when the values before *until_ms* would for another reason than their bars."""
        last_day = local_days(np.array([until_ms - 1], np.int64), self.sessions.zone)
        days = self.sessions.days[: int(np.searchsorted(self.sessions.days, last_day[0], side="right"))]
        splits = "none"
        if self.factors is not None:
            splits = f"{crc32(self.factors.day_start_ms.tobytes() + self.factors.price_factor.tobytes()):08x}"
        return f"year {self.bars_per_year!r} sessions {len(days)}-{crc32(days.tobytes()):08x} splits {splits}"

    def page(self, raw: Bars, start_ms: int, known: Known | None) -> Page:
        """The features of the bars of *raw* from *start_ms* on; those before are looked back to.

        *known*: the on-balance volume at one of the bars; None: *raw* begins with the first bar of all.
        """
        bars = raw if self.factors is None else split_adjusted(raw, self.factors)
        values = compute(
            bars,
            self.bars_per_year,
            after_hole=after_hole(self.sessions, self.timeframe, raw.t),
            obv_known=None if known is None else (int(np.searchsorted(raw.t, known[0])), known[1]),
        )
        return Page(bars, values).take(slice(int(np.searchsorted(raw.t, start_ms)), None))


@dataclass(slots=True)
class Phases:
    """How long a run was at reading, computing and writing."""

    read: Busy
    compute: Busy
    write: Busy


@dataclass(slots=True)
class SeriesWork:
    """The features of one series of a run. *wanted*: the stamps whose rows may be written.

    *full*: rows count as current only if this run has written them.
    """

    basis: Basis
    wanted: Range
    full: bool
    phases: Phases
    outcome: FeatureOutcome
    done: list[Range] = field(default_factory=list)

    def due(self, state: FeatureState) -> list[Range]:
        """The stamps whose rows are to be computed."""
        if state.last_bar_ms is None:
            return []
        end = min(self.wanted[1], state.last_bar_ms + 1)
        return subtract([(self.wanted[0], end)], self._trusted(state))

    def current(self, state: FeatureState) -> list[Range]:
        """The stamps whose rows are what their bars give."""
        if not state.computed or state.version != FEATURE_SET_VERSION:
            return []
        same = state.basis == self.basis.fingerprint(state.computed[-1][1])
        return list(state.computed) if same else []

    def _trusted(self, state: FeatureState) -> list[Range]:
        current = self.current(state)
        return subtract(current, subtract(current, self.done)) if self.full else current

    async def next_page(self, features: SeriesFeatures, now: datetime) -> bool:
        """Bring the first page of the rows that are due up to date; whether more are due after it."""
        due = self.due(features.state)
        if not due:
            return False
        start, end = due[0]
        raw = await self._bars(features, (start, end), LOOKBACK_BARS)
        known = await self._known(features, raw, start)
        page = await self._page(raw, start, known)
        span = (start, int(raw.t[-1]) + 1) if len(page) == PAGE_BARS else (start, end)
        with self.phases.write.task():
            written = await features.write(page, span, now)
            computed = union([*self.current(features.state), span])
            basis = self.basis.fingerprint(computed[-1][1])
            await features.conclude(FEATURE_SET_VERSION, basis, computed, now)
        self.done = union([*self.done, span])
        self._count(page)
        self.outcome.inserted += written.inserted
        self.outcome.updated += written.updated
        self.outcome.deleted += written.deleted
        return bool(subtract(due, [span]))

    async def _bars(self, features: SeriesFeatures, span: Range, lookback: int) -> Bars:
        with self.phases.read.task():
            bars = await features.bars(span, lookback=lookback, limit=PAGE_BARS)
        self.outcome.bars += len(bars)
        return bars

    async def _page(self, raw: Bars, start_ms: int, known: Known | None) -> Page:
        with self.phases.compute.task():
            return await asyncio.to_thread(self.basis.page, raw, start_ms, known)

    def _count(self, page: Page) -> None:
        if len(page):
            first, last = int(page.bars.t[0]), int(page.bars.t[-1])
            seen = self.outcome
            seen.computed += len(page)
            seen.first_ms = first if seen.first_ms is None else min(first, seen.first_ms)
            seen.last_ms = last if seen.last_ms is None else max(last, seen.last_ms)

    async def _known(self, features: SeriesFeatures, raw: Bars, start_ms: int) -> Known | None:
        """The on-balance volume before *start_ms*; None if no bar lies before it."""
        if not len(raw) or raw.t[0] >= start_ms:
            return None
        if any(end == start_ms for _, end in self._trusted(features.state)):
            stored = await features.obv_before(start_ms)
            if stored is not None and stored[0] in raw.t:
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

    async def verify(self, features: SeriesFeatures) -> None:
        """Compare the current rows in *wanted* with what the bars give from the first one on."""
        current = clip(self.current(features.state), *self.wanted)
        start, known = EVER[0], None
        while current and start < current[-1][1]:
            raw = await self._bars(features, (start, current[-1][1]), LOOKBACK_BARS)
            page = await self._page(raw, start, known)
            end = int(raw.t[-1]) + 1 if len(page) == PAGE_BARS else current[-1][1]
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
