"""The same symbols under three schedules, against a vendor of 150 requests a minute; and a hundred for a year."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from benchmarks.baseline import WINDOW_SECONDS, run_master
from benchmarks.ceiling import alone, fetch, minute_paths
from benchmarks.processes import EmulatorProcess, Finished, emulator_process
from benchmarks.report import Finding, Listing, Note, at_most, shown
from benchmarks.scratch import Scratch, scratch
from lib.vendor.emulator.simulated import SimulatedMarket

STOCKS = (
    *("AAPL", "MSFT", "NVDA", "GOOGL", "AMZN", "META", "TSLA", "BRK.B", "JPM", "V", "JNJ", "WMT", "XOM"),
    *("KO", "IBM", "SPY", "QQQ", "IWM", "GLD", "TLT", "DIS", "PEP"),
)
COINS = ("BTC", "ETH", "SOL")
LIMIT, LATENCY_SECONDS = 150, 0.2
LAST = date(2024, 12, 31)
SCHEDULES = {
    "sequential": ("--sequential",),
    "groups of 3, 5 s stagger, 15 s pause": ("--pacing", "staggered"),
    "default": (),
}
MOST_BAR_REQUESTS, MOST_OF_STAGGERED, MOST_OF_LATENCY = 50, 0.05, 1.5
LARGE_SYMBOLS, LARGE_DAYS = 100, 365
MOST_OF_LARGE, LARGE_START_SECONDS = 1.05, 5.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A run of the main job, and what the emulator says of it."""

    run: Finished
    counts: dict[str, Any]

    @property
    def bar_requests(self) -> int:
        kinds: dict[str, int] = self.counts["by_kind"]
        return kinds.get("aggs", 0) + kinds.get("grouped", 0)

    @property
    def asking_seconds(self) -> float:
        """From the arrival of the first request to the answer to the last."""
        first, last = (datetime.fromisoformat(self.counts["log"][at]["time"]) for at in (0, -1))
        return (last - first).total_seconds() + LATENCY_SECONDS

    @property
    def latency_seconds(self) -> float:
        """What its requests cost in waiting alone, as many at a time as there ever were."""
        in_flight: int = self.counts["most_in_flight"]
        return float(self.counts["total"] * LATENCY_SECONDS / in_flight)

    @property
    def bars(self) -> int:
        bars: int = self.run.result["summary"]["total_records"]
        return bars

    def row(self, name: str) -> tuple[str | float, ...]:
        counts = self.counts
        return name, counts["total"], counts["rate_limited"], counts["most_in_flight"], self.run.seconds


async def measure(days: int, large: bool, database_url: str | None = None) -> Sequence[Finding]:
    """25 symbols in eight timeframes for *days*; *large*: also 100 symbols for a year, which takes minutes."""
    async with scratch(database_url) as databases:
        # The vendor's own work does not cost the user's processor: its bodies are rendered beforehand.
        async with emulator_process(prerender=True) as vendor:
            await _run(databases, vendor, (*STOCKS, *COINS), days)
            await asyncio.to_thread(partial(vendor.change, rate_limit=LIMIT, latency_seconds=LATENCY_SECONDS))
            runs = {
                name: await _run(databases, vendor, (*STOCKS, *COINS), days, *options)
                for name, options in SCHEDULES.items()
            }
        findings = _findings(runs)
        if large:
            findings += await _large(databases)
    return findings


async def _run(
    databases: Scratch, vendor: EmulatorProcess, symbols: Sequence[str], days: int, *options: str
) -> Scheduled:
    url = await databases.database()
    await asyncio.to_thread(vendor.reset)
    dates = ("--start", str(LAST - timedelta(days=days - 1)), "--end", str(LAST))
    chosen = ("--symbols", ",".join(symbols), "--timeframes", "all", *dates)
    ended = await run_master(vendor, url, *chosen, "--rate-limit", str(LIMIT), *options)
    counts = await asyncio.to_thread(vendor.counts)
    await databases.drop(url)
    return Scheduled(ended, counts)


def _findings(runs: dict[str, Scheduled]) -> list[Finding]:
    default = runs["default"]
    staggered = next(run for name, run in runs.items() if "stagger" in name)
    head = ("schedule", "requests", "429", "in flight", "seconds")
    return [
        Listing("25 symbols x 8 timeframes", head, tuple(run.row(name) for name, run in runs.items())),
        at_most("default: requests for bars", default.bar_requests, MOST_BAR_REQUESTS),
        at_most("default: answers of 429", default.counts["rate_limited"], 0),
        at_most("default / staggered", default.run.seconds / staggered.run.seconds, MOST_OF_STAGGERED),
        at_most(
            "default / bare latency of its requests",
            default.run.seconds / default.latency_seconds,
            MOST_OF_LATENCY,
        ),
        shown(
            "the same, first request to last answer only", default.asking_seconds / default.latency_seconds
        ),
    ]


async def _large(databases: Scratch) -> list[Finding]:
    """100 symbols for a year: bound by the limit, or by writing."""
    listed = [listing.ticker for listing in SimulatedMarket().listings()]
    symbols = [*COINS, *(ticker for ticker in listed if not ticker.startswith("X:"))][:LARGE_SYMBOLS]
    async with emulator_process(rate_limit=LIMIT, latency_seconds=LATENCY_SECONDS) as vendor:
        large = await _run(databases, vendor, symbols, LARGE_DAYS)
    allowed = (large.counts["total"] - 1) // LIMIT * WINDOW_SECONDS
    writing = await _pure_write_seconds(databases, large)
    title = f"{LARGE_SYMBOLS} symbols x 8 timeframes x {LARGE_DAYS} days"
    return [
        shown(f"{title}: wall time", large.run.seconds, "s"),
        shown("bars stored, all timeframes", large.bars),
        shown("requests", large.counts["total"]),
        shown("what the limit allows", allowed, "s"),
        shown("their writing alone, estimated", writing, "s"),
        at_most("answers of 429", large.counts["rate_limited"], 0),
        at_most(
            "wall time / (1.05 x the slower of both + 5 s)",
            large.run.seconds / (MOST_OF_LARGE * max(allowed, writing) + LARGE_START_SECONDS),
            1.0,
        ),
        Note("Writing alone: the first pages of the run written anew, scaled to all of its bars."),
    ]


_SAMPLE_PAGES = 24


async def _pure_write_seconds(databases: Scratch, large: Scheduled) -> float:
    url = await databases.database()
    async with emulator_process() as vendor:
        bodies, _ = await fetch(vendor.url, minute_paths(large.counts["log"])[:_SAMPLE_PAGES])
        parts = await alone(url, bodies, derive=True)
    await databases.drop(url)
    series_of_all = large.run.result["symbols_processed"].values()
    minutes: int = sum(series["1m"]["bars"] for series in series_of_all if "1m" in series)
    return parts.write_seconds * minutes / parts.bars
