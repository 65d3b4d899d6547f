"""Figures of a database for Prometheus, in its text format. The only import of prometheus_client.

Every file holds the whole database, whichever script writes it: two files with the same series would be refused
by the collector, one path for all scripts is what is wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lib.timeframe import Timeframe

PREFIX = "market_backfill"


@dataclass(frozen=True, slots=True)
class ScriptFigures:
    """The last run of a script that ended. *succeeded_at*: when one was last complete; None: never."""

    script: str
    status: str
    started_at: datetime
    finished_at: datetime
    succeeded_at: datetime | None
    exit_status: int | None
    bars: int
    requests: int
    rate_limited: int


@dataclass(frozen=True, slots=True)
class SeriesFigures:
    """What is held of a series. *age*: in market time, None where there is none; *grade* as freshness has it."""

    symbol: str
    timeframe: Timeframe
    bars: int
    newest: datetime | None
    gaps: int
    gap_days: int
    age: timedelta | None
    grade: str


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


_SCRIPTS: Sequence[tuple[str, str, Callable[[ScriptFigures], float | None]]] = (
    ("last_success_timestamp_seconds", "When a run was last complete.", lambda s: _seconds(s.succeeded_at)),
    ("last_run_timestamp_seconds", "When the last run ended.", lambda s: _seconds(s.finished_at)),
    ("last_run_success", "1 if the last run was complete.", lambda s: s.status == "complete"),
    ("last_run_exit_status", "Of the last run; none where a signal ended it.", lambda s: s.exit_status),
    (
        "last_run_duration_seconds",
        "How long the last run took.",
        lambda s: (s.finished_at - s.started_at).total_seconds(),
    ),
    ("last_run_bars", "Bars, or rows of features, that were new or had changed.", lambda s: s.bars),
    ("last_run_requests", "Requests of any kind that the last run sent.", lambda s: s.requests),
    ("last_run_rate_limited_requests", "Of these, answered 429.", lambda s: s.rate_limited),
)
_SERIES: Sequence[tuple[str, str, Callable[[SeriesFigures], float | None]]] = (
    ("series_bars", "Bars stored.", lambda s: s.bars),
    ("series_newest_bar_timestamp_seconds", "Start of the newest bar.", lambda s: _seconds(s.newest)),
    (
        "series_age_seconds",
        "Age by the newest bar due, in market time.",
        lambda s: None if s.age is None else s.age.total_seconds(),
    ),
    ("series_gaps", "Open gaps.", lambda s: s.gaps),
    ("series_gap_sessions", "Sessions missing in open gaps; weeks for 1w.", lambda s: s.gap_days),
)


def metrics_text(scripts: Sequence[ScriptFigures], series: Sequence[SeriesFigures], now: datetime) -> str:
    """The figures as of *now*. What is not known is not there. Times are seconds since 1970."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    Gauge(f"{PREFIX}_updated_timestamp_seconds", "When this was written.", registry=registry).set(
        now.timestamp()
    )
    for name, text, of_script in _SCRIPTS:
        gauge = Gauge(f"{PREFIX}_{name}", text, ["script"], registry=registry)
        for script in scripts:
            if (value := of_script(script)) is not None:
                gauge.labels(script.script).set(value)
    for name, text, of_series in _SERIES:
        gauge = Gauge(f"{PREFIX}_{name}", text, ["symbol", "timeframe"], registry=registry)
        for one in series:
            if (value := of_series(one)) is not None:
                gauge.labels(one.symbol, one.timeframe).set(value)
    grade = Gauge(
        f"{PREFIX}_series_freshness", "1: its grade.", ["symbol", "timeframe", "grade"], registry=registry
    )
    for one in series:
        grade.labels(one.symbol, one.timeframe, one.grade).set(1)
    return generate_latest(registry).decode()
