"""The core fetch: the missing bars of one symbol, from the vendor's pages into the database.

The way of a bar: ledger -> plan -> request -> page -> a transaction of bars, derived bars, ledger, audit.
The windows of a symbol run side by side, and within a window the next page is on the wire while one is being
written. What bounds them is the toolkit's: the rate budget, the answers in flight, the writers.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import numpy as np

from lib.concurrency import prefetch, run_bounded
from lib.coverage import Answered, LedgerRow, Range, answered, covered, subtract, union
from lib.errors import BackfillError, BudgetSpent, KeyRefused, NotEntitled, VendorError
from lib.estimate import Purpose, purpose_of
from lib.outcome import SeriesOutcome, SymbolOutcome
from lib.plan import (
    DateRange,
    Window,
    fetched_timeframes,
    halves,
    kept_range,
    listed_from_ms,
    marked,
    missing_ranges,
    wanted_range,
    windows,
)
from lib.sessions import SessionTable
from lib.store.answers import Answer
from lib.store.bars import Series, Written
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.vendor.paging import Page
from lib.wiring import Toolkit
from lib.zones import window_ends, window_starts

_NOTHING: Mapping[Timeframe, Sequence[Range]] = {}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run shall have of a symbol. *derive*: fetch 1m and 1d only and roll the others up.

    *again*: ranges of fetched series to ask again although they are covered; *rederive*: ranges of 1m or 1d
    whose longer frames to roll up again, without a request. *recheck*: ask again what the vendor had empty or
    refused, before its expiry. *gap_round*: it is asked for because something lacks after the run.
    """

    dates: DateRange
    timeframes: tuple[Timeframe, ...]
    derive: bool = True
    again: Mapping[Timeframe, Sequence[Range]] = field(default_factory=dict)
    rederive: Mapping[Timeframe, Sequence[Range]] = field(default_factory=dict)
    recheck: bool = False
    gap_round: bool = False


class Progress(Protocol):
    """Told what happens while it happens."""

    def planned(self, symbol: str, windows: int) -> None: ...
    def page_stored(self, symbol: str, timeframe: Timeframe, bars: int) -> None: ...
    def window_done(self, symbol: str) -> None: ...
    def symbol_done(self, outcome: SymbolOutcome) -> None: ...


@dataclass(frozen=True, slots=True)
class Lacking:
    """What of a fetched series is wanted, has settled and is not covered, and its rows of the ledger."""

    ranges: list[Range]
    rows: list[LedgerRow]


Lacks = dict[tuple[str, Timeframe], Lacking]  # by symbol and timeframe


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What will be asked for one fetched series, and why nothing more. *rows*: of the ledger."""

    timeframe: Timeframe
    windows: list[Window]
    rows: list[LedgerRow]
    refused_before: bool = False  # an earlier run learnt that the plan includes nothing of it


async def plan_symbol(
    toolkit: Toolkit,
    instrument: Instrument,
    wanted: Wanted,
    given: Mapping[Timeframe, Sequence[Range]] = _NOTHING,
    known: Lacks | None = None,
) -> list[SeriesPlan]:
    """The requests that would complete *wanted* now, per series asked of the vendor.

    *given*: what will come by another way. *known*: what lacks, if it was just found.
    Raises HorizonExceeded for dates the trading calendar does not know.
    """
    toolkit.sessions[instrument.calendar].indices(wanted.dates.start, wanted.dates.end + timedelta(days=1))
    known = known or await find_lacking(toolkit, [(instrument, wanted)])
    plans = []
    for timeframe in fetched_timeframes(wanted.timeframes, derive=wanted.derive):
        lack = known[instrument.symbol, timeframe]
        missing = subtract(lack.ranges, given.get(timeframe, ()))
        before = union((row.start_ms, row.end_ms) for row in lack.rows)
        asked = await _windows(toolkit, instrument, timeframe, missing)
        asked = marked(asked, missing, before, toolkit.sessions[instrument.calendar])
        refused = not asked and bool(lack.rows) and not answered(lack.rows)
        plans.append(SeriesPlan(timeframe, asked, lack.rows, refused))
    return plans


async def _windows(
    toolkit: Toolkit, instrument: Instrument, timeframe: Timeframe, missing: Sequence[Range]
) -> list[Window]:
    """The fewest windows; where there are several, of the size that what was seen of a thin name allows."""
    sessions = toolkit.sessions[instrument.calendar]
    asked = windows(missing, timeframe, instrument, sessions)
    if len(asked) < 2 or timeframe.base is not Timeframe.M1:
        return asked
    seen = await toolkit.store.bars_a_session(instrument)
    return windows(missing, timeframe, instrument, sessions, seen)


async def find_lacking(toolkit: Toolkit, scopes: Sequence[tuple[Instrument, Wanted]]) -> Lacks:
    """What lacks of every series that is fetched for *scopes*, by the ledger."""
    series = [
        (instrument, wanted, timeframe)
        for instrument, wanted in scopes
        for timeframe in fetched_timeframes(wanted.timeframes, derive=wanted.derive)
    ]
    spans = [
        (Series(i.symbol, timeframe), wanted_range(wanted.dates, wanted.timeframes, timeframe, i.zone))
        for i, wanted, timeframe in series
    ]
    return {
        (i.symbol, timeframe): Lacking(_missing(toolkit, i, wanted, timeframe, rows), rows)
        for (i, wanted, timeframe), rows in zip(series, await toolkit.store.read_ledgers(spans), strict=True)
    }


def _missing(
    toolkit: Toolkit, instrument: Instrument, wanted: Wanted, timeframe: Timeframe, rows: Sequence[LedgerRow]
) -> list[Range]:
    now = toolkit.now()
    span = wanted_range(wanted.dates, wanted.timeframes, timeframe, instrument.zone)
    span = kept_range(span, instrument, wanted.timeframes, timeframe, derive=wanted.derive)
    first = min(max(span[0], listed_from_ms(instrument)), span[1])
    sessions = toolkit.sessions[instrument.calendar]
    settled = sessions.settled_until_ms(timeframe, now, toolkit.delay(instrument))
    return missing_ranges(
        (first, span[1]), settled, covered(standing(rows, wanted), now), wanted.again.get(timeframe, ())
    )


def standing(rows: Sequence[LedgerRow], wanted: Wanted) -> list[LedgerRow]:
    """The answers that count until they expire: with *recheck* only those with bars."""
    return [row for row in rows if row.outcome is Answered.DATA or not wanted.recheck]


async def backfill_symbol(
    toolkit: Toolkit, instrument: Instrument, wanted: Wanted, outcome: SymbolOutcome, progress: Progress
) -> None:
    """Fetch and store what is missing of *wanted*; a failure of one request leaves the others going.

    *outcome* is filled while it goes, so that an interrupted run knows how far it came.
    Raises KeyRefused and DatabaseError, which concern every symbol; what concerns this one is in the outcome.
    """
    plans = await plan_symbol(toolkit, instrument, wanted)
    progress.planned(instrument.symbol, sum(len(plan.windows) for plan in plans))
    run = _SymbolRun(toolkit, instrument, wanted, outcome, progress)
    for plan in plans:
        run.outcome(plan.timeframe).begin(len(plan.windows))
    # The newest first: where a plan's history ends, it is found from the side that can be had.
    work = sorted((w for plan in plans for w in plan.windows), key=lambda w: -w.end_ms)
    await run_bounded(work, run.window, limit=toolkit.windows_at_once)
    await run.derive_again()
    await run.settle(plans)
    outcome.ended = True
    progress.symbol_done(outcome)


@dataclass(slots=True)
class _SymbolRun:
    """One symbol while it is being fetched: where its windows report to."""

    toolkit: Toolkit
    instrument: Instrument
    wanted: Wanted
    symbol_outcome: SymbolOutcome
    progress: Progress
    fetched: dict[Timeframe, SeriesOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fetched.update({series.timeframe: series for series in self.symbol_outcome.series})

    @property
    def sessions(self) -> SessionTable:
        return self.toolkit.sessions[self.instrument.calendar]

    def outcome(self, timeframe: Timeframe) -> SeriesOutcome:
        """What is known of a series so far; one that was fetched only to derive from is not reported."""
        if timeframe not in self.fetched:
            outcome = self.fetched[timeframe] = SeriesOutcome(self.instrument.symbol, timeframe)
            if timeframe in self.wanted.timeframes:
                self.symbol_outcome.series.append(outcome)
        return self.fetched[timeframe]

    async def window(self, window: Window) -> None:
        """One request with its further pages; its failure is noted, not passed on."""
        outcome = self.outcome(window.timeframe)
        started = self.toolkit.clock.monotonic()
        try:
            refusal = await self._entitled(window, outcome)
            if refusal is not None:
                outcome.windows_refused += 1
                outcome.error = outcome.error or str(refusal)
        except KeyRefused:
            raise
        except BudgetSpent:
            outcome.windows_left += 1
        except VendorError as error:
            outcome.windows_failed += 1
            outcome.error = outcome.error or _shown(error)
        finally:
            outcome.seconds += self.toolkit.clock.monotonic() - started
            self.progress.window_done(self.instrument.symbol)

    async def _entitled(self, window: Window, outcome: SeriesOutcome) -> NotEntitled | None:
        """Fetch *window*, or what of it the plan includes; the refusal if that is nothing."""
        refusal = await self._try(window, outcome)
        if refusal is None or not refusal.outside_window:
            return refusal
        async with self.toolkit.entitlement.search(self.instrument.asset_class):
            return await self._narrow(window, refusal, outcome)

    async def _try(self, window: Window, outcome: SeriesOutcome) -> NotEntitled | None:
        entitlement, asset_class = self.toolkit.entitlement, self.instrument.asset_class
        if entitlement.refuses(asset_class, window):
            await self._note_refused(window)
            return NotEntitled("the plan of this key does not reach back to these dates")
        try:
            async with self.toolkit.in_flight:
                await self._fetch(window, outcome)
        except NotEntitled as error:
            if not error.outside_window:
                entitlement.learn(asset_class, window, error, self.toolkit.now())
                await self._note_refused(window)
            return error
        return None

    async def _narrow(
        self, window: Window, refusal: NotEntitled, outcome: SeriesOutcome
    ) -> NotEntitled | None:
        """The vendor refuses a window whole when the plan's history ends inside it: its halves tell where."""
        entitlement, asset_class = self.toolkit.entitlement, self.instrument.asset_class
        known = entitlement.edge_ms(asset_class)
        parts = None if known >= window.end_ms else halves(window, self.instrument, self.sessions, known)
        if parts is None:
            entitlement.learn(asset_class, window, refusal, self.toolkit.now())
            await self._note_refused(window)
            return refusal
        refusals = []
        for part in reversed(parts):  # the newer first: what is refused of it tells of the older
            refused = await self._try(part, outcome)
            if refused is not None and refused.outside_window:
                refused = await self._narrow(part, refused, outcome)
            refusals.append(refused)
        return refusal if all(refusals) else None

    async def _note_refused(self, window: Window) -> None:
        await self.toolkit.store.write_not_entitled(
            self.instrument, window.timeframe, (window.start_ms, window.end_ms), self.toolkit.clock.now()
        )

    async def _fetch(self, window: Window, outcome: SeriesOutcome) -> None:
        kind = Purpose.GAP_ROUNDS if self.wanted.gap_round else purpose_of(window)
        with self.toolkit.sent.request(kind) as sent:
            async with prefetch(self._pages(window)) as coming:
                async for page in coming:
                    outcome.requests += 1
                    sent.pages += 1
                    await self._store(window.timeframe, page, outcome)

    async def _pages(self, window: Window) -> AsyncGenerator[Page, None]:
        """The pages of *window*, the time until each arrives counted as waiting for the vendor."""
        pages = self.toolkit.vendor.pages(self.instrument, window.timeframe, window.start_ms, window.end_ms)
        async with aclosing(pages):
            while True:
                with self.toolkit.api_busy.task():
                    page = await anext(pages, None)
                if page is None:
                    return
                yield page

    async def _store(self, timeframe: Timeframe, page: Page, outcome: SeriesOutcome) -> None:
        outcome.duplicates += page.duplicates
        outcome.refused.extend(page.refused)
        answer = self._answer(timeframe, page)
        if answer is None:
            return
        for written_timeframe, written in (
            await self.toolkit.store.write_answer(answer, self.sessions, derive=self.wanted.derive)
        ).items():
            self._count(written_timeframe, written)

    def _answer(self, timeframe: Timeframe, page: Page) -> Answer | None:
        """The page as far as it has settled by the vendor's clock too; None if nothing of it has."""
        now = self.toolkit.clock.now()
        if page.vendor_now:
            self.toolkit.lag.observe(now, page.vendor_now)
            now = min(now, page.vendor_now)
        settled = self.sessions.settled_until_ms(timeframe, now, self.toolkit.delay(self.instrument))
        end = min(page.end_ms, settled)
        if end <= page.start_ms:
            return None
        bars = page.bars.between(page.start_ms, end)
        holes = _windows_of([bar.t for bar in page.refused], timeframe, self.instrument.zone)
        return Answer(self.instrument, timeframe, page.start_ms, end, bars, holes, now)

    def _count(self, timeframe: Timeframe, written: Written) -> None:
        outcome = self.outcome(timeframe)
        outcome.received += written.received
        outcome.inserted += written.inserted
        outcome.updated += written.updated
        self.progress.page_stored(self.instrument.symbol, timeframe, written.received)

    async def derive_again(self) -> None:
        """Roll up again what was found to be missing from the longer frames."""
        for base, ranges in self.wanted.rederive.items():
            for span in ranges:
                written = await self.toolkit.store.derive_again(
                    self.instrument, base, span, self.sessions, self.toolkit.clock.now()
                )
                for timeframe, counts in written.items():
                    self._count(timeframe, counts)

    async def settle(self, plans: Iterable[SeriesPlan]) -> None:
        """Conclude the wanted series; a derived one shares the fate of what it is made of."""
        for plan in plans:
            self.outcome(plan.timeframe).settle(refused_before=plan.refused_before)
        timeframes = self.wanted.timeframes
        stored = await self.toolkit.store.audited_bars(self.instrument, timeframes, self.wanted.dates)
        for timeframe in timeframes:
            outcome = self.outcome(timeframe)
            if timeframe not in {plan.timeframe for plan in plans}:
                base = self.outcome(timeframe.base)
                outcome.status, outcome.error = base.status, base.error
            outcome.bars, outcome.first, outcome.last = stored[timeframe]
        self.symbol_outcome.series.sort(key=lambda series: series.timeframe.step_ms)


def _shown(error: BackfillError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _windows_of(stamps: list[int], timeframe: Timeframe, zone: str) -> tuple[Range, ...]:
    """The windows of *timeframe* that hold these stamps, which may lie off the grid."""
    starts = window_starts(np.array(stamps, np.int64), timeframe, zone)
    return tuple(zip(starts.tolist(), window_ends(starts, timeframe, zone).tolist(), strict=True))
