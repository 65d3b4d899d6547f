"""The client under its rate budget: 429 answers and the run's own limit."""

import pytest

from lib.budget import Budget
from lib.clock import ScaledClock
from lib.concurrency import run_bounded
from lib.errors import BudgetSpent, RateLimitPersists
from tests.vendor.asking import LIMITED, ONCE, PATH, answer, bar, read


async def test_a_429_is_waited_out_and_is_no_failed_try(vendor, open_client, aapl, clock):
    for _ in range(3):
        vendor.reply(LIMITED, status=429)
    vendor.reply(answer(bar(0)))
    async with open_client(policy=ONCE) as client:
        assert len(await read(client, aapl)) == 1

    assert clock.waits == [5.0, 10.0, 20.0]
    counters = client.counters
    assert (counters.total_requests, counters.rate_limited_count, counters.retries, counters.failed) == (
        4,
        3,
        0,
        0,
    )


async def test_retry_after_of_a_429_is_honoured(vendor, open_client, aapl, clock):
    vendor.reply(LIMITED, status=429, headers={"Retry-After": "33"})
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    assert clock.waits == [33.0]


async def test_a_429_that_persists_for_five_minutes_is_given_up(vendor, open_client, aapl, clock):
    for _ in range(20):
        vendor.reply(LIMITED, status=429)
    async with open_client() as client:
        with pytest.raises(RateLimitPersists) as caught:
            await read(client, aapl)

    assert 200 < sum(clock.waits) <= 300
    assert f"GET {PATH}: HTTP 429: You've exceeded" in str(caught.value)
    assert client.counters.failed == 1


async def test_a_429_slows_everybody_who_shares_the_budget(vendor, open_client, aapl, clock):
    vendor.reply(LIMITED, status=429)
    vendor.reply(answer(bar(0)))
    budget = Budget(1000, clock)
    async with open_client(budget=budget) as client:
        await read(client, aapl)

    assert (budget.capacity, budget.sent, budget.rate_limited_count) == (500, 2, 1)


async def test_one_429_in_five_loses_nothing_and_every_one_is_counted(vendor, open_client, aapl):
    for number in range(50):
        if number % 5 == 2:
            vendor.reply(LIMITED, status=429)
        else:
            vendor.reply(answer(bar(0)))
    clock = ScaledClock(speed=2000.0)
    async with open_client(clock=clock, budget=Budget(150, clock)) as client:
        pages = await run_bounded(range(40), lambda _: read(client, aapl), 6)

    assert [len(page.bars) for [page] in pages] == [1] * 40
    counters = client.counters
    assert (counters.total_requests, counters.rate_limited_count, counters.pages) == (50, 10, 40)


async def test_the_budget_of_requests_counts_retries_and_ends_the_reading(vendor, open_client, aapl, clock):
    for _ in range(5):
        vendor.reply(b"", status=500)
    async with open_client(budget=Budget(1000, clock, max_requests=3)) as client:
        with pytest.raises(BudgetSpent, match="3 requests sent"):
            await read(client, aapl)

    assert len(vendor.asked) == client.counters.total_requests == 3
    assert client.counters.failed == 0
