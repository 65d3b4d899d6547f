"""The rate budget of the key: the vendor's limit is the only pacing.

The law kept here: of any N+1 requests, the last is sent at least one window after the first was answered.
The vendor counts a request between its sending and its answer, so whatever the network does, no window of
the vendor's clock, sliding or fixed, holds more than N.
"""

import asyncio
from bisect import insort
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from lib.clock import Clock
from lib.errors import BudgetSpent, RateLimited, RequestTimedOut, UsageError, VendorError

WINDOW_SECONDS = 60.0
PAID_PER_SECOND = 100  # the vendor asks paid plans to stay under this
_PAID_WINDOW_SECONDS = 1.0
_MARGIN = 0.001  # share of a window by which the vendor's clock may run slower than ours
_LONGEST_PAUSE_SECONDS = 300.0  # whatever a Retry-After asks for
_FLOOR_SHARE = 16
_RECOVERY_STEPS = 10


class NotSent(Exception):
    """Raised in the block of a request by who found that it must not be sent after all."""


class RateBudget(Protocol):
    """Leave to send, shared by all who use the key."""

    def request(self, deadline_seconds: float) -> AbstractAsyncContextManager[None]:
        """Wait for a slot, hold it while one request is on the wire, free it a window after the answer.

        To be left when the answer has begun to arrive, or with the error that came instead. A RateLimited
        slows everybody. NotSent gives the slot back. A request that may still be under way (timed out,
        cancelled) holds its slot until a window after *deadline_seconds* from its start.

        Raises BudgetSpent instead of sending more than the run may.
        """
        ...

    def rate_limited(self, retry_after_seconds: float | None) -> None:
        """The vendor answered 429: everybody pauses and goes on more slowly."""
        ...

    @property
    def pause_seconds(self) -> float:
        """How long, from now, nobody sends because of a 429."""
        ...


class Budget:
    """The budget of one process.

    *per_minute*: the key's limit N in any *window_seconds*; 0 for a paid plan without one, which is kept
    to 100 in any second. *max_requests*: how many the run may send in all.

    A 429 pauses all senders for what its Retry-After says, else for a twelfth of the window, doubling up to
    a whole one while no answer in between is better. It also halves the capacity, at most once a window,
    down to N/16; each window without a 429 gives a tenth of N back.

    Slots are granted in the order they were asked for.

    *unlimited*: only the 100 in any second hold. *learnt*: the limit, if the vendor's refusals showed that it
    is less than *per_minute*. *others*, *most_others*: how many more processes share it, now and at most.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Clock,
        *,
        window_seconds: float = WINDOW_SECONDS,
        max_requests: int | None = None,
    ) -> None:
        if per_minute < 0:
            raise UsageError(
                f"a rate limit of {per_minute} cannot be used", hint="0 means a plan without a limit"
            )
        self.limit = per_minute or PAID_PER_SECOND
        self.capacity = self.limit
        self.unlimited = per_minute == 0
        self.learnt: int | None = None
        self.others = self.most_others = 0
        self.sent = 0
        self.rate_limited_count = 0
        self._clock = clock
        self._max_requests = max_requests
        self._window = (window_seconds if per_minute else _PAID_WINDOW_SECONDS) * (1.0 + _MARGIN)
        self._first_pause, self._longest_own_pause = window_seconds / 12, window_seconds
        self._turn = asyncio.Lock()
        self._on_the_wire = 0
        self._held_until: list[float] = []  # sorted
        self._paused_until = self._may_halve_at = self._recovers_at = -float("inf")
        self._strikes = 0

    @property
    def left_now(self) -> int:
        """How many requests could be sent at this moment, were nobody paused."""
        self._catch_up()
        return max(0, self.capacity - self._on_the_wire - len(self._held_until))

    @property
    def pause_seconds(self) -> float:
        """How long, from now, nobody sends because of a 429; 0 when nothing is paused."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    @property
    def wait_seconds(self) -> float:
        """How long the next request waits at least; 0 when it may go at once."""
        return self._until_next_slot()

    @asynccontextmanager
    async def request(self, deadline_seconds: float) -> AsyncIterator[None]:
        """See RateBudget."""
        await self._take_slot()
        sent_at = self._clock.monotonic()
        under_way_until = (
            sent_at + deadline_seconds
        )  # unless an answer, or a broken connection, ends it before
        was_sent = True
        try:
            yield
            under_way_until = sent_at
            self._answered_well(sent_at)
        except VendorError as error:
            if not isinstance(error, RequestTimedOut):
                under_way_until = sent_at
            if isinstance(error, RateLimited):
                self.rate_limited(error.retry_after_seconds)
            raise
        except NotSent:
            under_way_until, was_sent = sent_at, False
            self.sent -= 1
            raise
        finally:
            self._on_the_wire -= 1
            counts_until = max(under_way_until, self._clock.monotonic()) + self._window * was_sent
            insort(self._held_until, counts_until)

    def rate_limited(self, retry_after_seconds: float | None) -> None:
        """See RateBudget."""
        now = self._clock.monotonic()
        self.rate_limited_count += 1
        if now >= self._paused_until:  # else it is of the burst that is being waited out already
            self._strikes += 1
            self._halve(now)
            self._pause(
                now, self._own_pause_seconds() if retry_after_seconds is None else retry_after_seconds
            )
        elif retry_after_seconds is not None:
            self._pause(now, retry_after_seconds)
        self._recovers_at = self._paused_until + self._window

    def _own_pause_seconds(self) -> float:
        return min(self._first_pause * 2.0 ** min(self._strikes - 1, 10), self._longest_own_pause)

    def _pause(self, now: float, seconds: float) -> None:
        self._paused_until = max(self._paused_until, now + min(seconds, _LONGEST_PAUSE_SECONDS))

    def _halve(self, now: float) -> None:
        if now >= self._may_halve_at:
            self.capacity = max(1, self.limit // _FLOOR_SHARE, self.capacity // 2)
            self._may_halve_at = now + self._window

    def _answered_well(self, sent_at: float) -> None:
        if sent_at >= self._paused_until:  # an answer to something sent before the 429 says nothing about now
            self._strikes = 0

    async def _take_slot(self) -> None:
        async with self._turn:  # fair: first come, first served; only the first of the queue sleeps below
            self._check_spent()
            while (seconds := self._until_next_slot()) > 0:
                await self._clock.sleep(seconds)
            self.sent += 1
            self._on_the_wire += 1

    def _check_spent(self) -> None:
        if self._max_requests is not None and self.sent >= self._max_requests:
            raise BudgetSpent(f"{self.sent} requests sent: as many as --max-requests allows")

    def _until_next_slot(self) -> float:
        """Seconds after which it is worth looking again; 0 when a slot is free now."""
        now = self._catch_up()
        if now < self._paused_until:
            return self._paused_until - now
        to_be_freed = self._on_the_wire + len(self._held_until) - self.capacity
        if to_be_freed < 0:
            return 0.0
        moments = [now + self._window]  # what is on the wire cannot be freed before that
        if to_be_freed < len(self._held_until):
            moments.append(self._held_until[to_be_freed])
        if self.capacity < self.limit:
            moments.append(self._recovers_at)
        return min(moments) - now

    def _catch_up(self) -> float:
        """Free the slots whose time is over, give capacity back; the present moment."""
        now = self._clock.monotonic()
        while self._held_until and self._held_until[0] <= now:
            self._held_until.pop(0)
        while self.capacity < self.limit and self._recovers_at <= now:
            self.capacity = min(self.limit, self.capacity + max(1, self.limit // _RECOVERY_STEPS))
            self._recovers_at += self._window
        return now
