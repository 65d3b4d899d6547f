"""What a run is asked for and how it stands: the report from which the audit is made, at any moment."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from lib.audit import Audit, Completeness, Config, Requests, RunFacts, build_audit, requests, timing
from lib.clock import Clock, to_ms
from lib.errors import BackfillError
from lib.gaps import Matrix
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.gaps import GapReport, Scope
from lib.jobs.ohlcv import Wanted
from lib.jobs.plan import RunPlan, plan_and_fact
from lib.jobs.status import SeriesState, freshness_rows
from lib.outcome import RunStatus, SymbolOutcome, exit_status, run_status
from lib.plan import DateRange, last_days
from lib.redaction import Redaction
from lib.settings import Settings
from lib.store.store import WRITERS
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import Toolkit
from lib.zones import NEW_YORK, local_date


@dataclass(frozen=True, slots=True)
class Pacing:
    """Who runs at the same time.

    Adaptive: *concurrent* symbols are fetched at a time, and the next begin while the last are being written;
    the vendor's limit is the only brake. Staggered: groups of *concurrent*, their starts *stagger_seconds*
    apart, and *group_pause_seconds* between groups.
    """

    concurrent: int = 3
    staggered: bool = False
    stagger_seconds: float = 5.0
    group_pause_seconds: float = 15.0

    @property
    def at_work(self) -> int:
        """How many symbols are open: while some are written, the next are asked for; one by one: one."""
        return self.concurrent if self.concurrent == 1 else self.concurrent + WRITERS


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
                completeness=completeness(gaps.matrix),
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


def completeness(matrix: Matrix) -> dict[str, dict[str, Completeness]]:
    """The cells for programs, by symbol and timeframe."""
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
        for symbol, cells in matrix.items()
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
