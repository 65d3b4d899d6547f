"""A circuit breaker: while the vendor is down nobody asks it but one probe now and then, and all wait.

Failures of single requests are not an outage, however often they come: a series or a symbol may be broken at
the vendor. So when several failures in a row make an outage likely, a witness is heard, a request for
something else that should always be had; only if that fails too the vendor is down.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from lib.clock import Clock
from lib.errors import RateLimited, ServiceFailed, TransientVendorError, VendorDown, VendorError

OPENS_AFTER = 5  # failures without an answer between them
PROBE_SECONDS = 30.0  # at least, from a failed probe to the next
_LONGEST_PROBE_SECONDS = 300.0  # whatever a Retry-After asks for

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Outage:
    """The vendor is down. *since*, *began*: when the first request failed, by both hands of the clock."""

    since: datetime
    began: float
    next_probe_at: float
    last_error: VendorError


class Breaker:
    """One vendor's, shared by all tasks that ask it.

    *longest_outage_seconds*: how long an outage is waited out, from its first failure; then all give up. 0:
    none is; failures remain those of the single requests.
    """

    def __init__(self, clock: Clock, *, longest_outage_seconds: float = 3600.0) -> None:
        self._clock = clock
        self._longest_seconds = longest_outage_seconds
        self._turn = (
            asyncio.Lock()
        )  # fair; held by who waits for the next probe, probes, or hears the witness
        self._failures = 0  # since the last answer
        self._first_failure: tuple[datetime, float] | None = None
        self._outage: _Outage | None = None
        self.outage_seconds = 0.0  # of the outages that are over

    @property
    def down_since(self) -> datetime | None:
        """When the present outage began; None if the vendor is not known to be down."""
        return self._outage.since if self._outage else None

    @property
    def seconds_to_probe(self) -> float:
        """Until the vendor is asked again; 0 while it is being asked, and without an outage."""
        return max(0.0, self._outage.next_probe_at - self._clock.monotonic()) if self._outage else 0.0

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[Callable[[], bool]]:
        """Wait until the vendor may be asked, and learn from how the one request in the block ends.

        Yields whether it may be sent now: to be asked again just before, for the vendor may have gone down
        in the meantime. What is raised after a False does not count.

        Raises VendorDown when the outage has become too long.
        """
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._turn)
            await self._wait_for_probe()
            probing = self._outage is not None
            if not probing:
                await turn.aclose()
            try:
                yield lambda: probing or not self._doubtful
            except VendorError as error:
                self._judge(error, probing=probing)
                raise
            self._answered(probing=probing)

    async def confirms(self, witness: Callable[[], Awaitable[object]]) -> bool:
        """Whether a failure just seen is one of the vendor as a whole, so that ``attempt`` will wait.

        *witness*: sends a request for something else; called only if that has to be found out.
        """
        if self._outage is None and self._failures >= OPENS_AFTER:
            async with self._turn:
                if self._outage is None and self._failures >= OPENS_AFTER:
                    await self._hear(witness)
        return self._outage is not None

    @property
    def _doubtful(self) -> bool:
        return self._outage is not None or self._failures >= OPENS_AFTER

    async def _wait_for_probe(self) -> None:
        while self._outage and (left := self._seconds_to_probe_or_end(self._outage)) > 0:
            await self._clock.sleep(left)

    def _seconds_to_probe_or_end(self, outage: _Outage) -> float:
        now = self._clock.monotonic()
        end = outage.began + self._longest_seconds
        if now >= end:
            raise VendorDown(
                f"the vendor is down since {outage.since:%H:%M:%S} UTC, longer than "
                f"{self._longest_seconds / 60:g} min: {outage.last_error}"
            )
        return min(outage.next_probe_at, end) - now

    async def _hear(self, witness: Callable[[], Awaitable[object]]) -> None:
        try:
            await witness()
        except VendorError as error:
            if _is_failure(error):
                self._open(error)
                return
        self._answered(probing=False)

    def _judge(self, error: VendorError, *, probing: bool) -> None:
        if not _is_failure(error):
            self._answered(probing=probing)
        elif not self._longest_seconds:
            return
        elif self._outage is None:
            self._failures += 1
            if self._first_failure is None:
                self._first_failure = self._clock.now(), self._clock.monotonic()
        elif probing:
            self._outage.last_error = error
            self._outage.next_probe_at = self._clock.monotonic() + _probe_wait(error)

    def _open(self, error: VendorError) -> None:
        if self._first_failure is None:  # something was answered while the witness was being heard
            return
        since, began = self._first_failure
        wait_seconds = _probe_wait(error)
        self._outage = _Outage(since, began, self._clock.monotonic() + wait_seconds, error)
        log.warning(
            "the vendor is down since %s UTC: all wait, next probe in %.0f s: %s",
            f"{since:%H:%M:%S}",
            wait_seconds,
            error,
        )

    def _answered(self, *, probing: bool) -> None:
        """There was an answer; while the vendor is down, one to an earlier request says nothing about now."""
        if self._outage and not probing:
            return
        if self._outage:
            lasted = self._clock.monotonic() - self._outage.began
            self.outage_seconds += lasted
            log.warning("the vendor answers again after %.0f s: the run goes on", lasted)
        self._outage, self._first_failure, self._failures = None, None, 0


def _is_failure(error: VendorError) -> bool:
    """Whether it may be the service that failed; a refusal or a 429 is an answer."""
    return isinstance(error, TransientVendorError) and not isinstance(error, RateLimited)


def _probe_wait(error: VendorError) -> float:
    asked = error.retry_after_seconds if isinstance(error, ServiceFailed) else None
    return min(max(PROBE_SECONDS, asked or 0.0), _LONGEST_PROBE_SECONDS)
