"""Trying again: what is tried again, how often, and how long one waits. The only import of tenacity."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
)

from lib.clock import Clock
from lib.errors import RateLimited, RateLimitPersists, ServiceFailed, TransientVendorError

T = TypeVar("T")

# A 429 counts at least this much against its bound, so that a vendor that asks for no wait at all
# cannot keep a request going for ever: 60 of them at most, of which a slowed pace still makes some minutes.
_LEAST_COUNTED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patiently one request is repeated.

    *max_attempts* counts the first try too. The wait doubles from *first_wait_seconds* and is lengthened
    by a random share of itself, at most *jitter*; it never exceeds *longest_wait_seconds*.
    *rate_limit_bound_seconds*: how much pausing after 429 answers one request goes through.
    """

    max_attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 300.0
    jitter: float = 0.25
    rate_limit_bound_seconds: float = 300.0

    def wait_seconds(self, failures: int, chance: float = 0.0, asked_seconds: float = 0.0) -> float:
        """The wait after the *failures*-th failed try, at least what the vendor asked for.

        *chance* in [0, 1) decides the jitter.
        """
        doubled = self.first_wait_seconds * 2.0 ** min(failures - 1, 60)
        jittered = doubled * (1.0 + self.jitter * chance)
        return min(max(jittered, asked_seconds), self.longest_wait_seconds)


# How a database is waited for: it is often back at once, and asking it costs nothing.
AWAY = RetryPolicy(first_wait_seconds=0.1, longest_wait_seconds=5.0)


async def persist(
    send: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Clock,
    pause_seconds: Callable[[], float],
    waited_out: Callable[[TransientVendorError], Awaitable[bool]],
    on_retry: Callable[[TransientVendorError, float], None],
    chance: Callable[[], float] = random.random,
) -> T:
    """What *send* returns, called again after a TransientVendorError until the policy is exhausted.

    A RateLimited is no failed try: *send* is called again at once, because the rate budget inside it has
    already stopped every sender. *pause_seconds*: how long that stop lasts from now.
    Nor is a failure of which *waited_out* says that it is the vendor's as a whole: *send* waits for its end,
    and the tries are counted anew. *on_retry* is told the error and the seconds to wait before each
    further try.

    Raises RateLimitPersists when the pauses exceed their bound, else the last error of *send*.
    """
    tries = _Tries(policy.rate_limit_bound_seconds, pause_seconds, waited_out, on_retry)

    def wait(state: RetryCallState) -> float:
        return policy.wait_seconds(tries.failed, chance(), _asked_seconds(_error(state)))

    retrying = AsyncRetrying(
        sleep=clock.sleep,
        stop=lambda _: tries.failed >= policy.max_attempts,
        wait=wait,
        retry=retry_if_exception_type(TransientVendorError),
        before_sleep=lambda state: on_retry(_error(state), state.upcoming_sleep),
        reraise=True,
    )
    return await retrying(tries.send, send)


async def repeat(
    send: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Clock,
    again: Callable[[BaseException], bool],
    chance: Callable[[], float] = random.random,
) -> T:
    """What *send* returns, called again while it raises what *again* thinks may pass, as often as *policy* allows.

    Raises the last error of *send*.
    """

    async def attempt() -> T:
        return await send()

    retrying = AsyncRetrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(policy.max_attempts),
        wait=lambda state: policy.wait_seconds(state.attempt_number, chance()),
        retry=retry_if_exception(again),
        reraise=True,
    )
    return await retrying(attempt)


async def outlast(
    work: Callable[[], Awaitable[T]],
    *,
    passing: tuple[type[Exception], ...],
    patience_seconds: Callable[[], float],
    clock: Clock,
    on_retry: Callable[[Exception], None],
    chance: Callable[[], float] = random.random,
) -> T:
    """What *work* returns, done again after an error of *passing* until the patience is at its end.

    *patience_seconds* is asked after each failure and counts from the first one: *work* itself may take long.
    *on_retry* is told the error before each further try. Raises the last error of *work*.
    """
    failed_at: list[float] = []

    def stop(_: RetryCallState) -> bool:
        failed_at.append(clock.monotonic())
        return failed_at[-1] - failed_at[0] >= patience_seconds()

    def wait(state: RetryCallState) -> float:
        return AWAY.wait_seconds(state.attempt_number, chance())

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        assert isinstance(error, Exception)
        on_retry(error)

    retrying = AsyncRetrying(
        sleep=clock.sleep,
        stop=stop,
        wait=wait,
        retry=retry_if_exception_type(passing),
        before_sleep=tell,
        reraise=True,
    )
    return await retrying(work)


class _Tries:
    """The tries of one request: those that *failed* by themselves, and the pauses after its 429 answers."""

    def __init__(
        self,
        bound_seconds: float,
        pause_seconds: Callable[[], float],
        waited_out: Callable[[TransientVendorError], Awaitable[bool]],
        on_retry: Callable[[TransientVendorError, float], None],
    ) -> None:
        self._bound_seconds = bound_seconds
        self._pause_seconds = pause_seconds
        self._waited_out = waited_out
        self._on_retry = on_retry
        self._paused_seconds = 0.0
        self.failed = 0

    async def send(self, send: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await send()
            except RateLimited as limited:
                self._on_retry(limited, self._next_pause(limited))
            except TransientVendorError as error:
                if not await self._waited_out(error):
                    self.failed += 1
                    raise
                self.failed = 0

    def _next_pause(self, limited: RateLimited) -> float:
        pause = self._pause_seconds()
        counted = max(pause, _LEAST_COUNTED_SECONDS)
        if self._paused_seconds + counted > self._bound_seconds:
            raise RateLimitPersists(
                f"{limited}; {self._paused_seconds:.0f} s of waiting did not help, "
                f"{counted:.0f} s more would exceed the bound of {self._bound_seconds:.0f} s"
            ) from limited
        self._paused_seconds += counted
        return pause


def _error(state: RetryCallState) -> TransientVendorError:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, TransientVendorError)
    return error


def _asked_seconds(error: TransientVendorError) -> float:
    return (error.retry_after_seconds or 0.0) if isinstance(error, ServiceFailed) else 0.0
