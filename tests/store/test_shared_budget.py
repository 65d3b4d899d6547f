"""One budget for all processes of a key: the law with a table in memory on a clock that jumps, and the table."""

import asyncio
import copy
import random
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.concurrency import prefetch
from lib.errors import ConnectionFailed, DatabaseUnreachable, RateLimited, RequestTimedOut, ServiceFailed
from lib.store.shared_budget import Seen, SharedBudget
from lib.store.shares import Shares
from tests.unit.test_budget import DEADLINE, LoopClock, most_in_any, run


class MemoryTable:
    """The row of a key, behind a network of *latency* seconds; its clock is not the processes'."""

    def __init__(self, clock, latency=0.0, seed=0):
        self.shares, self.version, self.exchanges, self.lost = Shares(), 0, 0, False
        self._clock, self._latency, self._chance = clock, latency, random.Random(seed)

    async def _travel(self):
        await self._clock.sleep(self._latency * self._chance.random())
        if self.lost:
            raise DatabaseUnreachable

    async def read(self):
        await self._travel()
        seen = Seen(1_700_000_000 + self._clock.monotonic(), self.version, copy.deepcopy(self.shares))
        await self._travel()
        return seen

    async def write(self, seen):
        await self._travel()
        written = seen.version == self.version
        if written:
            self.shares, self.version = seen.shares, self.version + 1
            self.exchanges += 1
        await self._travel()
        return written


class Killable:
    """A process's way to the table, which ends with the process."""

    def __init__(self, table):
        self._table, self.killed = table, False

    async def read(self):
        return await self._unless_killed(self._table.read())

    async def write(self, seen):
        return await self._unless_killed(self._table.write(seen))

    async def _unless_killed(self, step):
        if self.killed:
            step.close()
            await asyncio.get_running_loop().create_future()
        return await step


class SkewedClock(LoopClock):
    """Another host's clock."""

    def __init__(self, ahead):
        self._ahead = ahead

    def monotonic(self):
        return super().monotonic() + self._ahead


class Process:
    """A budget and those who send with it; its end may be a kill."""

    def __init__(self, table, limit, arrivals, ahead=0.0, **options):
        self.table = Killable(table)
        self.clock = SkewedClock(ahead)
        self.budget = SharedBudget(self.table, limit, self.clock, **options)
        self.arrivals = arrivals

    async def work(self, senders, send, until):
        async def sender():
            while asyncio.get_running_loop().time() < until:
                await send(self)

        async with prefetch(self.budget.beats()):
            await asyncio.gather(*(sender() for _ in range(senders)))
        await self.budget.leave()

    def start(self, senders, send, until):
        self.task = asyncio.ensure_future(self.work(senders, send, until))

    async def kill(self):
        self.table.killed = True
        self.task.cancel()
        await asyncio.wait([self.task])


def steadily(latency):
    """Sends requests that take *latency*; notes (process, moment of arrival)."""

    async def send(process):
        async with process.budget.request(DEADLINE):
            process.arrivals.append((process, asyncio.get_running_loop().time()))
            await process.clock.sleep(latency)

    return send


def by_chance(chance, latencies, outcomes):
    """Sends requests that arrive at any moment, and end in any way."""
    errors = {"failed": ServiceFailed, "reset": ConnectionFailed, "limited": RateLimited}

    async def one(process):
        outcome, latency = chance.choice(outcomes), chance.choice(latencies) * chance.random()
        now = asyncio.get_running_loop().time
        async with process.budget.request(DEADLINE):
            if outcome in ("timeout", "cancel"):
                process.arrivals.append(now() + chance.random() * DEADLINE)
                await process.clock.sleep(DEADLINE if outcome == "timeout" else chance.random() * DEADLINE)
                raise RequestTimedOut if outcome == "timeout" else ServiceFailed
            process.arrivals.append(now() + chance.random() * latency)
            await process.clock.sleep(latency)
            if outcome != "ok":
                raise errors[outcome]("")

    async def send(process):
        try:
            await one(process)
        except (ServiceFailed, ConnectionFailed, RateLimited, RequestTimedOut):
            pass
        await process.clock.sleep(chance.choice([0.0, 0.0, 5.0]) * chance.random())

    return send


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 40),
    processes=st.integers(1, 4),
    latencies=st.lists(st.floats(0.001, 40.0), min_size=1, max_size=4),
    outcomes=st.lists(
        st.sampled_from(["ok", "ok", "ok", "failed", "reset", "limited", "timeout"]), min_size=1
    ),
    to_database=st.floats(0.0, 3.0),
    outage=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_no_window_of_the_vendor_holds_more_than_the_limit(
    limit, processes, latencies, outcomes, to_database, outage, seed
):
    """However many send, come late, are killed, whatever their clocks say, and when the table is lost.

    The table is lost when all know of each other: who has not heard of the others cannot spare them.
    """
    chance, arrivals, lasts = random.Random(seed), [], 600

    async def main(clock):
        table = MemoryTable(clock, to_database, seed)
        send = by_chance(chance, latencies, outcomes)
        started = []
        for _ in range(processes):
            process = Process(table, limit, arrivals, ahead=chance.uniform(-1e6, 1e6))
            process.start(chance.randint(1, 10), send, lasts)
            started.append(process)
            await clock.sleep(chance.random() * 60)
        if outage:
            await clock.sleep(10)
            table.lost = True
            await clock.sleep(chance.random() * 200)
            table.lost = False
        for process in started[1:]:
            await clock.sleep(chance.random() * 60)
            await process.kill()
        await asyncio.wait([process.task for process in started])
        for process in started[:1]:
            process.task.result()

    run(main)
    assert most_in_any(60.0, arrivals) <= limit
