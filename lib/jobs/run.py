"""One run over many symbols: who goes when, what came of it, and the audit, whatever happens."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from lib.audit import (
    Audit,
    Completeness,
    Config,
    Requests,
    RunFacts,
    build_audit,
    requests,
    timing,
)
from lib.clock import Clock, to_ms
from lib.concurrency import run_bounded
from lib.errors import BackfillError, DatabaseError, HorizonExceeded, LockHeld, UsageError
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.actions import Asking, refresh_actions
from lib.jobs.gaps import GapReport, Scope, fill
from lib.jobs.grouped import Stored, fetch_grouped
from lib.jobs.ohlcv import Progress, Wanted, backfill_symbol
from lib.jobs.plan import RunPlan, plan_and_fact, plan_run
from lib.jobs.record import run_end
from lib.jobs.status import SeriesState, freshness_rows, states
from lib.jobs.symbols import resolve
from lib.outcome import RunStatus, SeriesOutcome, SymbolOutcome, exit_status, run_status
from lib.plan import DateRange, last_days
from lib.redaction import Redaction
from lib.settings import Settings
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import Toolkit
from lib.zones import NEW_YORK, local_date


@dataclass(frozen=True, slots=True)
class Pacing:
    """Who runs at the same time.

    Adaptive: as soon as one symbol is done the next begins, *concurrent* at a time; the vendor's limit is the
    only brake. Staggered: groups of *concurrent*, their starts *stagger_seconds* apart, and
    *group_pause_seconds* between groups.
    """

    concurrent: int = 3
    staggered: bool = False
    stagger_seconds: float = 5.0
    group_pause_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. *days* or *start*..*end*; *timeframes* None: each symbol's own."""

    timeframes: tuple[Timeframe, ...] | None
    days: int | None
    start: date | None
    end: date | None
    derive: bool = True
    recheck: bool = False

    def dates(self, now: datetime, zone: str) -> DateRange:
        """The dates asked for, as seen from *now* in *zone*."""
        today = local_date(to_ms(now), zone)
        if self.start is None:
            return last_days(self.days or 1, today)
        return DateRange(self.start, self.end or today)

    def of(self, instrument: Instrument, now: datetime) -> Wanted:
        """What this asks of one instrument."""
        dates = self.dates(now, instrument.zone)
        timeframes = self.timeframes or instrument.timeframes
        return Wanted(dates, timeframes, self.derive, recheck=self.recheck)


@dataclass(slots=True)
class Report:
    """A run as it goes and as it ended; the audit is made from it."""

    run_id: str
    script: str
    settings: Settings
    request: Request
    pacing: Pacing
    clock: Clock
    started_at: datetime
    began: float
    plan: RunPlan | None = None
    outcomes: list[SymbolOutcome] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    gaps: GapReport | None = None
    ages: list[SeriesState] = field(default_factory=list)
    actions: ActionsOutcome | None = None
    interrupted: bool = False
    error: BackfillError | None = None

    @property
    def status(self) -> RunStatus:
        if self.interrupted:
            return RunStatus.INTERRUPTED
        if self.error:
            return RunStatus.FAILED
        status = run_status(self.outcomes)
        gap_remains = self.gaps is not None and self.gaps.remaining > 0
        left_out = gap_remains or (self.actions is not None and not self.actions.answered)
        return RunStatus.PARTIAL if left_out and status is RunStatus.COMPLETE else status

    @property
    def exit_status(self) -> int:
        """Of a run that was not interrupted."""
        return self.error.exit_status if self.error else exit_status(self.status, self.outcomes)

    def fail(self, error: BackfillError, names: Sequence[str] | None) -> None:
        """Note what ended the run; if it had not come to its symbols, *names* are those asked for."""
        self.error = error
        if not self.outcomes:
            self.outcomes = [SymbolOutcome(name) for name in names or ()]

    def look_at(self, instruments: Sequence[Instrument]) -> None:
        """Make those of *instruments* that have not failed what gaps are looked for in."""
        failed = {outcome.symbol for outcome in self.outcomes if outcome.error is not None}
        self.scopes = [
            Scope(i, self.request.of(i, self.started_at)) for i in instruments if i.symbol not in failed
        ]

    def audit(self, toolkit: Toolkit | None) -> Audit:
        """The document of the run as it stands; *toolkit* None if it could not be opened."""
        gaps = self.gaps or GapReport()
        return build_audit(
            RunFacts(
                run_id=self.run_id,
                status=self.status,
                config=self._config(),
                outcomes=self.outcomes,
                timing=timing(self.clock.monotonic() - self.began, *_seconds(toolkit)),
                requests=_requests(toolkit),
                gaps_detected=gaps.detected,
                retry_results=gaps.results,
                completeness=_completeness(gaps),
                gaps_remaining=gaps.remaining,
                plan=plan_and_fact(self.plan, toolkit.sent) if self.plan and toolkit else None,
                freshness=freshness_rows(self.ages, self.outcomes),
                corporate_actions=self.actions.document() if self.actions else None,
            ),
            self.clock.now(),
            Redaction(self.settings.secrets),
        )

    def _config(self) -> Config:
        dates = self.request.dates(self.started_at, NEW_YORK)
        seen = {series.timeframe for outcome in self.outcomes for series in outcome.series}
        return {
            "symbols": [outcome.symbol for outcome in self.outcomes],
            "timeframes": [
                str(tf) for tf in Timeframe if tf in (self.request.timeframes or seen or Timeframe)
            ],
            "start": dates.start.isoformat(),
            "end": dates.end.isoformat(),
            "max_concurrent": self.pacing.concurrent,
            "pacing": "staggered" if self.pacing.staggered else "adaptive",
            "database": self.settings.database_name,
        }


def _completeness(gaps: GapReport) -> dict[str, dict[str, Completeness]]:
    return {
        symbol: {
            str(timeframe): {
                "symbol": str(cell.sign),
                "expected_sessions": cell.expected,
                "complete": cell.complete,
                "percent": cell.percent,
            }
            for timeframe, cell in cells.items()
        }
        for symbol, cells in gaps.matrix.items()
    }


def _seconds(toolkit: Toolkit | None) -> tuple[float, float, float]:
    if toolkit is None:
        return 0.0, 0.0, 0.0
    return toolkit.api_busy.seconds, toolkit.store.busy.seconds, toolkit.vendor.counters.decode_seconds


def _requests(toolkit: Toolkit | None) -> Requests:
    if toolkit is None:
        return requests(total=0, pages=0, retries=0, rate_limited=0, failed=0)
    counters = toolkit.vendor.counters
    return requests(
        total=counters.total_requests,
        pages=counters.pages,
        retries=counters.retries,
        rate_limited=counters.rate_limited_count,
        failed=counters.failed,
        shared_with=toolkit.budget.most_others,
        learnt_limit=toolkit.budget.learnt,
    )


def new_report(script: str, settings: Settings, request: Request, pacing: Pacing, clock: Clock) -> Report:
    """A run that begins now, under a name that sorts by time."""
    now = clock.now()
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    return Report(run_id, script, settings, request, pacing, clock, now, clock.monotonic())


async def carry_out(
    toolkit: Toolkit,
    names: Sequence[str] | None,
    report: Report,
    progress: Progress,
    arguments: Mapping[str, Any],
    *,
    gap_retries: int | None = None,
    fetch: bool = True,
    actions: bool = False,
) -> Audit:
    """The whole run on an open toolkit, recorded in the database from its start to its audit.

    *gap_retries*: rounds over what is missing afterwards; None looks for no gaps. *fetch* False: only those.
    *actions*: bring splits and dividends up to date, once a day, when the bars that show them are there.
    What ends the run early (a signal, a refused key, the database) is noted in *report*, not raised.
    Raises UsageError, and LockHeld if another run took the run lock when the database was away.
    """
    try:
        await toolkit.store.start_run(report.run_id, report.script, report.started_at, arguments)
        tracked = {i.symbol for i in await toolkit.store.instruments(names)}
        instruments, unknown = await resolve(toolkit, names)
        report.outcomes.extend(unknown)
        if fetch:
            look_ups = [name for name in names or () if name not in tracked]
            await backfill(toolkit, instruments, report, progress, look_ups=look_ups, actions=actions)
        else:
            report.outcomes.extend(untouched(toolkit, instruments, report))
        if gap_retries is not None:
            await _fill_gaps(toolkit, instruments, report, progress, gap_retries)
        if actions:
            report.actions = ActionsOutcome()
            await refresh_actions(toolkit, instruments, report.actions, Asking.DAILY)
    except asyncio.CancelledError:
        report.interrupted = True
    except (UsageError, LockHeld):
        raise
    except BackfillError as error:
        report.error = error
    return await _conclude(toolkit, report)


async def _conclude(toolkit: Toolkit, report: Report) -> Audit:
    """The audit of a run that is over, with what is known now; kept in the database if that can be."""
    if isinstance(report.error, DatabaseError):
        return report.audit(toolkit)
    try:
        names = [outcome.symbol for outcome in report.outcomes]
        columns = await toolkit.store.records.series(names, report.request.timeframes)
        report.ages = states(columns, toolkit.sessions, toolkit.now(), toolkit.plans)
        audit = report.audit(toolkit)
        await toolkit.store.finish_run(report.run_id, run_end(report, audit), fetching=True)
    except DatabaseError as error:
        report.error = error
        return report.audit(toolkit)
    return audit


async def _fill_gaps(
    toolkit: Toolkit, instruments: Sequence[Instrument], report: Report, progress: Progress, rounds: int
) -> None:
    outcomes = {outcome.symbol: outcome for outcome in report.outcomes}
    report.look_at(instruments)
    report.gaps = GapReport()
    await fill(
        toolkit,
        report.scopes,
        outcomes,
        report.gaps,
        progress,
        rounds=rounds,
        concurrent=report.pacing.concurrent,
        run_id=report.run_id,
    )


def untouched(toolkit: Toolkit, instruments: Sequence[Instrument], report: Report) -> list[SymbolOutcome]:
    """The outcomes of symbols of which nothing was fetched; dates beyond the calendar are their error."""
    return [
        SymbolOutcome(i.symbol, error=_beyond_horizon(toolkit, i, report), ended=True) for i in instruments
    ]


def _beyond_horizon(toolkit: Toolkit, instrument: Instrument, report: Report) -> str | None:
    dates = report.request.dates(report.started_at, instrument.zone)
    try:
        toolkit.sessions[instrument.calendar].indices(dates.start, dates.end + timedelta(days=1))
    except HorizonExceeded as error:
        return f"{error} ({error.hint})"
    return None


async def plan(
    toolkit: Toolkit, names: Sequence[str] | None, request: Request, *, actions: bool = False
) -> RunPlan:
    """What a run would ask; *actions*: also for splits and dividends. Sends nothing."""
    now = toolkit.clock.now()
    known = {i.symbol: i for i in await toolkit.store.instruments(names)}
    look_ups = [name for name in names or () if name not in known]
    instruments = [known[name] for name in (names if names is not None else known) if name in known]
    scopes = [(instrument, request.of(instrument, now)) for instrument in instruments]
    return await plan_run(toolkit, scopes, look_ups, actions=actions)


async def backfill(
    toolkit: Toolkit,
    instruments: Sequence[Instrument],
    report: Report,
    progress: Progress,
    *,
    look_ups: Sequence[str] = (),
    actions: bool = False,
) -> None:
    """Run all *instruments*; one symbol's failure never stops another. Fills *report* as it goes.

    *look_ups*, *actions*: what its plan counts besides.
    """
    scopes = _plannable(toolkit, instruments, report.request, report.started_at)
    report.plan = await plan_run(toolkit, scopes, look_ups, actions=actions)
    stored: Stored = {}
    outcomes = {instrument.symbol: SymbolOutcome(instrument.symbol) for instrument in instruments}
    report.outcomes.extend(outcomes.values())

    async def one(instrument: Instrument) -> None:
        wanted = report.request.of(instrument, report.started_at)
        outcome = outcomes[instrument.symbol]
        outcome.series = [
            SeriesOutcome(instrument.symbol, tf, received=w.received, inserted=w.inserted, updated=w.updated)
            for tf, w in stored.get(instrument.symbol, {}).items()
            if tf in wanted.timeframes
        ]
        try:
            await backfill_symbol(toolkit, instrument, wanted, outcome, progress)
        except HorizonExceeded as error:
            outcome.error = f"{error} ({error.hint})"
            progress.symbol_done(outcome)

    for grouped in report.plan.markets:
        stored.update(await fetch_grouped(toolkit, grouped))
    if report.pacing.staggered:
        await _in_groups(toolkit.clock, instruments, one, report.pacing)
    else:
        await run_bounded(instruments, one, limit=report.pacing.concurrent)


def _plannable(
    toolkit: Toolkit, instruments: Sequence[Instrument], request: Request, now: datetime
) -> list[tuple[Instrument, Wanted]]:
    """What is asked of each instrument; without those whose dates the calendar does not know."""
    scopes = [(instrument, request.of(instrument, now)) for instrument in instruments]
    return [(i, w) for i, w in scopes if toolkit.sessions[i.calendar].knows(w.dates.start, w.dates.end)]


async def _in_groups(
    clock: Clock,
    instruments: Sequence[Instrument],
    one: Callable[[Instrument], Awaitable[None]],
    pacing: Pacing,
) -> None:
    async def delayed(numbered: tuple[int, Instrument]) -> None:
        await clock.sleep(numbered[0] * pacing.stagger_seconds)
        await one(numbered[1])

    for first in range(0, len(instruments), pacing.concurrent):
        if first:
            await clock.sleep(pacing.group_pause_seconds)
        group = instruments[first : first + pacing.concurrent]
        await run_bounded(enumerate(group), delayed, limit=len(group))
