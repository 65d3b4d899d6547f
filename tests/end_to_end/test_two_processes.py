"""Two processes, one key: one limit, used up and never exceeded, whatever becomes of one of them.

The vendor's minute is some seconds here, for its limit and for the budget.
"""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.leaks import KEY

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30
TIMEOUT_SECONDS = 1.0

SENDER = """
import asyncio, sys
from lib.clock import SystemClock
from lib.concurrency import run_bounded
from lib.settings import Secret
from lib.store.database import open_url
from lib.store.shared_budget import shared_budget
from lib.vendor.client import VendorClient

async def main(name, database_url, base_url, key, limit, window, timeout, count):
    clock = SystemClock()
    async with (
        open_url(database_url) as database,
        shared_budget(database, Secret(key), int(limit), clock, window_seconds=float(window)) as budget,
        VendorClient.open(
            base_url=base_url, key=Secret(key), budget=budget, clock=clock, timeout_seconds=float(timeout)
        ) as client,
    ):
        print("ready", flush=True)
        sys.stdin.readline()
        await run_bounded(range(int(count)), lambda n: client.ticker_details(name), 4)
    print(budget.sent, budget.rate_limited_count)

asyncio.run(main(*sys.argv[1:]))
"""


class Sender:
    """A process that asks for the details of one ticker, again and again."""

    def __init__(self, name, process):
        self.name, self._process = name, process

    @classmethod
    async def start(cls, name, database_url, emulator, count):
        window = emulator.settings.rate_window_seconds
        arguments = (name, database_url, emulator.url, KEY, LIMIT, window, TIMEOUT_SECONDS, count)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SENDER,
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert await process.stdout.readline() == b"ready\n"
        return cls(name, process)

    def go(self):
        self._process.stdin.write(b"\n")

    async def kill(self):
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def result(self):
        """How many requests it sent, and how many of them were refused."""
        stdout, _ = await self._process.communicate()
        assert self._process.returncode == 0
        return tuple(map(int, stdout.split()))


@asynccontextmanager
async def two_senders(database_url, window_seconds, counts):
    """The emulator and two senders that stand ready."""
    settings = EmulatorSettings(
        rate_limit=LIMIT, rate_window_seconds=window_seconds, latency_seconds=0.05, count_refused=True
    )
    async with Emulator(SimulatedMarket(), settings) as emulator:
        senders = await asyncio.gather(
            *(Sender.start(n, database_url, emulator, c) for n, c in zip(("KO", "JPM"), counts, strict=True))
        )
        try:
            yield emulator, *senders
        finally:
            for sender in senders:
                await sender.kill()


def arrivals(emulator, name=""):
    """When requests arrived, in seconds since the first of all."""
    first = emulator.counts.log[0].time if emulator.counts.log else None
    return [(entry.time - first).total_seconds() for entry in emulator.counts.log if name in entry.path]


async def reaches(emulator, count):
    async with asyncio.timeout(60):
        while len(arrivals(emulator)) < count:  # noqa: ASYNC110  the emulator has no event for it
            await asyncio.sleep(0.01)


async def test_together_they_use_the_limit_and_never_exceed_it(database_url):
    windows, window_seconds = 2, 6.0
    each = (windows + 1) * LIMIT // 2
    async with two_senders(database_url, window_seconds, (each, each)) as (emulator, *senders):
        for sender in senders:
            sender.go()
        assert [await sender.result() for sender in senders] == [(each, 0), (each, 0)]

        assert emulator.counts.rate_limited == 0
        assert emulator.counts.busiest_window == LIMIT
        # To the hundredth it is proved where no machine is slow: tests/store/test_shared_budget.py.
        assert windows * window_seconds < arrivals(emulator)[-1] < (windows + 0.5) * window_seconds


async def test_what_a_killed_process_used_is_left_to_the_other_as_it_comes_free(database_url):
    window_seconds = 4.0
    async with two_senders(database_url, window_seconds, (1000, 1000)) as (emulator, killed, other):
        killed.go()
        other.go()
        await reaches(emulator, LIMIT)
        await asyncio.sleep(TIMEOUT_SECONDS)  # both have their answers: what they used is known
        await killed.kill()
        of_both = [len(arrivals(emulator, sender.name)) for sender in (killed, other)]
        assert sum(of_both) == LIMIT
        assert min(of_both) > 0

        await reaches(emulator, 2 * LIMIT)
        assert len(arrivals(emulator, other.name)) == of_both[1] + LIMIT
        # A slot comes free one window after it was used: of the last ones nothing is kept back for the dead.
        assert arrivals(emulator)[-1] < 2 * window_seconds
        assert emulator.counts.rate_limited == 0
