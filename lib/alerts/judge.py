"""From what the database says to the conditions that hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from lib.alerts.rules import Rule, Rules
from lib.timeframe import Timeframe

# A run of which the end is not recorded by then was killed.
LONGEST_RUN = timedelta(hours=24)
_LOOK = {
    Rule.GAP: "python scripts/backfill_gaps.py fill",
    Rule.BACKFILL: "python scripts/backfill_status.py history",
    Rule.FEATURES: "python backfill_features.py",
    Rule.RATE_LIMIT: "lower --rate-limit, or see what else uses the key",
    Rule.FRESHNESS: "python scripts/backfill_status.py freshness",
    Rule.DATABASE: "check DATABASE_URL and the server",
}


class Severity(StrEnum):
    """How much a condition matters."""

    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self) + 1


@dataclass(frozen=True, slots=True)
class GapSeen:
    """An open gap of the ledger: *days* missing sessions (weeks of 1w) in [start, end)."""

    symbol: str
    timeframe: Timeframe
    start: date
    end: date
    days: int
    state: str

    @property
    def length(self) -> int:
        """In days."""
        return self.days * 7 if self.timeframe is Timeframe.W1 else self.days


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A recorded run. *status* as in backfill_runs; *requests* and *rate_limited* 0 where none were sent."""

    script: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    requests: int = 0
    rate_limited: int = 0

    def failed(self, now: datetime) -> bool:
        """Whether it failed, or was killed."""
        return self.status == "failed" or (self.status == "running" and now - self.started_at > LONGEST_RUN)

    @property
    def succeeded(self) -> bool:
        return self.status in ("complete", "partial")


@dataclass(frozen=True, slots=True)
class SeriesSeen:
    """How fresh a series is. *age*: in market time; None: it has no bar, which is *missing* if one was due."""

    symbol: str
    timeframe: Timeframe
    age: timedelta | None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What is judged, as seen at *now*. *runs*: the newest first."""

    now: datetime
    gaps: Sequence[GapSeen] = ()
    runs: Sequence[RunSeen] = ()
    series: Sequence[SeriesSeen] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds and should not. *rule* and *subject* are its name: it is told once."""

    rule: Rule
    subject: str
    severity: Severity
    text: str

    @property
    def remedy(self) -> str:
        return _LOOK[self.rule]


def judge(situation: Situation, rules: Rules) -> list[Condition]:
    """The conditions that hold, the critical ones first."""
    found = [
        *_gaps(situation.gaps, rules),
        *_backfill(situation, rules),
        *_features(situation),
        *_rate_limit(situation.runs, rules),
        *_freshness(situation.series, rules),
    ]
    watched = [condition for condition in found if condition.rule not in rules.off]
    return sorted(watched, key=lambda c: (-c.severity.rank, c.rule, c.subject))


def _gaps(gaps: Sequence[GapSeen], rules: Rules) -> Iterator[Condition]:
    """One condition a symbol: the timeframes made of one base lack the same days."""
    for symbol, own in _by_symbol(gaps).items():
        worst = max(own, key=lambda gap: gap.length)
        if worst.length <= rules.gap.warning_days:
            continue
        severity = Severity.CRITICAL if worst.length > rules.gap.critical_days else Severity.WARNING
        timeframes = ", ".join(str(tf) for tf in Timeframe if any(gap.timeframe is tf for gap in own))
        text = (
            f"{symbol}: a gap of {worst.length} days, {worst.start} to before {worst.end} ({worst.state}); "
            f"gaps in {timeframes}"
        )
        yield Condition(Rule.GAP, symbol, severity, text)


def _by_symbol(gaps: Sequence[GapSeen]) -> Mapping[str, list[GapSeen]]:
    found: dict[str, list[GapSeen]] = {}
    for gap in gaps:
        found.setdefault(gap.symbol, []).append(gap)
    return found


def _backfill(situation: Situation, rules: Rules) -> Iterator[Condition]:
    """Days without a run say nothing, nor do runs that were interrupted by hand."""
    days = 0
    for verdict in _by_day(situation, "master_backfill").values():
        if verdict:
            break
        days += 1
    if days >= rules.backfill.failed_days:
        text = f"the backfill failed on {days} days in a row"
        yield Condition(Rule.BACKFILL, "master_backfill", Severity.CRITICAL, text)


def _by_day(situation: Situation, script: str) -> Mapping[date, bool]:
    """By day (UTC), the newest first: whether a run of *script* succeeded; False: all failed."""
    days: dict[date, bool] = {}
    for run in situation.runs:
        if run.script == script and (run.succeeded or run.failed(situation.now)):
            day = run.started_at.date()
            days[day] = days.get(day, False) or run.succeeded
    return days


def _features(situation: Situation) -> Iterator[Condition]:
    ended = (run for run in situation.runs if run.script == "backfill_features" and run.status != "running")
    decided = (run for run in ended if run.status != "interrupted")
    last = next(decided, None)
    if last is not None and last.status == "failed":
        text = f"the feature run of {last.started_at:%Y-%m-%d %H:%M} UTC failed"
        yield Condition(Rule.FEATURES, "backfill_features", Severity.CRITICAL, text)


def _rate_limit(runs: Sequence[RunSeen], rules: Rules) -> Iterator[Condition]:
    """By the last run of each script that sent anything."""
    last: dict[str, RunSeen] = {}
    for run in runs:
        if run.requests:
            last.setdefault(run.script, run)
    for script, run in last.items():
        percent = 100 * run.rate_limited / run.requests
        if percent > rules.rate_limit.percent:
            text = f"{script}: {percent:.1f} % of {run.requests} requests were answered 429"
            yield Condition(Rule.RATE_LIMIT, script, Severity.WARNING, text)


def _freshness(series: Sequence[SeriesSeen], rules: Rules) -> Iterator[Condition]:
    """One condition a symbol: what is late in one timeframe is late in those made of it."""
    by_symbol: dict[str, list[SeriesSeen]] = {}
    for one in series:
        by_symbol.setdefault(one.symbol, []).append(one)
    for symbol, own in by_symbol.items():
        if (late := _late(symbol, own, rules)) is not None:
            yield late


def _late(symbol: str, own: Sequence[SeriesSeen], rules: Rules) -> Condition | None:
    hours = max((one.age.total_seconds() / 3600 for one in own if one.age is not None), default=0.0)
    if hours >= rules.freshness.warning_hours:
        severity = Severity.CRITICAL if hours >= rules.freshness.critical_hours else Severity.WARNING
        return Condition(Rule.FRESHNESS, symbol, severity, f"{symbol}: {hours:.0f} h of market time behind")
    without = [str(one.timeframe) for one in own if one.missing]
    if without and rules.freshness.missing != "off":
        text = f"{symbol}: no bars of {', '.join(without)}"
        return Condition(Rule.FRESHNESS, symbol, Severity(rules.freshness.missing), text)
    return None
