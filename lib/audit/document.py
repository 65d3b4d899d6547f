"""The audit's document: its keys, what each means, and how the facts of a run become it.

The keys are a contract with the programs that read it: see BACKFILL_ARCHITECTURE.md. Each key's meaning and
unit stand here, beside it, and the documents are tested against them (``key_docs``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Annotated, TypedDict, cast, get_args, get_origin, get_type_hints, is_typeddict

from lib.audit.actions import CorporateActions
from lib.estimate import Purpose
from lib.outcome import RunStatus, SeriesOutcome, SeriesStatus, SymbolOutcome
from lib.redaction import Redaction

SCHEMA_VERSION = 1


class Config(TypedDict):
    """What was asked for."""

    symbols: Annotated[list[str], "the symbols, as typed"]
    timeframes: Annotated[list[str], "the timeframes, shortest first"]
    start: Annotated[str, "first date asked for"]
    end: Annotated[str, "last date asked for, inclusive"]
    max_concurrent: Annotated[int, "symbols of a group run at a time"]
    pacing: Annotated[str, "adaptive or staggered"]
    database: Annotated[str, "the database in use, without its password"]


class Processed(TypedDict):
    """One symbol and timeframe of the run."""

    status: Annotated[
        str, "ok, partial, failed, not_entitled, interrupted, or left: for the next run (--max-requests)"
    ]
    bars: Annotated[int, "bars stored in the range asked for, after the run"]
    inserted: Annotated[int, "bars that were new"]
    updated: Annotated[int, "bars that were there and have changed"]
    requests: Annotated[int, "requests sent for it, pages included; 0 for a derived timeframe"]
    first: Annotated[str | None, "start of the oldest of its bars, UTC; null if there is none"]
    last: Annotated[str | None, "start of the newest of its bars, UTC; null if there is none"]
    seconds: Annotated[float, "from its first request to its last commit, seconds"]
    error: Annotated[str | None, "the first failure or the refused bars, as shown to the user; null if none"]


class Gap(TypedDict):
    """A run of sessions that are not as they should be, found before the retries."""

    start: Annotated[str, "its first session"]
    end: Annotated[str, "the day after its last session: the range is half-open"]
    days: Annotated[int, "sessions missing in it; closed days between them do not count"]
    state: Annotated[str, "missing, lost, contradiction, vendor_hole or suspect"]


class Retry(TypedDict):
    """What the retries made of a gap."""

    start: Annotated[str, "first session of the gap"]
    end: Annotated[str, "the day after its last session"]
    attempts: Annotated[int, "rounds in which it was asked for"]
    filled: Annotated[bool, "whether it is complete now"]
    reason: Annotated[str | None, "why it is not; null if it is"]


class Completeness(TypedDict):
    """One cell of the matrix: what is true after the retries."""

    symbol: Annotated[str, "the cell's sign: ✓ ◐ ✗ … ∅ ⊘ -"]
    expected_sessions: Annotated[int, "sessions of the range that should be complete"]
    complete: Annotated[int, "those that are"]
    percent: Annotated[float, "complete of expected, 0 to 100"]


class Age(TypedDict):
    """How old a series is after the run, counted from its newest bar that was due, in market time."""

    freshness: Annotated[
        str, "fresh (under 1 h), aging (6 h), stale (24 h), older, missing, pending, empty or not_entitled"
    ]
    age_hours: Annotated[float | None, "hours of market time that lack; null without bars"]
    last: Annotated[str | None, "start of its newest bar, whenever asked for, UTC; null if there is none"]
    error: Annotated[str | None, "why the last attempt at it failed; null if it did not"]


class Timing(TypedDict):
    """Where the time went. API and database work overlap, so the parts may exceed the whole."""

    wall_seconds: Annotated[float, "from start to end, seconds"]
    api_seconds: Annotated[float, "while at least one request was under way, seconds"]
    db_seconds: Annotated[float, "while at least one statement was under way, seconds"]
    compute_seconds: Annotated[float, "decoding, checking and deriving, seconds"]
    bottleneck: Annotated[str, "the largest of the three: api, db or compute"]


class Requests(TypedDict):
    """What was sent to the vendor."""

    total: Annotated[int, "requests of any kind, retries included"]
    pages: Annotated[int, "pages of bars received"]
    retries: Annotated[int, "tries after a failure of the service"]
    rate_limited: Annotated[int, "answers of 429"]
    rate_limited_percent: Annotated[float, "rate_limited of total, 0 to 100"]
    failed: Annotated[int, "requests given up"]
    shared_with: Annotated[int, "how many other processes used the key meanwhile, at most"]
    learnt_limit: Annotated[
        int | None, "the key's limit a minute as answers of 429 showed it; null if --rate-limit held"
    ]


class PlanAndFact(TypedDict):
    """Requests of one kind: planned when the run began, and what came of the plan.

    Tries again after a failure or a 429 are no requests of their own: they are in ``requests``.
    """

    planned_requests: Annotated[int, "requests planned"]
    planned_pages: Annotated[int, "pages that their answers were thought to take"]
    sent_requests: Annotated[int, "requests sent, each counted once however often it was tried"]
    received_pages: Annotated[int, "pages received; every one is a request to the vendor"]


class Summary(TypedDict):
    """The run in seven numbers."""

    symbols: Annotated[int, "symbols asked for"]
    succeeded: Annotated[int, "those of which all asked for was had, or is not in the plan"]
    failed: Annotated[int, "those of which nothing could be had; the rest came in part"]
    total_records: Annotated[int, "bars stored in the range asked for, all timeframes together"]
    gaps_found: Annotated[int, "gaps before the retries"]
    gaps_filled: Annotated[int, "gaps the retries closed"]
    gaps_remaining: Annotated[int, "gaps after the retries"]


class Audit(TypedDict):
    """The document. Dates are YYYY-MM-DD, of the symbol's zone; instants are RFC 3339 in UTC."""

    schema_version: Annotated[int, "1; another number means another meaning of some key"]
    run_id: Annotated[str, "the run, as in the table backfill_runs"]
    timestamp: Annotated[str, "when the document was made, UTC"]
    status: Annotated[str, "complete, partial, failed or interrupted"]
    config: Annotated[Config, "what was asked for"]
    symbols_processed: Annotated[dict[str, dict[str, Processed]], "by symbol and timeframe: what was done"]
    gaps_detected: Annotated[
        dict[str, dict[str, list[Gap]]], "by symbol and timeframe: found before the retries"
    ]
    retry_results: Annotated[
        dict[str, dict[str, list[Retry]]], "by symbol and timeframe: what became of them"
    ]
    completeness: Annotated[
        dict[str, dict[str, Completeness]], "by symbol and timeframe: true after the retries"
    ]
    corporate_actions: Annotated[
        CorporateActions | None, "splits and dividends; null where they were not asked about"
    ]
    freshness: Annotated[dict[str, dict[str, Age]], "by symbol and timeframe: how old it is now"]
    timing: Annotated[Timing, "where the time went"]
    requests: Annotated[Requests, "what was sent to the vendor"]
    plan: Annotated[
        dict[Purpose, PlanAndFact] | None,
        "plan and fact by kind: minute_windows, day_windows, market_days, rechecks (of what had been answered), "
        "look_ups, corporate_actions, gap_rounds (never planned); null where nothing was planned",
    ]
    summary: Annotated[Summary, "the run in seven numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the jobs hand over. *gaps_remaining* None: those found and not filled."""

    run_id: str
    status: RunStatus
    config: Config
    outcomes: Sequence[SymbolOutcome]
    timing: Timing
    requests: Requests
    gaps_detected: Mapping[str, Mapping[str, list[Gap]]] = field(default_factory=dict)
    retry_results: Mapping[str, Mapping[str, list[Retry]]] = field(default_factory=dict)
    completeness: Mapping[str, Mapping[str, Completeness]] = field(default_factory=dict)
    corporate_actions: CorporateActions | None = None
    gaps_remaining: int | None = None
    plan: Mapping[Purpose, PlanAndFact] | None = None
    freshness: Mapping[str, Mapping[str, Age]] = field(default_factory=dict)


def build_audit(facts: RunFacts, now: datetime, redaction: Redaction) -> Audit:
    """The document of a run, ready for the file and the database: without secrets, and strict JSON."""
    document: Audit = {
        "schema_version": SCHEMA_VERSION,
        "run_id": facts.run_id,
        "timestamp": rfc3339(now),
        "status": str(facts.status),
        "config": facts.config,
        "symbols_processed": {o.symbol: _processed(o, facts.config["timeframes"]) for o in facts.outcomes},
        "gaps_detected": {symbol: dict(series) for symbol, series in facts.gaps_detected.items()},
        "retry_results": {symbol: dict(series) for symbol, series in facts.retry_results.items()},
        "completeness": {symbol: dict(series) for symbol, series in facts.completeness.items()},
        "corporate_actions": facts.corporate_actions,
        "freshness": {symbol: dict(series) for symbol, series in facts.freshness.items()},
        "timing": facts.timing,
        "requests": facts.requests,
        "plan": None if facts.plan is None else dict(facts.plan),
        "summary": _summary(facts),
    }
    return cast(Audit, redaction.document(document))


def age_row(freshness: str, age: timedelta | None, last: datetime | None, error: str | None) -> Age:
    """How old a series is, in the form of the audit."""
    return {
        "freshness": freshness,
        "age_hours": None if age is None else round(age.total_seconds() / 3600, 2),
        "last": rfc3339(last) if last else None,
        "error": error,
    }


def by_series(rows: Mapping[tuple[str, str], Age]) -> dict[str, dict[str, Age]]:
    """*rows* by symbol, and then by timeframe."""
    nested: dict[str, dict[str, Age]] = {}
    for (symbol, timeframe), row in rows.items():
        nested.setdefault(symbol, {})[timeframe] = row
    return nested


def rfc3339(moment: datetime) -> str:
    """*moment* (aware) in UTC to the second, e.g. ``2025-11-14T15:30:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339_ms(t_ms: int) -> str:
    """As ``rfc3339``, of ms since 1970-01-01 UTC: straight, for where there are thousands."""
    return f"{datetime.fromtimestamp(t_ms // 1000, UTC).isoformat()[:19]}Z"


def timing(wall_seconds: float, api_seconds: float, db_seconds: float, compute_seconds: float) -> Timing:
    """The times of a run and which part was the longest."""
    parts = {"api": api_seconds, "db": db_seconds, "compute": compute_seconds}
    return {
        "wall_seconds": round(wall_seconds, 3),
        "api_seconds": round(api_seconds, 3),
        "db_seconds": round(db_seconds, 3),
        "compute_seconds": round(compute_seconds, 3),
        "bottleneck": max(parts, key=lambda part: parts[part]),
    }


def requests(
    *,
    total: int,
    pages: int,
    retries: int,
    rate_limited: int,
    failed: int,
    shared_with: int = 0,
    learnt_limit: int | None = None,
) -> Requests:
    """The counters of a run, with the percentage that met the limit."""
    return {
        "total": total,
        "pages": pages,
        "retries": retries,
        "rate_limited": rate_limited,
        "rate_limited_percent": round(100 * rate_limited / total, 2) if total else 0.0,
        "failed": failed,
        "shared_with": shared_with,
        "learnt_limit": learnt_limit,
    }


def _processed(outcome: SymbolOutcome, timeframes: Sequence[str]) -> dict[str, Processed]:
    if outcome.series or outcome.error is None:
        return {str(series.timeframe): _series(series) for series in outcome.series}
    # The symbol failed before any of its series was tried: the reader finds the reason at each.
    return {timeframe: _untried(outcome.error) for timeframe in timeframes}


def _untried(error: str) -> Processed:
    return {
        "status": str(SeriesStatus.FAILED),
        "bars": 0,
        "inserted": 0,
        "updated": 0,
        "requests": 0,
        "first": None,
        "last": None,
        "seconds": 0.0,
        "error": error,
    }


def _series(series: SeriesOutcome) -> Processed:
    return {
        "status": str(series.status),
        "bars": series.bars,
        "inserted": series.inserted,
        "updated": series.updated,
        "requests": series.requests,
        "first": rfc3339(series.first) if series.first else None,
        "last": rfc3339(series.last) if series.last else None,
        "seconds": round(series.seconds, 3),
        "error": series.error or series.refusals,
    }


def _summary(facts: RunFacts) -> Summary:
    outcomes = facts.outcomes
    found = sum(len(gaps) for series in facts.gaps_detected.values() for gaps in series.values())
    retries = (retry for series in facts.retry_results.values() for many in series.values() for retry in many)
    filled = sum(retry["filled"] for retry in retries)
    return {
        "symbols": len(outcomes),
        "succeeded": sum(outcome.whole for outcome in outcomes),
        "failed": sum(outcome.failed for outcome in outcomes),
        "total_records": sum(series.bars for outcome in outcomes for series in outcome.series),
        "gaps_found": found,
        "gaps_filled": filled,
        "gaps_remaining": found - filled if facts.gaps_remaining is None else facts.gaps_remaining,
    }


def key_docs(document: object = Audit) -> dict[str, str]:
    """What each key of the *document* means, by its path, e.g. ``timing.wall_seconds``.

    Names that are data stand in brackets: ``symbols_processed.<symbol>.<timeframe>.bars``.
    """
    return dict(_described(document, ""))


def _described(shape: object, path: str) -> Iterator[tuple[str, str]]:
    for name, hint in get_type_hints(shape, include_extras=True).items():
        inner, text = get_args(hint)
        yield f"{path}{name}", text
        yield from _inside(inner, f"{path}{name}", ["<symbol>", "<timeframe>"])


def _inside(hint: object, path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    if get_origin(hint) is UnionType:  # with None
        hint = get_args(hint)[0]
    if is_typeddict(hint):
        yield from _described(hint, f"{path}.")
    elif get_origin(hint) is dict:
        key, value = get_args(hint)
        name = names[0] if key is str else f"<{key.__name__.lower()}>"
        yield from _inside(value, f"{path}.{name}", names[1:])
    elif get_origin(hint) is list:
        yield from _inside(get_args(hint)[0], f"{path}[]", names)
