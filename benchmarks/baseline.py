"""A whole run of the main job against a vendor as slow and limited as the real one: where the time goes."""

import asyncio
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.processes import EmulatorProcess, Finished, MeasurementFailed, emulator_process, run_python
from benchmarks.report import Finding, Listing, Note, at_most, shown
from benchmarks.scratch import scratch

SCHEMA_VERSION = 1
WINDOW_SECONDS = 60.0
PARTS = ("api", "db", "compute")
COMPARED = ("wall_seconds", "limit_seconds", "bars", "bars_per_second", "peak_mb", "cpu_seconds")
_PACED = 0.9  # a run that takes this share of what the limit allows is held up by the limit


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run: the newest *days* of *symbols* (None: all tracked ones), all timeframes."""

    symbols: str | None
    days: int
    rate_limit: int
    latency_seconds: float


async def measure(
    setting: Setting, output: Path | None, compare: Path | None, database_url: str | None = None
) -> Sequence[Finding]:
    """One run on an empty database. *output*: where its document is written; *compare*: an earlier one."""
    earlier = read_result(compare) if compare else None
    async with scratch(database_url) as databases:
        url = await databases.database()
        async with emulator_process(
            rate_limit=setting.rate_limit, latency_seconds=setting.latency_seconds
        ) as vendor:
            ended = await run_master(vendor, url, *_options(setting))
            counts = await asyncio.to_thread(vendor.counts)
    document = _document(setting, ended, counts)
    if output:
        _write(document, output)
    findings = _findings(document)
    return [*findings, comparison(document, earlier)] if earlier else findings


def read_result(path: Path) -> Mapping[str, Any]:
    """A document written before. Raises MeasurementFailed for a file that holds none."""
    try:
        document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = document["timestamp"], document["config"]
        figures = [*(document[name] for name in COMPARED), *(document["seconds"][part] for part in PARTS)]
        if all(math.isfinite(figure) for figure in [*figures, document["requests"]["total"]]):
            return document
        why = "a figure is none"
    except KeyError as error:
        why = f"it has no {error}"
    except (OSError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        why = str(error)
    raise MeasurementFailed(f"{path} is no result of an earlier run: {why}")


def _write(document: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")


async def run_master(vendor: EmulatorProcess, database_url: str, *options: str) -> Finished:
    """The main job as a process; its audit is the document on its standard output."""
    with TemporaryDirectory() as folder:
        return await run_python(
            *("master_backfill.py", "--json", "--output", str(Path(folder) / "audit.json")),
            *options,
            POLYGON_BASE_URL=vendor.url,
            DATABASE_URL=database_url,
        )


def _options(setting: Setting) -> list[str]:
    chosen = ["--symbols", setting.symbols] if setting.symbols else []
    return [*chosen, "--days", str(setting.days), "--rate-limit", str(setting.rate_limit)]


def _document(setting: Setting, ended: Finished, counts: Mapping[str, Any]) -> dict[str, Any]:
    audit = ended.result
    timing, wall = audit["timing"], ended.seconds
    seconds = {part: timing[f"{part}_seconds"] for part in PARTS}
    allowed = _allowed_seconds(counts["total"], setting.rate_limit)
    bottleneck = timing["bottleneck"]
    return {
        "schema_version": SCHEMA_VERSION,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "config": {
            "symbols": audit["summary"]["symbols"],
            "days": setting.days,
            "rate_limit": setting.rate_limit,
            "latency_seconds": setting.latency_seconds,
        },
        "status": audit["status"],
        "wall_seconds": wall,
        "limit_seconds": allowed,
        "seconds": seconds,
        "percent": {part: 100 * value / wall for part, value in seconds.items()},
        "bottleneck": "limit" if allowed > _PACED * wall else bottleneck,
        "advice": _advice(bottleneck, allowed, wall),
        "requests": {
            "total": counts["total"],
            "by_kind": counts["by_kind"],
            "rate_limited": counts["rate_limited"],
            "most_in_flight": counts["most_in_flight"],
        },
        "bars": audit["summary"]["total_records"],
        "bars_per_second": audit["summary"]["total_records"] / wall,
        "peak_mb": ended.peak_mb,
        "cpu_seconds": ended.cpu_seconds,
    }


def _allowed_seconds(requests: int, rate_limit: int) -> float:
    """The time before which the limit does not let the last of *requests* go."""
    return (requests - 1) // rate_limit * WINDOW_SECONDS if rate_limit else 0.0


def _advice(bottleneck: str, allowed: float, wall: float) -> str:
    if allowed > _PACED * wall:
        return (
            "The vendor's limit: only a plan with a higher one (--rate-limit) or a smaller range is faster."
        )
    return {
        "api": "Waiting for answers, not for the limit: raise --max-concurrent, or run nearer to the vendor.",
        "db": "Writing: a faster disk for PostgreSQL's log, or fewer other writers; more requests in flight "
        "would not help.",
        "compute": "Decoding and deriving: a faster core; more requests in flight would not help.",
    }[bottleneck]


def _findings(document: Mapping[str, Any]) -> list[Finding]:
    rows = [
        (name, document["seconds"][part], document["percent"][part])
        for part, name in zip(
            PARTS, ("waiting for the vendor", "database", "decoding and deriving"), strict=True
        )
    ]
    return [
        Listing("where the time went (they overlap)", ("part", "seconds", "% of wall"), tuple(rows)),
        shown("wall time", document["wall_seconds"], "s"),
        shown("of it, what the limit asks for", document["limit_seconds"], "s"),
        shown("requests", document["requests"]["total"]),
        at_most("answers of 429", document["requests"]["rate_limited"], 0),
        shown("bars stored, all timeframes", document["bars"]),
        shown("bars a second", document["bars_per_second"], "bars/s"),
        shown("peak memory of the script", document["peak_mb"], "MB"),
        Note(f"bottleneck: {document['bottleneck']}. {document['advice']}"),
    ]


def comparison(document: Mapping[str, Any], earlier: Mapping[str, Any]) -> Listing:
    pairs = [(name, earlier[name], document[name]) for name in COMPARED]
    pairs += [(f"{part} seconds", earlier["seconds"][part], document["seconds"][part]) for part in PARTS]
    pairs.append(("requests", earlier["requests"]["total"], document["requests"]["total"]))
    rows = [(name.replace("_", " "), old, new, new / old if old else "-") for name, old, new in pairs]
    same = earlier["config"] == document["config"]
    title = "against the earlier one" if same else "against an earlier one of OTHER settings"
    return Listing(f"{title} ({earlier['timestamp']})", ("", "then", "now", "now / then"), tuple(rows))
