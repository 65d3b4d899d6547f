"""Our way against what users write today, over the same bodies of a vendor without a limit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from benchmarks.ceiling import Parts, alone, fetch, minute_paths
from benchmarks.processes import EmulatorProcess, Finished, emulator_process, run_python
from benchmarks.report import Finding, Listing, Note, at_least, at_most, shown
from benchmarks.scratch import Scratch, scratch
from lib.wiring import ANSWERS_IN_FLIGHT

LATENCY_SECONDS = 0.05
LAST = date(2024, 12, 31)
TICKER = "X:BTCUSD"  # a bar each minute: the number of days decides the number of bars
LEAST_TIMES, MOST_OF_PARTS = 4.0, 1.25
PEERS = {
    "pandas.to_sql": ("to_sql", 0.25),
    "SQLAlchemy bulk insert": ("bulk-insert", 0.5),
    "asyncpg executemany": ("executemany", 1.0),
    "(its fetching alone)": ("none", 1.0),
}


@dataclass(frozen=True, slots=True)
class Contender:
    """One way, run as a process: *requests* for *bars*."""

    name: str
    run: Finished
    requests: int
    bars: int

    @property
    def bars_per_second(self) -> float:
        return self.bars / self.run.seconds

    @property
    def row(self) -> tuple[str | float, ...]:
        ended = self.run
        return (
            self.name,
            f"{self.bars:,}",
            self.requests,
            ended.seconds,
            self.bars_per_second,
            ended.peak_mb,
        )


@dataclass(frozen=True, slots=True)
class _Arena:
    """Where they are run: bodies are rendered before anybody is timed."""

    databases: Scratch
    vendor: EmulatorProcess

    async def counted(self, *arguments: str, **settings: str) -> tuple[Finished, dict[str, Any]]:
        await asyncio.to_thread(self.vendor.reset)
        ended = await run_python(*arguments, **settings)
        return ended, await asyncio.to_thread(self.vendor.counts)

    async def ours(self, name: str, days: int, *options: str) -> tuple[Contender, list[str]]:
        """The core fetch of all tracked symbols; and the paths it asked for."""
        url = await self.databases.database()
        ended, counts = await self.counted(
            *("scripts/backfill_ohlcv.py", "--timeframe", "1m", "--rate-limit", "0", "--json", *options),
            *("--start", _start(days), "--end", str(LAST)),
            POLYGON_BASE_URL=self.vendor.url,
            DATABASE_URL=url,
        )
        await self.databases.drop(url)
        bars = ended.result["summary"]["total_records"]
        return Contender(name, ended, counts["total"], bars), minute_paths(counts["log"])

    async def peer(self, name: str, writer: str, days: int) -> Contender:
        url = await self.databases.database()
        arguments = (writer, self.vendor.url, url, _start(days), str(LAST), TICKER)
        ended, counts = await self.counted("-m", "benchmarks.peer", *arguments)
        await self.databases.drop(url)
        return Contender(name, ended, counts["total"], ended.result["bars"])

    async def alone(self, paths: Sequence[str]) -> tuple[Parts, float]:
        """Decoding and writing alone, with derived timeframes; and the seconds of fetching alone."""
        bodies, seconds = await fetch(self.vendor.url, paths, ANSWERS_IN_FLIGHT)
        url = await self.databases.database()
        parts = await alone(url, bodies, derive=True)
        await self.databases.drop(url)
        return parts, seconds


def _start(days: int) -> str:
    return str(LAST - timedelta(days=days - 1))


async def measure(days: int = 365, database_url: str | None = None) -> Sequence[Finding]:
    """Everybody over the newest *days* before 2025: we all tracked symbols, the peers one coin."""
    async with (
        scratch(database_url) as databases,
        emulator_process(prerender=True, latency_seconds=LATENCY_SECONDS, exponents=False) as vendor,
    ):
        arena = _Arena(databases, vendor)
        await arena.ours("rendering", days)
        for _, share in PEERS.values():
            await arena.peer("rendering", "none", round(days * share))
        derived, paths = await arena.ours("ours, with five more frames", days)
        plain, _ = await arena.ours("ours", days, "--no-derive")
        parts, fetching = await arena.alone(paths)
        peers = [
            await arena.peer(name, writer, round(days * share)) for name, (writer, share) in PEERS.items()
        ]
    return [*_against_peers([plain, derived, *peers]), *_against_parts(derived, parts, fetching)]


def _against_peers(all_of_them: Sequence[Contender]) -> list[Finding]:
    ours, executemany = (_named(all_of_them, name) for name in ("ours", "asyncpg executemany"))
    head = ("way", "bars", "requests", "seconds", "bars/s", "peak MB")
    return [
        Listing("minutes of 2024; slow ones with fewer", head, tuple(one.row for one in all_of_them)),
        at_least(
            "times as fast as the official client + executemany",
            ours.bars_per_second / executemany.bars_per_second,
            LEAST_TIMES,
        ),
    ]


def _named(all_of_them: Sequence[Contender], name: str) -> Contender:
    return next(one for one in all_of_them if one.name == name)


def _against_parts(run: Contender, parts: Parts, fetching: float) -> list[Finding]:
    latency = run.requests * LATENCY_SECONDS / ANSWERS_IN_FLIGHT
    return [
        shown("fetching alone (the emulator's own ceiling)", parts.bars / fetching, "bars/s"),
        shown("decoding alone", parts.bars / parts.decode_seconds, "bars/s"),
        shown("writing alone, with five more frames", parts.bars / parts.write_seconds, "bars/s"),
        shown("requests bound by latency alone", latency, "s"),
        at_most(
            "a run / the slower of decoding + writing and latency",
            run.run.seconds / max(parts.seconds, latency),
            MOST_OF_PARTS,
        ),
        Note("Peers take one coin, we all tracked symbols: the columns to compare are bars/s and peak MB."),
    ]
