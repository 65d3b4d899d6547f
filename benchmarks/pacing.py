"""The rate limit in real time: nothing over it, nothing of it unused; a vendor that refuses one in five."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from benchmarks.processes import Finished, emulator_process, run_python
from benchmarks.report import Finding, Listing, at_least, at_most, exactly
from benchmarks.scratch import scratch

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE")
PAGE_BARS = 90  # a minute bar each: a day of a coin is 16 pages
FIRST, DAYS = date(2024, 3, 4), 5
LIMIT, WINDOW_SECONDS = 150, 60.0
MOST_WALL = 1.05
APART_SECONDS = 20.0  # the runs wait most of the time: their bursts must not meet
REFUSAL = {"kind": "rate_limited", "every": 5, "seconds": 0.5}


@dataclass(frozen=True, slots=True)
class Paced:
    """A run, and what the emulator says of it."""

    run: Finished
    counts: dict[str, Any]

    @property
    def audit(self) -> dict[str, Any]:
        return self.run.result

    @property
    def row(self) -> tuple[str | float, ...]:
        counted = self.counts
        return counted["total"], counted["rate_limited"], counted["busiest_window"], self.run.seconds


async def measure(database_url: str | None = None) -> Sequence[Finding]:
    """400 small pages under a limit, counted in both ways a vendor may count; and with refusals."""
    async with scratch(database_url) as databases:
        urls = [await databases.database() for _ in range(3)]
        sliding, fixed, refused = await asyncio.gather(
            _run(urls[0], LIMIT, after_seconds=0, rate_limit=LIMIT),
            _run(urls[1], LIMIT, after_seconds=APART_SECONDS, rate_limit=LIMIT, rate_mode="fixed"),
            _run(urls[2], 0, after_seconds=2 * APART_SECONDS, faults=[REFUSAL]),
        )
    kinds = ("any 60 s", "minutes of the clock", "refused one in five")
    rows = tuple((kind, *paced.row) for kind, paced in zip(kinds, (sliding, fixed, refused), strict=True))
    head = ("the vendor counts", "requests", "429", "busiest 60 s", "seconds")
    return [
        Listing("small pages", head, rows),
        *_figures("any 60 s", sliding),
        *_figures("minutes of the clock", fixed),
        at_least("429 one in five: refusals", refused.counts["rate_limited"], 80),
        exactly(
            "429 one in five: counted by us / by the vendor",
            refused.audit["requests"]["rate_limited"] / refused.counts["rate_limited"],
            1.0,
        ),
        exactly(
            "429 one in five: bars that arrived, of all",
            refused.audit["summary"]["total_records"] / sliding.audit["summary"]["total_records"],
            1.0,
        ),
    ]


def _figures(kind: str, paced: Paced) -> list[Finding]:
    requests = paced.counts["total"]
    allowed = (requests - 1) // LIMIT * WINDOW_SECONDS
    return [
        at_least(f"{kind}: requests", requests, 400),
        at_most(f"{kind}: answers of 429", paced.counts["rate_limited"], 0),
        at_most(f"{kind}: wall time / what the limit allows", paced.run.seconds / allowed, MOST_WALL),
    ]


async def _run(database_url: str, our_limit: int, *, after_seconds: float, **vendor: Any) -> Paced:
    await asyncio.sleep(after_seconds)
    async with emulator_process(page_cap=PAGE_BARS, **vendor) as emulator:
        run = await run_python(
            "scripts/backfill_ohlcv.py",
            *("--symbols", ",".join(COINS), "--timeframe", "1m", "--max-concurrent", str(len(COINS))),
            *("--rate-limit", str(our_limit), "--json"),
            *("--start", str(FIRST), "--end", str(FIRST + timedelta(days=DAYS - 1))),
            POLYGON_BASE_URL=emulator.url,
            DATABASE_URL=database_url,
        )
        return Paced(run, await asyncio.to_thread(emulator.counts))
