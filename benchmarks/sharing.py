"""Two processes and one key in real time: the limit used up together, and left to the other by one killed."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.pacing import LIMIT, PAGE_BARS, WINDOW_SECONDS
from benchmarks.processes import emulator_process, running_python
from benchmarks.report import Finding, Listing, at_least, at_most
from benchmarks.scratch import scratch

KILLED, OTHER = ("BTC", "ETH"), ("SOL", "XRP")
FIRST, LAST = "2024-03-04", "2024-03-15"  # more pages than either can have before the end
KILL_AFTER, END_AFTER = 1.5, 2.3  # windows: the middle of the second; into the third
SHARE_OF_LIMIT, MOST_WAIT_SECONDS = 0.95, 10.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the emulator saw: *seconds* of each request since the first, and *tickers* of whom it was."""

    seconds: list[float]
    tickers: list[str]

    @classmethod
    def of(cls, log: Sequence[dict[str, Any]]) -> "Arrivals":
        moments = [datetime.fromisoformat(entry["time"]) for entry in log]
        tickers = [entry["path"].split("/ticker/")[1].split("/")[0] for entry in log]
        return cls([(moment - moments[0]).total_seconds() for moment in moments], tickers)

    def count(self, coins: Sequence[str], begin: float = 0.0, end: float = float("inf")) -> int:
        """How many requests of *coins* arrived in [begin, end) seconds."""
        mine = {f"X:{coin}USD" for coin in coins}
        return sum(
            begin <= second < end and ticker in mine
            for second, ticker in zip(self.seconds, self.tickers, strict=True)
        )

    def longest_wait(self) -> float:
        """For how long at most a slot was free before it was used again, by whoever it was."""
        pairs = zip(self.seconds, self.seconds[LIMIT:], strict=False)
        return max((later - sooner - WINDOW_SECONDS for sooner, later in pairs), default=float("inf"))


async def measure(database_url: str | None = None) -> Sequence[Finding]:
    """Two scripts on one database against an emulator of 150 a minute; one is killed after a minute and a half."""
    async with (
        scratch(database_url) as databases,
        emulator_process(page_cap=PAGE_BARS, rate_limit=LIMIT, count_refused=True) as emulator,
    ):
        url = await databases.database()
        async with _fetching(KILLED, emulator.url, url) as killed, _fetching(OTHER, emulator.url, url):
            await asyncio.sleep(KILL_AFTER * WINDOW_SECONDS)
            killed.kill()
            await asyncio.sleep((END_AFTER - KILL_AFTER) * WINDOW_SECONDS)
            counts = await asyncio.to_thread(emulator.counts)
    return _findings(counts)


def _fetching(
    coins: Sequence[str], vendor_url: str, database_url: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running_python(
        "scripts/backfill_ohlcv.py",
        *("--symbols", ",".join(coins), "--timeframe", "1m", "--rate-limit", str(LIMIT)),
        *("--start", FIRST, "--end", LAST, "--quiet"),
        POLYGON_BASE_URL=vendor_url,
        DATABASE_URL=database_url,
    )


def _findings(counts: dict[str, Any]) -> list[Finding]:
    seen, kill = Arrivals.of(counts["log"]), KILL_AFTER * WINDOW_SECONDS
    of_killed = seen.count(KILLED, 0, kill)
    of_other = seen.count(OTHER, 0, kill), seen.count(OTHER, kill)
    rows = (("the one killed", of_killed, seen.count(KILLED, kill)), ("the other", *of_other))
    windows = -(-END_AFTER // 1)
    return [
        Listing("requests of each", ("process", "before the kill", "after it"), rows),
        at_most("answers of 429", counts["rate_limited"], 0),
        at_most("most requests in any 60 s", counts["busiest_window"], LIMIT),
        at_least("used of the limit", counts["total"] / (windows * LIMIT), SHARE_OF_LIMIT),
        at_least("the lesser part of the two, of half", min(of_killed, of_other[0]) / LIMIT, 0.5),
        at_least("after the kill: the other's part of the limit", of_other[1] / LIMIT, SHARE_OF_LIMIT),
        at_most("longest that a slot lay unused", seen.longest_wait(), MOST_WAIT_SECONDS, "s"),
    ]
