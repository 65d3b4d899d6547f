"""From the audit of any script to rows of the database: what came of each series, and the run in numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ALL_SYMBOLS = "*"  # what is asked for all symbols at once has one result


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """One series of a run, in the words of its audit. *written*: what was new or had changed."""

    symbol: str
    timeframe: str
    status: str
    written: int
    requests: int
    seconds: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in numbers; 0 where a script has none of a kind."""

    requests: int
    rate_limited: int
    written: int
    api_seconds: float
    db_seconds: float
    compute_seconds: float


def results_of(audit: Mapping[str, Any]) -> list[SeriesResult]:
    """The results of a run by series; of corporate actions one for the splits and one for the dividends."""
    return [*_processed(audit.get("symbols_processed", {})), *_actions(audit.get("corporate_actions") or {})]


def _processed(symbols: Mapping[str, Any]) -> Iterator[SeriesResult]:
    for symbol, series in symbols.items():
        for timeframe, one in series.items():
            written = one["written"] if "written" in one else one["inserted"] + one["updated"]
            yield SeriesResult(
                symbol,
                timeframe,
                one["status"],
                written,
                one.get("requests", 0),
                one["seconds"],
                one["error"],
            )


def _actions(actions: Mapping[str, Any]) -> Iterator[SeriesResult]:
    for kind in ("splits", "dividends"):
        if one := actions.get(kind):
            written = one["new"] + len(one["changed"])
            yield SeriesResult(ALL_SYMBOLS, kind, one["status"], written, one["requests"], 0.0, one["error"])


def figures_of(audit: Mapping[str, Any]) -> Figures:
    """The run in numbers. Where bars are fetched, splits and dividends are no bars."""
    sent, timing = audit.get("requests", {}), audit.get("timing", {})
    results = results_of(audit)
    bars = list(_processed(audit.get("symbols_processed", {}))) if "symbols_processed" in audit else results
    return Figures(
        requests=sent.get("total", sum(result.requests for result in results)),
        rate_limited=sent.get("rate_limited", 0),
        written=sum(result.written for result in bars),
        api_seconds=timing.get("api_seconds", 0.0),
        db_seconds=timing.get(
            "db_seconds", timing.get("read_seconds", 0.0) + timing.get("write_seconds", 0.0)
        ),
        compute_seconds=timing.get("compute_seconds", 0.0),
    )


_TRIED = ("ok", "not_entitled", "partial", "failed")


def attempts_of(audit: Mapping[str, Any], run_error: str | None) -> dict[tuple[str, str], str | None]:
    """By symbol and timeframe, of what a run tried to fetch: why it failed, None if it did not.

    What the run left for the next one, or was stopped before, was not tried. What *run_error* kept it from
    was tried and failed by that.
    """
    tried = _processed(audit.get("symbols_processed", {}))
    attempts = {(r.symbol, r.timeframe): r.error for r in tried if r.status in _TRIED}
    if run_error is not None:
        config = audit["config"]
        wanted = {(symbol, tf) for symbol in config["symbols"] for tf in config["timeframes"]}
        attempts |= dict.fromkeys(wanted - attempts.keys(), run_error)
    return attempts
