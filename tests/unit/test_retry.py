import logging
from datetime import UTC, datetime

import pytest

from lib.errors import (
    AnswerInvalid,
    BudgetSpent,
    ConnectionFailed,
    KeyRefused,
    NotEntitled,
    NotFound,
    RateLimited,
    RateLimitPersists,
    RequestRejected,
    RequestTimedOut,
    ServiceFailed,
)
from lib.retry import RetryPolicy, persist


class RecordingClock:
    """Waiting takes no time and is written down."""

    def __init__(self):
        self.waits = []

    def now(self):
        return datetime(2025, 6, 2, tzinfo=UTC)

    def monotonic(self):
        return 0.0

    async def sleep(self, seconds):
        self.waits.append(seconds)


class Attempts:
    """Fails with each of *errors* in turn, then succeeds; *told* is what was announced before each retry.

    *outages*: the numbers of the failures that are the vendor's as a whole.
    """

    def __init__(self, *errors, policy=None, pause=5.0, chance=0.0, outages=()):
        self.errors = list(errors)
        self.policy = policy or RetryPolicy()
        self.pause = pause
        self.chance = chance
        self.outages = outages
        self.clock = RecordingClock()
        self.calls = 0
        self.told = []

    async def send(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def waited_out(self, error):
        return self.calls in self.outages

    async def run(self):
        return await persist(
            self.send,
            policy=self.policy,
            clock=self.clock,
            pause_seconds=lambda: self.pause,
            waited_out=self.waited_out,
            on_retry=lambda error, seconds: self.told.append((error, seconds)),
            chance=lambda: self.chance,
        )


async def test_success_at_once_waits_for_nothing():
    attempts = Attempts()

    assert await attempts.run() == "answer"
    assert (attempts.calls, attempts.clock.waits) == (1, [])


async def test_five_tries_wait_one_two_four_eight_seconds():
    attempts = Attempts(*(ServiceFailed(str(n)) for n in range(9)))

    with pytest.raises(ServiceFailed, match="4"):
        await attempts.run()
    assert (attempts.calls, attempts.clock.waits) == (5, [1, 2, 4, 8])


async def test_more_tries_double_to_five_minutes():
    attempts = Attempts(*(ServiceFailed() for _ in range(20)), policy=RetryPolicy(max_attempts=13))

    with pytest.raises(ServiceFailed):
        await attempts.run()
    assert attempts.clock.waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


async def test_a_very_long_series_of_tries_has_a_finite_wait():
    assert RetryPolicy().wait_seconds(5000) == 300


@pytest.mark.parametrize(
    ("chance", "waits"), [(0.0, [1, 2]), (0.5, [1.125, 2.25]), (0.999, [1.24975, 2.4995])]
)
async def test_jitter_lengthens_a_wait_by_up_to_a_quarter(chance, waits):
    attempts = Attempts(ServiceFailed(), ServiceFailed(), chance=chance)

    await attempts.run()
    assert attempts.clock.waits == pytest.approx(waits)


async def test_jitter_does_not_exceed_the_longest_wait():
    assert RetryPolicy().wait_seconds(20, chance=0.9) == 300


async def test_the_jitter_differs_from_try_to_try():
    waits = []
    for _ in range(20):
        attempts = Attempts(ServiceFailed())
        await persist(
            attempts.send,
            policy=attempts.policy,
            clock=attempts.clock,
            pause_seconds=lambda: 0.0,
            waited_out=attempts.waited_out,
            on_retry=lambda error, seconds: None,
        )
        waits += attempts.clock.waits

    assert len(set(waits)) > 10
    assert all(1 <= wait <= 1.25 for wait in waits)


@pytest.mark.parametrize(("asked", "waited"), [(7.5, 7.5), (0.2, 1.0), (3600.0, 300.0)])
async def test_retry_after_of_a_failed_service_is_honoured(asked, waited):
    attempts = Attempts(ServiceFailed(retry_after_seconds=asked))

    await attempts.run()
    assert attempts.clock.waits == [waited]


@pytest.mark.parametrize("error", [ServiceFailed, RequestTimedOut, ConnectionFailed, AnswerInvalid])
async def test_what_may_pass_is_tried_again(error):
    attempts = Attempts(error("one"), error("two"))

    assert await attempts.run() == "answer"
    assert attempts.calls == 3
    assert [(str(told), wait) for told, wait in attempts.told] == [("one", 1), ("two", 2)]


@pytest.mark.parametrize(
    "error", [KeyRefused, NotEntitled, NotFound, RequestRejected, BudgetSpent, ValueError]
)
async def test_what_will_not_pass_is_never_tried_again(error):
    attempts = Attempts(error("no"))

    with pytest.raises(error, match="no"):
        await attempts.run()
    assert (attempts.calls, attempts.clock.waits) == (1, [])


async def test_a_429_is_no_failed_try_and_the_waiting_is_the_budgets():
    attempts = Attempts(*(RateLimited() for _ in range(7)), policy=RetryPolicy(max_attempts=1))

    assert await attempts.run() == "answer"
    assert (attempts.calls, attempts.clock.waits) == (8, [])
    assert [wait for _, wait in attempts.told] == [5.0] * 7


async def test_pauses_for_429_have_their_own_bound_over_all_tries():
    limited = [RateLimited("HTTP 429") for _ in range(90)]
    attempts = Attempts(*limited[:40], ServiceFailed(), *limited[40:])

    with pytest.raises(RateLimitPersists, match="HTTP 429; 300 s of waiting did not help") as caught:
        await attempts.run()
    assert attempts.calls == 60 + 1 + 1  # 60 pauses of 5 s, one failure between them, and the 61st 429
    assert isinstance(caught.value.__cause__, RateLimited)


async def test_a_pause_beyond_the_bound_is_not_even_begun():
    attempts = Attempts(RateLimited(), pause=301.0)

    with pytest.raises(RateLimitPersists, match="301 s more would exceed the bound of 300 s"):
        await attempts.run()
    assert attempts.calls == 1


async def test_429s_that_ask_for_no_pause_come_to_an_end():
    attempts = Attempts(*(RateLimited() for _ in range(1000)), pause=0.0)

    with pytest.raises(RateLimitPersists):
        await attempts.run()
    assert attempts.calls == 61
    assert [wait for _, wait in attempts.told] == [0.0] * 60


async def test_nothing_is_logged_by_the_retry_itself(caplog):
    caplog.set_level(logging.DEBUG)
    await Attempts(ServiceFailed("one")).run()

    assert caplog.text == ""


async def test_an_outage_of_the_vendor_is_no_failed_try_and_the_tries_before_it_are_forgotten():
    failures = [ServiceFailed(str(n)) for n in range(12)]
    attempts = Attempts(*failures, outages=(4, 5, 6, 7))

    with pytest.raises(ServiceFailed, match="11"):
        await attempts.run()
    assert attempts.calls == 12
    assert attempts.clock.waits == [1, 2, 4, 1, 2, 4, 8]
