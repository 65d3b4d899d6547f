"""One run over many symbols: who goes when, what came of it, and the audit, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lib.audit import Audit
from lib.clock import Clock
from lib.concurrency import run_bounded
from lib.errors import BackfillError, DatabaseError, HorizonExceeded, LockHeld, UsageError
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.actions import Asking, Refresh
from lib.jobs.gaps import GapReport, fill
from lib.jobs.grouped import Stored, fetch_grouped
from lib.jobs.ohlcv import Progress, Wanted, backfill_symbol
from lib.jobs.plan import RunPlan, plan_run
from lib.jobs.record import run_end
from lib.jobs.report import Pacing, Report, Request
from lib.jobs.status import states
from lib.jobs.symbols import resolve
from lib.outcome import SeriesOutcome, SymbolOutcome
from lib.symbols import Instrument
from lib.wiring import Toolkit


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
    *actions*: bring splits and dividends up to date, once a day.
    What ends the run early (a signal, a refused key, the database) is noted in *report*, not raised.
    Raises UsageError, and LockHeld if another run took the run lock when the database was away.
    """
    try:
        await toolkit.store.start_run(report.run_id, report.script, report.started_at, arguments)
        tracked = {i.symbol for i in await toolkit.store.instruments(names)}
        instruments, unknown = await resolve(toolkit, names)
        report.outcomes.extend(unknown)
        if fetch:
            scopes = _plannable(toolkit, instruments, report.request, report.started_at)
            look_ups = [name for name in names or () if name not in tracked]
            report.plan = await plan_run(toolkit, scopes, look_ups, actions=actions)
        else:
            report.outcomes.extend(untouched(toolkit, instruments, report))
        report.actions = ActionsOutcome() if actions else None
        refresh = Refresh(toolkit, instruments, report.actions, Asking.DAILY) if report.actions else None
        await _ask(toolkit, instruments, report, progress, refresh)
        if gap_retries is not None:
            await _fill_gaps(toolkit, instruments, report, progress, gap_retries)
        if refresh:  # now that the bars are there that show splits
            await refresh.settle()
    except asyncio.CancelledError:
        report.interrupted = True
    except (UsageError, LockHeld):
        raise
    except BackfillError as error:
        report.error = error
    return await _conclude(toolkit, report)


async def _ask(
    toolkit: Toolkit,
    instruments: Sequence[Instrument],
    report: Report,
    progress: Progress,
    refresh: Refresh | None,
) -> None:
    """What is planned of bars, and splits and dividends beside it; where requests are counted, bars first."""
    work: list[Callable[[], Awaitable[None]]] = []
    if report.plan:
        work.append(partial(backfill, toolkit, instruments, report, report.plan, progress))
    if refresh:
        work.append(refresh.ask)
    await run_bounded(work, lambda ask: ask(), limit=1 if toolkit.max_requests is not None else 2)


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
    plan: RunPlan,
    progress: Progress,
) -> None:
    """Run all *instruments* by *plan*; one symbol's failure never stops another. Fills *report* as it goes."""
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

    for grouped in plan.markets:
        stored.update(await fetch_grouped(toolkit, grouped))
    if report.pacing.staggered:
        await _in_groups(toolkit.clock, instruments, one, report.pacing)
    else:
        await run_bounded(instruments, one, limit=report.pacing.at_work)


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
