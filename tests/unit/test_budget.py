"""The rate budget, on an event loop whose time jumps to the next timer: hours pass in milliseconds."""

import asyncio
import random
import selectors
from bisect import bisect_left
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.budget import Budget
from lib.clock import ScaledClock
from lib.errors import BudgetSpent, ConnectionFailed, RateLimited, RequestTimedOut, ServiceFailed, UsageError

DEADLINE = 30.0


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait for the next timer: moves *elapsed* to it."""

    elapsed = 0.0

    def select(self, timeout=None):
        if timeout:
            self.elapsed += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self):
        return self.selector.elapsed


class LoopClock:
    """The clock of a JumpingLoop."""

    def now(self):
        return datetime.fromtimestamp(self.monotonic(), UTC)

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


def run(main):
    """Run *main* with a clock on a loop that jumps; its result."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main(LoopClock()))


async def send(budget, clock, sent_at, latency=0.0, error=None):
    async with budget.request(DEADLINE):
        sent_at.append(clock.monotonic())
        await clock.sleep(latency)
        if error:
            raise error


def moments(per_minute, count, *, latency=0.0, concurrency=1000, **options):
    """When *count* requests asked for at once are sent."""

    async def main(clock):
        budget, sent_at = Budget(per_minute, clock, **options), []
        tasks = asyncio.Semaphore(concurrency)

        async def one():
            async with tasks:
                await send(budget, clock, sent_at, latency)

        await asyncio.gather(*(one() for _ in range(count)))
        return sent_at

    return run(main)


def most_in_any(window, arrivals):
    """How many of *arrivals* the fullest stretch of *window* seconds holds, its end excluded."""
    arrivals = sorted(arrivals)
    return max(bisect_left(arrivals, first + window) - at for at, first in enumerate(arrivals))


def test_150_go_out_at_once_and_the_151st_a_minute_after_the_first_answer():
    sent_at = moments(150, 301, latency=0.3)

    assert sent_at[149] == 0.0
    assert sent_at[150] == pytest.approx(60.3, abs=0.1)
    assert sent_at[150] >= 60.3
    assert sent_at[299] == pytest.approx(60.3, abs=0.1)
    assert sent_at[300] == pytest.approx(120.6, abs=0.2)


def test_a_paid_plan_is_kept_to_100_in_any_second():
    sent_at = moments(0, 1000, latency=0.02)

    assert most_in_any(1.0, sent_at) == 100
    assert sent_at[-1] == pytest.approx(9 * 1.02, rel=0.01)


def test_a_negative_limit_is_no_limit_at_all():
    with pytest.raises(UsageError, match="-1"):
        Budget(-1, LoopClock())


latencies = st.lists(st.floats(0.001, 40.0), min_size=1, max_size=6)
outcomes = st.lists(
    st.sampled_from(["ok", "ok", "ok", "slow", "failed", "reset", "limited", "timeout", "cancel"]), min_size=1
)


@settings(max_examples=150)
@given(
    limit=st.integers(1, 40),
    concurrency=st.integers(1, 60),
    latencies=latencies,
    outcomes=outcomes,
    seed=st.integers(0, 2**32),
)
def test_no_window_of_the_vendor_holds_more_than_the_limit(limit, concurrency, latencies, outcomes, seed):
    """The vendor counts a request when it arrives, at any moment between its sending and its answer.

    A request that timed out or was cancelled may arrive until its deadline.
    """
    chance = random.Random(seed)
    arrivals = []

    async def one(budget, clock, outcome):
        latency = chance.choice(latencies) * chance.random()
        async with budget.request(DEADLINE):
            sent = clock.monotonic()
            if outcome in ("timeout", "cancel"):
                arrivals.append(sent + chance.random() * DEADLINE)
                await clock.sleep(DEADLINE if outcome == "timeout" else chance.random() * DEADLINE)
                raise RequestTimedOut if outcome == "timeout" else asyncio.CancelledError
            arrivals.append(sent + chance.random() * latency)
            await clock.sleep(latency)
            if outcome != "ok":
                errors = {"failed": ServiceFailed, "reset": ConnectionFailed, "limited": RateLimited}
                raise errors.get(outcome, ServiceFailed)("")

    async def worker(budget, clock, count):
        for _ in range(count):
            try:
                await one(budget, clock, chance.choice(outcomes))
            except (ServiceFailed, ConnectionFailed, RateLimited, RequestTimedOut, asyncio.CancelledError):
                await clock.sleep(chance.random())

    async def main(clock):
        budget = Budget(limit, clock)
        per_worker = 5 * limit // concurrency + 1
        await asyncio.gather(*(worker(budget, clock, per_worker) for _ in range(concurrency)))

    run(main)
    assert most_in_any(60.0, arrivals) <= limit


@settings(max_examples=60)
@given(
    limit=st.integers(5, 200),
    latency=st.floats(0.01, 1.0),
    headroom=st.integers(2, 30),
    seed=st.integers(0, 2**32),
)
def test_nothing_of_the_limit_is_left_unused(limit, latency, headroom, seed):
    chance = random.Random(seed)
    minutes = 10

    async def main(clock):
        budget, sent_at = Budget(limit, clock), []

        async def worker():
            while clock.monotonic() < minutes * 60:
                await send(budget, clock, sent_at, chance.random() * latency)

        await asyncio.gather(*(worker() for _ in range(headroom)))
        return sent_at

    sent = sum(1 for moment in run(main) if moment < minutes * 60)
    assert sent >= 0.95 * limit * minutes


def test_400_requests_at_150_a_minute_take_two_minutes():
    sent_at = moments(150, 400, latency=0.2, concurrency=6)

    assert 120 < sent_at[-1] <= 1.05 * 120


def test_the_limit_holds_on_a_scaled_clock():
    async def main():
        clock = ScaledClock(speed=300.0)
        budget, sent_at = Budget(20, clock), []
        await asyncio.gather(*(send(budget, clock, sent_at, 0.5) for _ in range(70)))
        return sent_at

    sent_at = asyncio.run(main())
    assert most_in_any(60.0, sent_at) == 20
    assert sent_at[-1] < 60.5 * 3 + 30


def test_slots_are_granted_in_the_order_they_were_asked_for():
    async def main(clock):
        budget, order = Budget(2, clock), []

        async def one(number):
            await clock.sleep(number)
            async with budget.request(DEADLINE):
                order.append(number)

        await asyncio.gather(*(one(number) for number in reversed(range(9))))
        return order

    assert run(main) == list(range(9))


def test_waiting_costs_no_work():
    async def main(clock):
        waits = []
        sleep = clock.sleep

        async def counted(seconds):
            waits.append(seconds)
            await sleep(seconds)

        budget, sent_at = Budget(10, clock), []
        clock.sleep = counted
        async with asyncio.TaskGroup() as group:
            for _ in range(110):
                group.create_task(send(budget, clock, sent_at))
        return len(waits) - 110  # each request sleeps once on the wire

    assert run(main) <= 2 * 10


def test_a_waiter_that_is_cancelled_holds_up_nobody():
    async def main(clock):
        budget, sent_at = Budget(1, clock), []
        await send(budget, clock, sent_at)
        first, second = (asyncio.ensure_future(send(budget, clock, sent_at)) for _ in range(2))
        await clock.sleep(1)
        first.cancel()
        await second
        return budget.sent, sent_at

    sent, sent_at = run(main)
    assert sent == 2
    assert sent_at == [0.0, pytest.approx(60, abs=0.1)]


@pytest.mark.parametrize(
    ("error", "held_until"),
    [
        (None, 70),
        (ServiceFailed(""), 70),
        (ConnectionFailed(""), 70),
        (RequestTimedOut(""), 90),
        (asyncio.CancelledError(), 90),
        (ValueError(""), 90),
    ],
)
def test_a_slot_is_held_a_minute_from_the_answer_or_from_the_deadline(error, held_until):
    async def main(clock):
        budget, sent_at = Budget(1, clock), []
        with pytest.raises(type(error)) if error else nullcontext():
            await send(budget, clock, sent_at, latency=10, error=error)
        await send(budget, clock, sent_at)
        return sent_at

    assert run(main)[1] == pytest.approx(held_until, abs=0.1)


def test_the_run_ends_before_one_request_too_many():
    async def main(clock):
        budget, sent_at = Budget(2, clock, max_requests=3), []
        results = await asyncio.gather(
            *(send(budget, clock, sent_at) for _ in range(6)), return_exceptions=True
        )
        return budget.sent, results

    sent, results = run(main)
    assert sent == 3
    assert [type(result) for result in results[3:]] == [BudgetSpent] * 3
    assert "3 requests sent" in str(results[-1])


def test_no_request_at_all_may_be_allowed():
    async def main(clock):
        with pytest.raises(BudgetSpent):
            await send(Budget(2, clock, max_requests=0), clock, [])

    run(main)


def test_the_state_for_the_progress_line():
    async def main(clock):
        budget, sent_at = Budget(3, clock), []
        states = [(budget.left_now, budget.wait_seconds, budget.pause_seconds)]
        async with budget.request(DEADLINE):
            states.append((budget.left_now, budget.wait_seconds, budget.pause_seconds))
        await send(budget, clock, sent_at)
        await send(budget, clock, sent_at)
        states.append((budget.left_now, round(budget.wait_seconds), budget.pause_seconds))
        await clock.sleep(61)
        states.append((budget.left_now, budget.wait_seconds, budget.pause_seconds))
        return states

    assert run(main) == [(3, 0, 0), (2, 0, 0), (0, 60, 0), (3, 0, 0)]


async def limited(budget, clock, sent_at, retry_after=None, latency=0.0):
    with pytest.raises(RateLimited):
        await send(budget, clock, sent_at, latency, RateLimited("", retry_after_seconds=retry_after))


def test_a_429_pauses_everybody():
    async def main(clock):
        budget, sent_at = Budget(100, clock), []
        await limited(budget, clock, sent_at)
        await asyncio.gather(*(send(budget, clock, sent_at) for _ in range(3)))
        return sent_at

    assert run(main) == [0, 5, 5, 5]


def test_the_pause_grows_while_nothing_succeeds_and_begins_anew_after_a_success():
    async def main(clock):
        budget, sent_at = Budget(1000, clock), []
        for _ in range(6):
            await limited(budget, clock, sent_at)
        await send(budget, clock, sent_at)
        await limited(budget, clock, sent_at)
        await send(budget, clock, sent_at)
        return [later - sooner for sooner, later in pairwise(sent_at)]

    assert run(main) == pytest.approx([5, 10, 20, 40, 60, 60, 0, 5])


@pytest.mark.parametrize(("asked", "waited"), [(17.0, 17), (0.0, 0), (100_000.0, 300)])
def test_retry_after_decides_the_pause_within_reason(asked, waited):
    async def main(clock):
        budget, sent_at = Budget(100, clock), []
        await limited(budget, clock, sent_at, asked)
        await send(budget, clock, sent_at)
        return sent_at

    assert run(main)[1] == pytest.approx(waited)


def test_a_burst_of_429s_counts_once():
    async def main(clock):
        budget, sent_at = Budget(160, clock), []
        await asyncio.gather(*(limited(budget, clock, sent_at, latency=0.1 * n) for n in range(10)))
        await send(budget, clock, sent_at)
        return budget.capacity, budget.rate_limited_count, sent_at[-1]

    assert run(main) == (80, 10, pytest.approx(5))


def test_a_success_of_a_request_sent_before_the_429_proves_nothing():
    async def main(clock):
        budget, sent_at = Budget(1000, clock), []
        async with asyncio.TaskGroup() as group:
            group.create_task(send(budget, clock, sent_at, 2))
            group.create_task(limited(budget, clock, sent_at))
        await limited(budget, clock, sent_at)
        await send(budget, clock, sent_at)
        return sent_at

    assert run(main) == [0, 0, 5, 15]


def test_the_capacity_halves_once_a_window_has_a_floor_and_comes_back_step_by_step():
    async def main(clock):
        budget = Budget(160, clock)
        capacities = []
        for _ in range(12):
            await limited(budget, clock, [])
            capacities.append(budget.capacity)
        await clock.sleep(budget.pause_seconds)
        recovered = []
        for _ in range(11):
            await clock.sleep(60.1)
            await send(budget, clock, [])
            recovered.append(budget.capacity)
        return capacities, recovered

    capacities, recovered = run(main)
    assert capacities == [80] * 4 + [40, 40, 20, 20, 10, 10, 10, 10]
    assert recovered == [26, 42, 58, 74, 90, 106, 122, 138, 154, 160, 160]


def test_a_waiter_is_woken_when_capacity_comes_back():
    async def main(clock):
        budget, sent_at = Budget(2, clock), []
        async with asyncio.TaskGroup() as group:
            group.create_task(send(budget, clock, [], latency=500))
            await limited(budget, clock, [])
            await clock.sleep(30)
            await send(budget, clock, sent_at)
        return sent_at

    assert run(main) == [pytest.approx(65, abs=0.1)]  # a pause of 5 s and a minute without a 429


def test_a_slowed_pace_is_kept_and_then_left():
    async def main(clock):
        budget, sent_at = Budget(10, clock), []
        await limited(budget, clock, sent_at)
        await asyncio.gather(*(send(budget, clock, sent_at) for _ in range(40)))
        return sent_at

    in_minutes = [0] * 6
    for moment in run(main):
        in_minutes[int(moment // 60.1)] += 1
    # Half of 10, and the first slot again just after its minute; then one more in each minute.
    assert in_minutes == [5 + 1, 6, 7, 8, 9, 5]
