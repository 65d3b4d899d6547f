"""The clock as a parameter: what time it is and how one waits, both replaceable in tests."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds* of this clock; at once if not above 0."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """A clock that starts at *start* and runs *speed* times as fast as the machine's.

    ``speed=60`` lets a minute of the toolkit's time pass in one second of the machine's: waits and
    rate windows keep their proportions, which a clock that merely skips waits would not.
    """

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._zero = time.monotonic()
        self._start = start or datetime.now(UTC)
        self.speed = speed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._zero) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)


class Lag:
    """By how much our clock is ahead of another one, learnt from stamps of the other that reach us late."""

    TOLERATED = timedelta(seconds=5)  # a Date header has whole seconds, and an answer takes its time

    def __init__(self) -> None:
        self._least: timedelta | None = None

    def observe(self, ours: datetime, theirs: datetime) -> None:
        """*theirs* was stamped at most at *ours*."""
        ahead = ours - theirs
        self._least = ahead if self._least is None else min(self._least, ahead)

    @property
    def ahead(self) -> timedelta:
        """0 unless every stamp seen was older than chance allows."""
        if self._least is None or self._least <= self.TOLERATED:
            return timedelta(0)
        return self._least


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC, rounded down. *moment* is aware."""
    return int(moment.timestamp() * 1000 // 1)


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC instant of *milliseconds* since 1970-01-01 UTC, exact."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
