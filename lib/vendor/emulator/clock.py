"""A clock that shows a time of one's choice."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec

from lib.errors import UsageError


class MovedClock:
    """The machine's clock set to another time; *fixed*: it stands still until it is moved.

    Waiting and ``monotonic()`` are the machine's own, so a rate limit works even while time stands still.
    """

    def __init__(self, start: datetime, *, fixed: bool = False) -> None:
        self._fixed = fixed
        self.move_to(start)

    def move_to(self, moment: datetime) -> None:
        """Set the clock to *moment* (aware)."""
        self._zero = time.monotonic()
        self._start = moment.astimezone(UTC)

    def now(self) -> datetime:
        return self._start if self._fixed else self._start + timedelta(seconds=time.monotonic() - self._zero)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def parse_instant(text: object) -> datetime:
    """An aware instant written in ISO-8601. Raises UsageError for anything else."""
    try:
        moment = msgspec.convert(text, datetime)
    except (msgspec.ValidationError, UnicodeError) as refused:
        raise UsageError(
            f"{str(text)[:40]!r} is not an instant", hint="write 2025-01-08T20:00:00Z"
        ) from refused
    if moment.tzinfo is None:
        raise UsageError(f"{str(text)[:40]!r} names no zone", hint="write 2025-01-08T20:00:00Z")
    return moment
