"""Whether the database can be trusted, in one word, and the reasons. Pure.

The words and their numbers are those that Nagios-style monitors read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from lib.freshness import Freshness
from lib.timeframe import Timeframe

NAMES_SHOWN = 4


class Level(IntEnum):
    """How bad it is; the number is the exit status of ``backfill_status.py health``."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is worth a warning, or is critical.

    Gaps in missing sessions, a week as seven: more than. Ages in market time: at least. Days of failures: at
    least that many dates in a row. *silent_for*: since the last fetching run that was complete. *missing*: what
    a symbol without bars is worth. *off*: conditions that are not looked at, whole or up to their colon.
    """

    gap_warning: int = 1
    gap_critical: int = 7
    age_warning: timedelta = timedelta(hours=24)
    age_critical: timedelta = timedelta(hours=72)
    failed_days_critical: int = 3
    rate_limited_percent_warning: float = 5.0
    silent_for_warning: timedelta = timedelta(hours=36)
    missing: Level | None = Level.WARNING
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """How the last runs of one script went. *fetches*: it is one that brings bars."""

    script: str
    fetches: bool
    last_status: str
    last_error: str | None
    failures_in_a_row: int
    failed_days: int
    last_complete_at: datetime | None
    requests: int = 0
    rate_limited: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. *ages*: of each series its symbol, its word and its age in ms of market time; *gaps*: the
    open ones, in units."""

    now: datetime
    ages: Sequence[tuple[str, Freshness, int | None]]
    gaps: Sequence[tuple[str, Timeframe, int]]
    scripts: Sequence[ScriptFacts]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not as it should be. *condition*: a name that stays the same from day to day."""

    level: Level
    condition: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The word, and the reasons, the worst first."""

    level: Level
    reasons: Sequence[Reason]

    @property
    def line(self) -> str:
        """One line for a monitor."""
        told = "; ".join(reason.text for reason in self.reasons)
        return f"{self.level.name}: {told or 'all series fresh enough, no gap, the last runs complete'}"


def judge(facts: Facts, thresholds: Thresholds | None = None) -> Health:
    """What *facts* come to."""
    limits = thresholds or Thresholds()
    found = [*_of_runs(facts, limits), *_of_ages(facts, limits), *_of_gaps(facts, limits)]
    found = [r for r in found if limits.off.isdisjoint((r.condition, r.condition.partition(":")[0]))]
    reasons = sorted(found, key=lambda reason: -reason.level)
    return Health(max((reason.level for reason in reasons), default=Level.OK), reasons)


def _of_runs(facts: Facts, limits: Thresholds) -> Iterator[Reason]:
    for script in facts.scripts:
        yield from _of_script(script, limits)
    complete = [s.last_complete_at for s in facts.scripts if s.fetches and s.last_complete_at]
    if not any(s.fetches for s in facts.scripts):
        yield Reason(
            Level.WARNING, "never_run", "no backfill has ended yet", "python master_backfill.py --days 30"
        )
    elif complete and facts.now - max(complete) >= limits.silent_for_warning:
        hours = (facts.now - max(complete)).total_seconds() / 3600
        yield Reason(
            Level.WARNING,
            "silent",
            f"no backfill was complete for {hours:.0f} h",
            "python scripts/backfill_status.py history",
        )


def _of_script(script: ScriptFacts, limits: Thresholds) -> Iterator[Reason]:
    if script.failures_in_a_row:
        grave = script.failed_days >= limits.failed_days_critical or not script.fetches
        times = f"{script.failures_in_a_row} times, {script.failed_days} days in a row"
        yield Reason(
            Level.CRITICAL if grave else Level.WARNING,
            f"failed:{script.script}",
            f"{script.script} failed {times if script.failures_in_a_row > 1 else 'the last time'}"
            + (f" ({script.last_error})" if script.last_error else ""),
            "python scripts/backfill_status.py history --failed",
        )
    elif script.last_status == "partial":
        yield Reason(
            Level.WARNING,
            f"partial:{script.script}",
            f"{script.script} was not complete the last time",
            "python scripts/backfill_status.py gaps",
        )
    percent = 100 * script.rate_limited / script.requests if script.requests else 0.0
    if percent > limits.rate_limited_percent_warning:
        yield Reason(
            Level.WARNING,
            f"rate_limited:{script.script}",
            f"{percent:.0f} % of the last {script.script}'s requests were answered 429",
            "another program may be using the key; lower --rate-limit",
        )


def _of_ages(facts: Facts, limits: Thresholds) -> Iterator[Reason]:
    old: dict[Level, dict[str, timedelta]] = {Level.CRITICAL: {}, Level.WARNING: {}}
    missing: set[str] = set()
    warning_ms = limits.age_warning // timedelta(milliseconds=1)
    for symbol, freshness, age_ms in facts.ages:
        if freshness is Freshness.MISSING:
            missing.add(symbol)
        elif age_ms is not None and age_ms >= warning_ms:
            age = timedelta(milliseconds=age_ms)
            level = Level.CRITICAL if age >= limits.age_critical else Level.WARNING
            old[level][symbol] = max(age, old[level].get(symbol, age))
    old[Level.WARNING] = {s: age for s, age in old[Level.WARNING].items() if s not in old[Level.CRITICAL]}
    for level, symbols in old.items():
        if symbols:
            oldest = max(symbols.values()).total_seconds() / 3600
            yield Reason(
                level,
                "age",
                f"{_named(symbols)} up to {oldest:.0f} h of market time behind",
                "python scripts/backfill_status.py freshness",
            )
    if missing and limits.missing is not None:
        yield Reason(
            limits.missing,
            "missing",
            f"{_named(missing)} without bars",
            "python scripts/backfill_status.py freshness --fill, or symbols pause",
        )


def _of_gaps(facts: Facts, limits: Thresholds) -> Iterator[Reason]:
    for level, over, up_to in (
        (Level.CRITICAL, limits.gap_critical, None),
        (Level.WARNING, limits.gap_warning, limits.gap_critical),
    ):
        longest: dict[str, int] = {}
        for symbol, timeframe, units in facts.gaps:
            days = units * 7 if timeframe is Timeframe.W1 else units
            if days > over and (up_to is None or days <= up_to):
                longest[symbol] = max(days, longest.get(symbol, 0))
        if longest:
            yield Reason(
                level,
                "gap",
                f"gaps of up to {max(longest.values())} days in {_named(longest)}",
                "python scripts/backfill_gaps.py fill",
            )


def _named(symbols: Mapping[str, object] | set[str]) -> str:
    names = sorted(symbols)
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
