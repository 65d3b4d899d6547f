"""The document of a run of ``backfill_features.py``, made like that of the backfill (``document.py``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypedDict, cast

from lib.audit.document import SCHEMA_VERSION, key_docs, rfc3339
from lib.clock import from_ms
from lib.outcome import RunStatus
from lib.redaction import Redaction
from lib.timeframe import Timeframe


class FeatureStatus(StrEnum):
    """How the features of a series came out of a run."""

    OK = "ok"
    NO_BARS = "no_bars"
    DIFFERS = "differs"  # --verify found values that are not what the bars give
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Difference:
    """What --verify found in a series: *rows* that differ, the stamp of the first, in which *columns*."""

    rows: int = 0
    first_ms: int | None = None
    columns: set[str] = field(default_factory=set)

    def add(self, stamps: Sequence[int], columns: Sequence[str]) -> None:
        if stamps:
            self.rows += len(stamps)
            self.columns.update(columns)
            self.first_ms = min(stamps if self.first_ms is None else (self.first_ms, *stamps))


@dataclass(slots=True)
class FeatureOutcome:
    """The features of one series in a run.

    *bars*: read, those looked back to included. *computed*: rows computed; of those *inserted* and *updated*,
    and *deleted* ones whose bar is gone. *first_ms*, *last_ms*: stamps of the first and last row computed.
    """

    symbol: str
    timeframe: Timeframe
    status: FeatureStatus = FeatureStatus.INTERRUPTED
    bars: int = 0
    computed: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    seconds: float = 0.0
    error: str | None = None
    difference: Difference = field(default_factory=Difference)

    def add(self, inserted: int, updated: int, deleted: int) -> None:
        """Count rows that were written."""
        self.inserted += inserted
        self.updated += updated
        self.deleted += deleted

    def forget_read(self) -> None:
        """Begin anew with what was only read and compared."""
        self.bars = self.computed = 0
        self.first_ms = self.last_ms = None
        self.difference = Difference()

    @property
    def written(self) -> int:
        """Rows inserted, updated or deleted."""
        return self.inserted + self.updated + self.deleted


@dataclass(slots=True)
class SymbolFeatures:
    """One symbol of a run. *error*: why none of its series was tried."""

    symbol: str
    series: list[FeatureOutcome] = field(default_factory=list)
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Nothing of it could be done."""
        if self.error is not None:
            return True
        return bool(self.series) and all(s.status is FeatureStatus.FAILED for s in self.series)

    @property
    def whole(self) -> bool:
        """Everything was done, and as it should be."""
        fine = (FeatureStatus.OK, FeatureStatus.NO_BARS)
        return self.error is None and all(series.status in fine for series in self.series)


class FeatureConfig(TypedDict):
    """What was asked for."""

    symbols: Annotated[list[str], "the symbols, as typed"]
    timeframes: Annotated[list[str], "the timeframes, shortest first"]
    start: Annotated[str | None, "first date written; null: from the first bar on"]
    end: Annotated[str | None, "last date written, inclusive; null: up to the last bar"]
    mode: Annotated[str, "incremental, full or verify"]
    max_concurrent: Annotated[int, "symbols at a time"]
    feature_set: Annotated[int, "version of the set of features"]
    database: Annotated[str, "the database in use, without its password"]


class FeatureProcessed(TypedDict):
    """One symbol and timeframe of the run."""

    status: Annotated[str, "ok, no_bars, differs (--verify), failed or interrupted"]
    bars: Annotated[int, "bars read, those looked back to included; 0 where nothing was new"]
    computed: Annotated[int, "rows of features computed"]
    written: Annotated[int, "of those, new and changed ones; and rows removed that have no bar"]
    inserted: Annotated[int, "rows that were new"]
    updated: Annotated[int, "rows that were there and have changed"]
    deleted: Annotated[int, "rows removed, for their bar is gone"]
    first: Annotated[str | None, "stamp of the first row computed, UTC; null if none was"]
    last: Annotated[str | None, "stamp of the last row computed, UTC; null if none was"]
    seconds: Annotated[float, "spent on it, waiting for its turn included, seconds"]
    error: Annotated[str | None, "what went wrong, as shown to the user; null if nothing did"]


class FoundDifference(TypedDict):
    """Where --verify found other values than the bars give."""

    rows: Annotated[int, "rows that differ by more than 1e-9, are absent or have no bar"]
    first: Annotated[str | None, "stamp of the first of them, UTC"]
    columns: Annotated[list[str], "the columns that differ; (no row) and (no bar) for what is absent"]


class FeatureTiming(TypedDict):
    """Where the time went. Symbols overlap, so the parts may exceed the whole."""

    wall_seconds: Annotated[float, "from start to end, seconds"]
    read_seconds: Annotated[float, "while bars were being read, seconds"]
    compute_seconds: Annotated[float, "while features were being computed, seconds"]
    write_seconds: Annotated[float, "while rows were being compared and written, seconds"]
    bottleneck: Annotated[str, "the largest of the three: read, compute or write"]


class FeatureSummary(TypedDict):
    """The run in a few numbers."""

    symbols: Annotated[int, "symbols asked for"]
    succeeded: Annotated[int, "those of which everything was done"]
    failed: Annotated[int, "those of which nothing could be done"]
    series: Annotated[int, "series looked at: symbols times timeframes"]
    bars: Annotated[int, "bars read"]
    computed: Annotated[int, "rows computed"]
    written: Annotated[int, "rows inserted, updated or deleted"]
    verified: Annotated[int, "with --verify: series recomputed from scratch; else 0"]
    differing: Annotated[int, "with --verify: those that differ"]


class FeatureAudit(TypedDict):
    """The document. Dates are YYYY-MM-DD, of the symbol's zone; instants are RFC 3339 in UTC."""

    schema_version: Annotated[int, "1; another number means another meaning of some key"]
    run_id: Annotated[str, "the run, as in the table backfill_runs"]
    timestamp: Annotated[str, "when the document was made, UTC"]
    status: Annotated[str, "complete, partial, failed or interrupted"]
    config: Annotated[FeatureConfig, "what was asked for"]
    symbols_processed: Annotated[
        dict[str, dict[str, FeatureProcessed]], "by symbol and timeframe: what was done"
    ]
    differences: Annotated[
        dict[str, dict[str, FoundDifference]], "by symbol and timeframe: what --verify found"
    ]
    timing: Annotated[FeatureTiming, "where the time went"]
    summary: Annotated[FeatureSummary, "the run in a few numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFacts:
    """What the job hands over."""

    run_id: str
    status: RunStatus
    config: FeatureConfig
    outcomes: Sequence[SymbolFeatures]
    timing: FeatureTiming
    verified: int = 0


def build_feature_audit(facts: FeatureFacts, now: datetime, redaction: Redaction) -> FeatureAudit:
    """The document of a run, ready for the file and the database."""
    document: FeatureAudit = {
        "schema_version": SCHEMA_VERSION,
        "run_id": facts.run_id,
        "timestamp": rfc3339(now),
        "status": str(facts.status),
        "config": facts.config,
        "symbols_processed": {o.symbol: _processed(o, facts.config["timeframes"]) for o in facts.outcomes},
        "differences": _differences(facts.outcomes),
        "timing": facts.timing,
        "summary": _summary(facts),
    }
    return cast(FeatureAudit, redaction.document(document))


def feature_timing(wall: float, read: float, compute: float, write: float) -> FeatureTiming:
    """The times of a run in seconds, and which part was the longest."""
    parts = {"read": read, "compute": compute, "write": write}
    return {
        "wall_seconds": round(wall, 3),
        "read_seconds": round(read, 3),
        "compute_seconds": round(compute, 3),
        "write_seconds": round(write, 3),
        "bottleneck": max(parts, key=lambda part: parts[part]),
    }


def _processed(outcome: SymbolFeatures, timeframes: Sequence[str]) -> dict[str, FeatureProcessed]:
    if outcome.series or outcome.error is None:
        return {str(series.timeframe): _series(series) for series in outcome.series}
    untried = [
        FeatureOutcome(outcome.symbol, Timeframe(timeframe), FeatureStatus.FAILED, error=outcome.error)
        for timeframe in timeframes
    ]
    return {str(series.timeframe): _series(series) for series in untried}


def _series(outcome: FeatureOutcome) -> FeatureProcessed:
    return {
        "status": str(outcome.status),
        "bars": outcome.bars,
        "computed": outcome.computed,
        "written": outcome.written,
        "inserted": outcome.inserted,
        "updated": outcome.updated,
        "deleted": outcome.deleted,
        "first": _instant(outcome.first_ms),
        "last": _instant(outcome.last_ms),
        "seconds": round(outcome.seconds, 3),
        "error": outcome.error,
    }


def _instant(stamp_ms: int | None) -> str | None:
    return None if stamp_ms is None else rfc3339(from_ms(stamp_ms))


def _differences(outcomes: Sequence[SymbolFeatures]) -> dict[str, dict[str, FoundDifference]]:
    found: dict[str, dict[str, FoundDifference]] = {}
    for outcome in outcomes:
        for series in outcome.series:
            if series.difference.rows:
                found.setdefault(outcome.symbol, {})[str(series.timeframe)] = {
                    "rows": series.difference.rows,
                    "first": _instant(series.difference.first_ms),
                    "columns": sorted(series.difference.columns),
                }
    return found


def _summary(facts: FeatureFacts) -> FeatureSummary:
    outcomes = facts.outcomes
    series = [one for outcome in outcomes for one in outcome.series]
    return {
        "symbols": len(outcomes),
        "succeeded": sum(outcome.whole for outcome in outcomes),
        "failed": sum(outcome.failed for outcome in outcomes),
        "series": len(series),
        "bars": sum(one.bars for one in series),
        "computed": sum(one.computed for one in series),
        "written": sum(one.written for one in series),
        "verified": facts.verified,
        "differing": sum(one.status is FeatureStatus.DIFFERS for one in series),
    }


def feature_key_docs() -> Mapping[str, str]:
    """What each key of the document means, by its path, as ``key_docs`` has it for the backfill's."""
    return key_docs(FeatureAudit)
