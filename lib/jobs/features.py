"""The features of many symbols: which series have rows due, page after page of each, what came of it."""

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from lib.audit.features import (
    FeatureAudit,
    FeatureConfig,
    FeatureFacts,
    FeatureOutcome,
    FeatureStatus,
    SymbolFeatures,
    build_feature_audit,
    feature_timing,
)
from lib.clock import Clock, to_ms
from lib.concurrency import run_bounded
from lib.coverage import Range
from lib.errors import BackfillError, DatabaseError, HorizonExceeded
from lib.indicators import FEATURE_SET_VERSION
from lib.jobs.feature_pages import Basis, Phases, SeriesWork
from lib.jobs.record import run_end
from lib.outcome import COMPLETE_STATUS, FAILED_STATUS, PARTIAL_STATUS, Busy, RunStatus
from lib.plan import DateRange, last_days
from lib.redaction import Redaction
from lib.sessions import bars_per_year
from lib.settings import Settings
from lib.store.bars import Series
from lib.store.features import EVER, FeatureState
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import FeatureTools
from lib.zones import NEW_YORK, floor_to_window, local_date, midnight_ms

SCRIPT = "backfill_features"
SAMPLE_SERIES = 10  # recomputed by --verify


class Mode(StrEnum):
    """What a run does with the rows there are."""

    INCREMENTAL = "incremental"
    FULL = "full"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """What the user asked for. *timeframes* None: each symbol's own. Without *days* and *start*: all bars."""

    timeframes: tuple[Timeframe, ...] | None = None
    days: int | None = None
    start: date | None = None
    end: date | None = None
    mode: Mode = Mode.INCREMENTAL
    max_concurrent: int = 5

    def dates(self, now: datetime, zone: str) -> DateRange | None:
        """The dates asked for, as seen from *now* in *zone*; None: all."""
        today = local_date(to_ms(now), zone)
        if self.start is not None:
            return DateRange(self.start, self.end or today)
        return None if self.days is None else last_days(self.days, today)

    def span(self, instrument: Instrument, timeframe: Timeframe, now: datetime) -> Range:
        """The stamps whose rows may be written: of the windows that reach into the dates."""
        dates = self.dates(now, instrument.zone)
        if dates is None:
            return EVER
        start, past = (
            midnight_ms(day, instrument.zone) for day in (dates.start, dates.end + timedelta(days=1))
        )
        return floor_to_window(start, timeframe, instrument.zone), past


class FeatureProgress(Protocol):
    """Told what happens while it happens."""

    def planned(self, series: int) -> None: ...
    def page_done(self, rows: int) -> None: ...
    def series_done(self) -> None: ...
    def symbol_done(self, outcome: SymbolFeatures) -> None: ...


@dataclass(slots=True)
class FeatureReport:
    """A run as it goes and as it ended; the audit is made from it."""

    run_id: str
    settings: Settings
    clock: Clock
    request: FeatureRequest
    phases: Phases
    started_at: datetime
    began: float
    outcomes: list[SymbolFeatures] = field(default_factory=list)
    verified: int = 0
    interrupted: bool = False
    error: BackfillError | None = None

    @property
    def status(self) -> RunStatus:
        if self.interrupted:
            return RunStatus.INTERRUPTED
        if self.error is not None or (self.outcomes and all(o.failed for o in self.outcomes)):
            return RunStatus.FAILED
        return RunStatus.COMPLETE if all(o.whole for o in self.outcomes) else RunStatus.PARTIAL

    @property
    def exit_status(self) -> int:
        """Of a run that was not interrupted."""
        if self.error is not None:
            return self.error.exit_status
        statuses = {RunStatus.COMPLETE: COMPLETE_STATUS, RunStatus.FAILED: FAILED_STATUS}
        return statuses.get(self.status, PARTIAL_STATUS)

    def audit(self) -> FeatureAudit:
        """The document of the run as it stands."""
        phases = self.phases
        facts = FeatureFacts(
            run_id=self.run_id,
            status=self.status,
            config=self._config(),
            outcomes=self.outcomes,
            timing=feature_timing(
                self.clock.monotonic() - self.began,
                phases.read.seconds,
                phases.compute.seconds,
                phases.write.seconds,
            ),
            verified=self.verified,
        )
        return build_feature_audit(facts, self.clock.now(), Redaction(self.settings.secrets))

    def _config(self) -> FeatureConfig:
        dates = self.request.dates(self.started_at, NEW_YORK)
        seen = {series.timeframe for outcome in self.outcomes for series in outcome.series} or set(Timeframe)
        return {
            "symbols": [outcome.symbol for outcome in self.outcomes],
            "timeframes": [str(tf) for tf in Timeframe if tf in (self.request.timeframes or seen)],
            "start": dates.start.isoformat() if dates else None,
            "end": dates.end.isoformat() if dates else None,
            "mode": str(self.request.mode),
            "max_concurrent": self.request.max_concurrent,
            "feature_set": FEATURE_SET_VERSION,
            "database": self.settings.database_name,
        }


def new_feature_report(settings: Settings, request: FeatureRequest, clock: Clock) -> FeatureReport:
    """A run that begins now, under a name that sorts by time."""
    now, phases = clock.now(), Phases(Busy(clock), Busy(clock), Busy(clock))
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    return FeatureReport(run_id, settings, clock, request, phases, now, clock.monotonic())


async def carry_out_features(
    tools: FeatureTools,
    names: Sequence[str] | None,
    report: FeatureReport,
    progress: FeatureProgress,
    arguments: Mapping[str, Any],
) -> FeatureAudit:
    """The whole run, recorded in the database from its start to its audit. *names* None: every active symbol.

    What ends the run early (a signal, the database) is noted in *report*, not raised.
    """
    try:
        await tools.store.start_run(report.run_id, SCRIPT, report.started_at, arguments)
        await _FeatureRun(tools, report, progress).run(names)
    except asyncio.CancelledError:
        report.interrupted = True
    except BackfillError as error:
        report.error = error
    audit = report.audit()
    if isinstance(report.error, DatabaseError):
        return audit
    try:
        await tools.store.finish_run(report.run_id, run_end(report, audit))
    except DatabaseError as error:
        report.error = error
        return report.audit()
    return audit


@dataclass(slots=True)
class _FeatureRun:
    """The symbols of a run side by side, the series of each in turn. *todo*: those with rows due."""

    tools: FeatureTools
    report: FeatureReport
    progress: FeatureProgress
    todo: dict[str, list[SeriesWork]] = field(default_factory=dict)
    bases: dict[tuple[str, Timeframe], Basis] = field(default_factory=dict)

    async def run(self, names: Sequence[str] | None) -> None:
        known = {i.symbol: i for i in await self.tools.store.instruments(names)}
        series = [Series(i.symbol, timeframe) for i in known.values() for timeframe in self._timeframes(i)]
        states = await self.tools.store.states(series, self.report.started_at)
        for name in known if names is None else names:
            self._plan(name, known.get(name), states)
        if self.report.request.mode is Mode.VERIFY:
            self._sample()
        self.progress.planned(sum(map(len, self.todo.values())))
        await run_bounded(self.report.outcomes, self._symbol, limit=self.report.request.max_concurrent)

    def _timeframes(self, instrument: Instrument) -> tuple[Timeframe, ...]:
        return self.report.request.timeframes or instrument.timeframes

    def _plan(self, name: str, instrument: Instrument | None, states: Mapping[Series, FeatureState]) -> None:
        """Note the symbol *name* with its series, and which of them have something due."""
        outcome = SymbolFeatures(name)
        self.report.outcomes.append(outcome)
        self.todo[name] = []
        if instrument is not None:
            for timeframe in self._timeframes(instrument):
                series = FeatureOutcome(name, timeframe)
                outcome.series.append(series)
                self._plan_series(instrument, series, states[Series(name, timeframe)])
        if all(series.status is FeatureStatus.NO_BARS for series in outcome.series):
            outcome.error = self._no_bars(name)
            outcome.series.clear()

    def _plan_series(self, instrument: Instrument, outcome: FeatureOutcome, state: FeatureState) -> None:
        if state.last_bar_ms is None:
            outcome.status = FeatureStatus.NO_BARS
        elif self._is_due(work := self._work(instrument, outcome), state):
            self.todo[instrument.symbol].append(work)
        else:
            outcome.status = FeatureStatus.OK

    def _work(self, instrument: Instrument, outcome: FeatureOutcome) -> SeriesWork:
        key = (instrument.calendar, outcome.timeframe)
        if key not in self.bases:
            sessions = self.tools.sessions[instrument.calendar]
            self.bases[key] = Basis(outcome.timeframe, sessions, bars_per_year(sessions, outcome.timeframe))
        request = self.report.request
        return SeriesWork(
            self.tools.store,
            self.report.clock,
            self.bases[key],
            request.span(instrument, outcome.timeframe, self.report.started_at),
            request.mode is Mode.FULL,
            self.report.phases,
            outcome,
            self.progress.page_done,
        )

    def _is_due(self, work: SeriesWork, state: FeatureState) -> bool:
        verify = self.report.request.mode is Mode.VERIFY
        return bool(work.current(state) if verify else work.due(state))

    def _no_bars(self, name: str) -> str:
        timeframes = ",".join(self.report.request.timeframes or ())
        command = f"python scripts/backfill_ohlcv.py --symbols {name}"
        command += f" --timeframes {timeframes}" if timeframes else ""
        return f"no {timeframes + ' ' if timeframes else ''}bars of {name} are stored (fetch them: {command})"

    def _sample(self) -> None:
        """Leave some series, chosen at random, and drop the others from the report."""
        everything = [work for works in self.todo.values() for work in works]
        chosen = random.SystemRandom().sample(everything, min(SAMPLE_SERIES, len(everything)))
        outcomes = [id(work.outcome) for work in chosen]
        for outcome in self.report.outcomes:
            outcome.series = [series for series in outcome.series if id(series) in outcomes]
            self.todo[outcome.symbol] = [w for w in self.todo[outcome.symbol] if id(w.outcome) in outcomes]
        self.report.verified = len(chosen)

    async def _symbol(self, outcome: SymbolFeatures) -> None:
        for work in self.todo[outcome.symbol]:
            await self._series(work)
        self.progress.symbol_done(outcome)

    async def _series(self, work: SeriesWork) -> None:
        """One series to its end; what keeps it from that is noted, not passed on."""
        outcome, clock = work.outcome, self.report.clock
        began = clock.monotonic()
        try:
            await (work.verify() if self.report.request.mode is Mode.VERIFY else work.bring_up_to_date())
            outcome.status = FeatureStatus.DIFFERS if outcome.difference.rows else FeatureStatus.OK
        except HorizonExceeded as error:
            outcome.status, outcome.error = FeatureStatus.FAILED, f"{error} ({error.hint})"
        finally:
            outcome.seconds += clock.monotonic() - began
            self.progress.series_done()
