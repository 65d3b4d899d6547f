"""One budget for all processes of a key: its law on a clock that jumps, with a table in memory; the real table."""

import asyncio
import copy
import logging
import random
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.clock import SystemClock
from lib.concurrency import prefetch
from lib.errors import (
    BudgetSpent,
    ConnectionFailed,
    DatabaseError,
    DatabaseUnreachable,
    RateLimited,
    RequestTimedOut,
    ServiceFailed,
)
from lib.settings import Secret
from lib.store.database import open_url
from lib.store.refusals import MARGIN, Learnt, Terms
from lib.store.shared_budget import PostgresTable, Seen, SharedBudget, shared_budget
from lib.store.shares import Shares
from tests.unit.test_budget import DEADLINE, LoopClock, most_in_any, run

KEY = Secret("a-key-nobody-may-see")


class MemoryTable:
    """The row of a key, behind a network of *latency* seconds; its clock is not the processes'."""

    def __init__(self, clock, latency=0.0, seed=0):
        self.shares, self.version, self.exchanges, self.lost = Shares(), 0, 0, False
        self.ahead = 1_700_000_000.0
        self._clock, self._latency, self._chance = clock, latency, random.Random(seed)

    async def _travel(self):
        await self._clock.sleep(self._latency * self._chance.random())
        if self.lost:
            raise DatabaseUnreachable

    async def read(self):
        await self._travel()
        seen = Seen(self.ahead + self._clock.monotonic(), self.version, copy.deepcopy(self.shares))
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

    async def end(self):
        await self.task

    def sent_between(self, begin, end):
        return sum(begin <= moment < end for process, moment in self.arrivals if process is self)


def steadily(latency):
    """Sends requests that take *latency*; notes (process, moment of arrival)."""

    async def send(process):
        async with process.budget.request(DEADLINE):
            process.arrivals.append((process, asyncio.get_running_loop().time()))
            await process.clock.sleep(latency)

    return send


def to_a_vendor(limit, latency=0.3):
    """As ``steadily``, to a vendor that refuses more than *limit* in any 60 s."""
    passed = []

    async def send(process):
        now = asyncio.get_running_loop().time
        with suppress(RateLimited):
            async with process.budget.request(DEADLINE):
                await process.clock.sleep(latency / 2)
                refused = sum(moment > now() - 60 for moment in passed) >= limit
                process.arrivals.append((process, now(), refused))
                passed.extend([] if refused else [now()])
                await process.clock.sleep(latency / 2)
                if refused:
                    raise RateLimited("")

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
        with suppress(ServiceFailed, ConnectionFailed, RateLimited, RequestTimedOut):
            await one(process)
        await process.clock.sleep(chance.choice([0.0, 0.0, 5.0]) * chance.random())

    return send


@settings(max_examples=50, deadline=None)
@given(
    limit=st.integers(1, 40),
    processes=st.integers(1, 4),
    latencies=st.lists(st.floats(0.001, DEADLINE), min_size=1, max_size=4),
    outcomes=st.lists(
        st.sampled_from(["ok", "ok", "ok", "failed", "reset", "limited", "timeout"]), min_size=1
    ),
    to_database=st.sampled_from([0.0, 0.01, 0.2, 3.0]),
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
        if outage and to_database < 0.3:
            await clock.sleep(60)
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


@settings(max_examples=12, deadline=None)
@given(
    limit=st.integers(5, 100),
    processes=st.integers(1, 3),
    latency=st.floats(0.01, 1.0),
    senders=st.integers(4, 12),
    seed=st.integers(0, 2**32),
)
def test_nothing_of_the_limit_is_left_unused_and_all_have_a_like_share(
    limit, processes, latency, senders, seed
):
    minutes, arrivals = 4, []

    async def main(clock):
        table = MemoryTable(clock, 0.02, seed)
        started = [Process(table, limit, arrivals, ahead=1e3 * n) for n in range(processes)]
        for process in started:
            process.start(senders, steadily(latency), minutes * 60)
        for process in started:
            await process.end()
        return started

    started = run(main)
    sent = [process.sent_between(0, minutes * 60) for process in started]
    assert sum(sent) >= 0.95 * limit * minutes
    assert min(sent) >= 0.6 * limit * minutes / processes


def alone(limit, seconds, *, senders=8, send=None, arrivals=None, **options):
    """One process's sending for *seconds*, and the table."""

    async def main(clock):
        table = MemoryTable(clock, 0.01)
        process = Process(table, limit, [] if arrivals is None else arrivals, **options)
        process.start(senders, send or steadily(0.2), seconds)
        await process.end()
        return process, table

    return run(main)


@pytest.mark.parametrize("senders", [1, 8])
@pytest.mark.parametrize(("limit", "most_a_minute"), [(150, 24), (5, 8), (0, 60)])
def test_alone_it_rarely_asks(senders, limit, most_a_minute):
    process, table = alone(limit, 300, senders=senders)

    possible = min(5 * (limit or 6_000), senders * 300 / 0.2)
    assert process.budget.sent >= 0.95 * possible
    assert table.exchanges < 5 * most_a_minute


def test_idle_and_alone_it_writes_three_times_a_minute():
    async def main(clock):
        table = MemoryTable(clock, 0.01)
        process = Process(table, 150, [])
        async with prefetch(process.budget.beats()):
            async with process.budget.request(DEADLINE):
                await clock.sleep(0.2)
            await clock.sleep(10)
            settled = table.exchanges
            await clock.sleep(300)
            return table.exchanges - settled

    assert run(main) <= 15


def test_the_free_plan_is_kept():
    process, _ = alone(5, 300)

    assert process.sent_between(0, 300) == 5 * 5 == process.budget.sent - process.sent_between(300, 400)
    assert most_in_any(60.0, [moment for _, moment in process.arrivals]) == 5


def test_a_paid_plan_is_kept_to_100_in_any_second_by_all_together():
    arrivals = []

    async def main(clock):
        table = MemoryTable(clock, 0.002)
        started = [Process(table, 0, arrivals) for _ in range(2)]
        for process in started:
            process.start(10, steadily(0.05), 20)
        for process in started:
            await process.end()

    run(main)
    moments = [moment for _, moment in arrivals]
    assert most_in_any(1.0, moments) == 100
    assert len(moments) > 0.85 * 20 * 100  # a slot comes free a second after its answer


def test_a_second_process_has_half_at_the_next_turn():
    arrivals = []

    async def main(clock):
        table = MemoryTable(clock, 0.01)
        first, second = Process(table, 150, arrivals), Process(table, 150, arrivals, ahead=-50.0)
        first.start(8, steadily(0.2), 170)
        await clock.sleep(30)
        second.start(8, steadily(0.2), 170)
        await clock.sleep(100)
        assert (first.budget.others, second.budget.others) == (1, 1)
        await first.end()
        await second.end()
        return [process.sent_between(60, 120) for process in (first, second)]

    shares = run(main)
    assert sum(shares) == 150
    assert min(shares) >= 50


def test_a_process_that_ends_leaves_all_to_the_others_at_once():
    async def main(clock):
        table = MemoryTable(clock, 0.01)
        first, second = (Process(table, 10, []) for _ in range(2))
        first.start(1, steadily(0.2), 0.1)
        await first.end()
        second.start(10, steadily(0.2), 1)
        await clock.sleep(1)
        return second.sent_between(0, 2), table.shares.holders.keys() - {second.budget._name}

    assert run(main) == (9, set())


def test_a_killed_process_takes_nothing_with_it_but_what_may_have_been_sent():
    """What it told of comes free when it does; a lease not told of, a minute after its deadline."""
    arrivals = []

    async def main(clock):
        table = MemoryTable(clock, 0.01)
        killed, other = (Process(table, 150, arrivals) for _ in range(2))
        for process in (killed, other):
            process.start(8, steadily(0.2), 400)
        await clock.sleep(30)
        await killed.kill()
        await other.end()
        assert killed.sent_between(0, 30) > 50
        return other.sent_between(60, 70), list(table.shares.holders)

    assert run(main) == (150, [])


def test_what_was_leased_to_a_killed_process_comes_free_a_minute_after_its_deadline():
    async def main(clock):
        table = MemoryTable(clock)
        killed, other = (Process(table, 1, []) for _ in range(2))
        killed.start(1, steadily(20.0), 400)
        await clock.sleep(10)
        await killed.kill()
        other.start(1, steadily(0.2), 150)
        await other.end()
        return [moment for _, moment in other.arrivals]

    # The lease was renewed at 10 s at the latest and lasts 5 s; the request may be under way for 30 s.
    assert run(main)[0] == pytest.approx(10 + 5 + DEADLINE + 60, abs=6)


def test_the_strictest_limit_holds_for_all():
    arrivals = []

    async def main(clock):
        table = MemoryTable(clock, 0.01)
        first, second = Process(table, 150, arrivals), Process(table, 10, arrivals)
        for process in (first, second):
            process.start(8, steadily(0.2), 300)
        await first.end()
        await second.end()
        return most_in_any(60.0, [moment for _, moment in arrivals if moment > 70])

    assert run(main) == 10


def test_a_429_to_one_pauses_and_slows_all_and_the_pace_comes_back():
    async def main(clock):
        table = MemoryTable(clock, 0.001)
        started = [Process(table, 160, []) for _ in range(2)]
        for process in started:
            process.start(4, steadily(0.2), 900)
        await clock.sleep(100)
        with pytest.raises(RateLimited):
            async with started[0].budget.request(DEADLINE):
                raise RateLimited("", retry_after_seconds=30)
        at = clock.monotonic()
        await clock.sleep(2)
        pauses = [process.budget.pause_seconds for process in started]
        for process in started:
            await process.end()
        in_pause = sum(process.sent_between(at + 2, at + 29) for process in started)
        in_windows = [
            sum(process.sent_between(at + begin, at + begin + 60) for process in started)
            for begin in range(29, 430, 60)
        ]
        return pauses, in_pause, in_windows

    pauses, in_pause, in_windows = run(main)
    assert pauses == pytest.approx([28, 28], abs=0.1)
    assert in_pause == 0
    assert in_windows == [80, 96, 112, 128, 144, 160, 160]


class TestTheRealLimit:
    def refused(self, process, begin, end):
        return sum(refused for _, moment, refused in process.arrivals if begin <= moment < end)

    @pytest.mark.parametrize(("real", "told"), [(5, 150), (100, 150), (5, 0)])
    def test_is_learnt_from_the_refusals(self, real, told):
        process, table = alone(told, 1800, send=to_a_vendor(real))

        assert table.shares.refusals.learnt.terms.limit == process.budget.learnt == real
        assert (process.budget.limit, process.budget.unlimited) == (real, False)
        assert self.refused(process, 0, 60) > 0
        assert self.refused(process, 1200, 1800) == 0
        passed = sum(not refused for _, moment, refused in process.arrivals if 1200 <= moment < 1800)
        assert passed >= 0.95 * 10 * real

    def test_is_not_mistaken_where_refusals_have_another_reason(self):
        chance = random.Random(7)

        async def send(process):
            with suppress(RateLimited):
                async with process.budget.request(DEADLINE):
                    await process.clock.sleep(0.3)
                    if chance.random() < 0.2:
                        raise RateLimited("")

        _, table = alone(150, 1800, send=send)
        assert table.shares.refusals.learnt is None

    def test_is_not_taken_from_what_is_remembered_of_a_paid_plan(self):
        chance = random.Random(3)

        async def send(process):
            with suppress(RateLimited):
                async with process.budget.request(DEADLINE):
                    await process.clock.sleep(0.3)
                    if chance.random() < 0.0005:
                        raise RateLimited("")

        process, table = alone(0, 1200, send=send)
        assert process.budget.rate_limited_count >= 6
        assert table.shares.refusals.learnt is None

    def test_is_remembered_for_a_day(self):
        async def first_minute(table, clock):
            process = Process(table, 150, [])
            now = asyncio.get_running_loop().time()
            process.start(8, steadily(0.2), now + 59)
            await process.end()
            return process.sent_between(now, now + 59)

        async def main(clock):
            table = MemoryTable(clock, 0.001)
            now = table.ahead + clock.monotonic()
            table.shares.refusals.learnt = Learnt(Terms(5, 60.06), 150 / 60, now)
            sent = [await first_minute(table, clock)]
            await clock.sleep(86_000)
            sent.append(await first_minute(table, clock))
            await clock.sleep(600)
            return [*sent, await first_minute(table, clock)]

        assert run(main) == [5, 5, 150]

    def test_is_forgotten_by_whoever_is_told_of_more_than_it_was_learnt_under(self):
        async def first_minute(table, told):
            process = Process(table, told, [])
            now = asyncio.get_running_loop().time()
            process.start(8, steadily(0.2), now + 59)
            await process.end()
            await process.clock.sleep(120)
            return process.sent_between(now, now + 59)

        async def main(clock):
            table = MemoryTable(clock, 0.001)
            now = table.ahead + clock.monotonic()
            table.shares.refusals.learnt = Learnt(Terms(5, 60.06), 150 / (60 * MARGIN), now)
            return [await first_minute(table, told) for told in (150, 100, 160, 150)]

        assert run(main) == [5, 5, 160, 150]


class TestWithoutTheTable:
    def lost(self, limit, processes, *, after, until, seconds):
        """Processes whose table is lost for some time, and the warnings and notes of all."""

        async def main(clock):
            table, arrivals = MemoryTable(clock, 0.01), []
            started = [Process(table, limit, arrivals) for _ in range(processes)]
            for process in started:
                process.start(8, steadily(0.2), seconds)
            await clock.sleep(after)
            table.lost = True
            await clock.sleep(until - after)
            table.lost = False
            for process in started:
                await process.end()
            return started

        return run(main)

    def test_a_process_alone_goes_on_with_the_whole_limit(self, caplog):
        caplog.set_level(logging.INFO)
        (process,) = self.lost(30, 1, after=90, until=290, seconds=410)

        assert [process.sent_between(60 * n, 60 * n + 60) for n in range(6)] == [30] * 6
        assert [(record.levelname, record.message[:40]) for record in caplog.records] == [
            ("WARNING", "the rate budget cannot be shared, this p"),
            ("INFO", "the rate budget is shared again"),
        ]

    def test_who_leaves_meanwhile_does_not_say_that_it_goes_on(self, caplog):
        async def main(clock):
            table = MemoryTable(clock)
            budget = SharedBudget(table, 30, clock)
            async with budget.request(DEADLINE):
                pass
            table.lost = True
            await budget.leave()

        run(main)
        assert not caplog.records

    def test_several_keep_to_their_shares(self):
        started = self.lost(30, 2, after=90, until=500, seconds=700)
        arrivals = [moment for _, moment in started[0].arrivals]

        assert most_in_any(60.0, arrivals) == 30
        for begin in (270, 330, 390, 640):
            assert sum(begin <= moment < begin + 60 for moment in arrivals) >= 27

    def test_who_never_could_ask_has_half(self):
        (process,) = self.lost(30, 1, after=0, until=100, seconds=50)

        assert process.sent_between(0, 50) == 15


@pytest.mark.parametrize("processes", [1, 2])
def test_a_clock_of_the_table_that_is_set_back_holds_nobody_up(processes):
    arrivals = []

    async def main(clock):
        table = MemoryTable(clock, 0.001)
        started = [Process(table, 10, arrivals) for _ in range(processes)]
        for process in started:
            process.start(4, steadily(0.2), 600)
        for _ in range(3):
            await clock.sleep(65)
            table.ahead -= 86_400
        for process in started:
            await process.end()

    run(main)
    moments = [moment for _, moment in arrivals]
    assert most_in_any(60.0, moments) == 10
    assert len(moments) >= 0.95 * 10 * 10


def test_a_pause_ends_in_its_time_when_the_clock_of_the_table_is_set_back():
    async def main(clock):
        table = MemoryTable(clock, 0.001)
        process = Process(table, 160, [])
        process.start(4, steadily(0.2), 1000)
        await clock.sleep(100)
        with pytest.raises(RateLimited):
            async with process.budget.request(DEADLINE):
                raise RateLimited("", retry_after_seconds=30)
        at = clock.monotonic()
        await clock.sleep(2)
        table.ahead -= 86_400
        await process.end()
        return process.sent_between(at + 2, at + 29), process.sent_between(at + 700, at + 760)

    assert run(main) == (0, 160)


def test_the_run_ends_before_one_request_too_many():
    async def main(clock):
        budget, sent_at = SharedBudget(MemoryTable(clock), 10, clock, max_requests=3), []

        async def one():
            async with budget.request(DEADLINE):
                sent_at.append(clock.monotonic())

        results = await asyncio.gather(*(one() for _ in range(5)), return_exceptions=True)
        return budget.sent, [type(result) for result in results]

    assert run(main) == (3, [type(None)] * 3 + [BudgetSpent] * 2)


def test_a_waiter_that_is_cancelled_holds_up_nobody():
    async def main(clock):
        budget, sent_at = SharedBudget(MemoryTable(clock, 0.01), 1, clock), []

        async def one():
            async with budget.request(DEADLINE):
                sent_at.append(clock.monotonic())

        await one()
        first, second = (asyncio.ensure_future(one()) for _ in range(2))
        await clock.sleep(1)
        first.cancel()
        await second
        return sent_at

    assert [round(moment) for moment in run(main)] == [0, 60]


def test_the_state_for_the_progress_line():
    async def main(clock):
        budget = SharedBudget(MemoryTable(clock), 10, clock)
        assert budget.left_now == 10
        states = []
        for _ in range(10):
            async with budget.request(DEADLINE):
                pass
            states.append((budget.limit, budget.left_now, round(budget.wait_seconds), budget.pause_seconds))
        return states

    states = run(main)
    assert states[0] == (10, 9, 0, 0)
    assert states[4] == (10, 5, 0, 0)
    assert states[9] == (10, 0, 60, 0)


class TestInPostgres:
    """The row itself, on a server."""

    async def sends(self, budget, count):
        """Seconds until *count* requests were sent."""
        clock = SystemClock()
        begun = clock.monotonic()
        for _ in range(count):
            async with budget.request(1.0):
                pass
        return clock.monotonic() - begun

    @pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
    async def test_two_processes_share_and_the_next_one_finds_what_they_used(self, database_url, database):
        clock = SystemClock()
        async with (
            open_url(database_url) as of_second,
            shared_budget(database, KEY, 20, clock, window_seconds=1.0) as first,
            shared_budget(of_second, KEY, 20, clock, window_seconds=1.0) as second,
        ):
            both = asyncio.gather(self.sends(first, 20), self.sends(second, 20))
            assert 1.0 < max(await both) < 2.0
        async with shared_budget(database, KEY, 20, clock, window_seconds=1.0) as third:
            assert await self.sends(third, 15) > 0.5

    async def test_other_keys_have_budgets_of_their_own_and_no_key_is_kept(self, database):
        clock = SystemClock()
        async with shared_budget(database, KEY, 5, clock, window_seconds=5.0) as budget:
            await self.sends(budget, 5)
        async with shared_budget(database, Secret("another"), 5, clock, window_seconds=5.0) as budget:
            assert await self.sends(budget, 5) < 3

        async with database.connection() as connection:
            rows = await connection.fetch("SELECT b::text FROM rate_budget b")
            hashes = await connection.fetch("SELECT key_hash FROM rate_budget")
            await connection.execute("UPDATE rate_budget_salt SET salt = 'other'")
        assert len(rows) == 2
        assert not any(KEY.reveal() in str(row) or KEY.reveal().encode().hex() in str(row) for row in rows)
        assert [len(row["key_hash"]) for row in hashes] == [32, 32]
        async with shared_budget(database, KEY, 5, clock, window_seconds=5.0) as budget:
            assert await self.sends(budget, 5) < 3  # hashed otherwise: another row

    async def test_who_read_an_older_state_may_not_write(self, database):
        first, second = (PostgresTable(database, KEY, SystemClock()) for _ in range(2))
        for _ in range(2):
            seen, same = await first.read(), await second.read()
            assert await first.write(seen)
            assert not await second.write(same)
        assert await second.write(await second.read())

    async def test_nothing_is_asked_before_the_first_request(self, database):
        async with shared_budget(database, KEY, 5, SystemClock()):
            pass
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM rate_budget") == 0

    async def test_a_database_that_is_gone_is_gone_without_and_found_again(
        self, database_url, database, postgres, caplog
    ):
        def said():
            return [r.levelname for r in caplog.records if r.name == "lib.store.shared_budget"]

        caplog.set_level(logging.INFO, "lib.store.shared_budget")
        name = urlsplit(database_url).path[1:]
        async with shared_budget(database, KEY, 60, SystemClock(), window_seconds=1.0) as budget:
            await self.sends(budget, 10)
            postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres.sql(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            assert await self.sends(budget, 100) < 5
            assert said() == ["WARNING"]
            assert "cannot be shared" in caplog.text and name in caplog.text

            postgres.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await self.sends(budget, 100)
            assert said() == ["WARNING", "INFO"]

        connection = await asyncpg.connect(database_url)
        try:
            assert await connection.fetchval("SELECT shares->'holders' FROM rate_budget") == "{}"
        finally:
            await connection.close()

    async def test_a_database_that_does_not_answer_holds_nobody_up(self, database, monkeypatch, caplog):
        monkeypatch.setattr("lib.store.shared_budget._PATIENCE_SECONDS", 0.2)
        table = PostgresTable(database, KEY, SystemClock())
        assert await table.write(await table.read())
        async with database.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE rate_budget")
            async with shared_budget(database, KEY, 10, SystemClock(), window_seconds=1.0) as budget:
                assert await self.sends(budget, 5) < 2
        assert "no answer in time from the database" in caplog.text

    async def test_a_row_of_another_version_of_the_toolkit_is_left_alone(self, database, caplog):
        table = PostgresTable(database, KEY, SystemClock())
        assert await table.write(await table.read())
        async with database.connection() as connection:
            await connection.execute("""UPDATE rate_budget SET shares = '{"free": "yes"}'""")
        with pytest.raises(DatabaseError, match="another version"):
            await table.read()
        async with shared_budget(database, KEY, 10, SystemClock(), window_seconds=1.0) as budget:
            await self.sends(budget, 10)
        assert "another version" in caplog.text
