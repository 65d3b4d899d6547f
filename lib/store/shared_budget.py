"""One rate budget per key for all processes and hosts that use one database.

Each process leases slots in batches from the row of its key (see ``lib/store/shares.py``) and sends without
asking; at most once a batch, and once in some seconds, it exchanges: tells what it sent and what the vendor
refused, gives back what it does not need, leases anew. The key itself never reaches the database.
"""

import asyncio
import hmac
import logging
import math
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from lib import sql
from lib.budget import WINDOW_SECONDS, Budget
from lib.clock import Clock
from lib.concurrency import prefetch
from lib.errors import DatabaseError, DatabaseUnreachable
from lib.settings import Secret
from lib.store.database import Database
from lib.store.shares import Grant, Report, Shares, Terms

_PATIENCE_SECONDS = 5.0  # for the database to answer; of the machine's time
_LEASE_BEATS = 5
_ALONE_BEATS = 5
_MARGIN = 1.001  # as the local budget's: the vendor's clock may run slower than ours

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """The shares of a key as they were read at *now*, a moment of the database's clock."""

    now: float
    version: int
    shares: Shares


class Table(Protocol):
    """Where the shares of a key are kept."""

    async def read(self) -> Seen: ...

    async def write(self, seen: Seen) -> bool:
        """Keep ``seen.shares``, changed; False if somebody else changed them since they were read."""
        ...


class PostgresTable:
    """The row of a key. Raises DatabaseError."""

    def __init__(self, database: Database, key: Secret) -> None:
        self._database = database
        self._key = key
        self._key_hash: bytes | None = None

    async def read(self) -> Seen:
        async with self._patience(), self._database.connection() as connection:
            if self._key_hash is None:
                salt = await connection.fetchval(sql.load("read_rate_salt"))
                self._key_hash = hmac.digest(salt, self._key.reveal().encode(), "sha256")
            row = await connection.fetchrow(sql.load("read_rate_budget"), self._key_hash)
        assert row is not None
        if row["version"] is None:
            return Seen(row["now"], 0, Shares())
        return Seen(row["now"], row["version"], msgspec.json.decode(row["shares"], type=Shares))

    async def write(self, seen: Seen) -> bool:
        shares = msgspec.json.encode(seen.shares).decode()
        async with self._patience(), self._database.connection() as connection:
            query = sql.load("write_rate_budget")
            return await connection.fetchval(query, self._key_hash, seen.version, shares) is not None

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                yield
        except TimeoutError as exc:
            raise DatabaseUnreachable(f"no answer in time from the database {self._database.name}") from exc


class SharedBudget(Budget):
    """The part of one process in the budget of a key; made by ``shared_budget``.

    Arguments as for Budget. A 429 to one pauses and slows all. Where the table cannot be asked, the process
    goes on with its own part, by the law of Budget, until it can be asked again.
    """

    def __init__(
        self,
        table: Table,
        per_minute: int,
        clock: Clock,
        *,
        window_seconds: float = WINDOW_SECONDS,
        max_requests: int | None = None,
    ) -> None:
        super().__init__(per_minute, clock, window_seconds=window_seconds, max_requests=max_requests)
        self._table = table
        self._name = uuid.uuid4().hex
        self._own_terms = Terms(self.limit, self._window)
        self._minute = window_seconds * _MARGIN
        self._beat = self._minute / 60
        self._has_limit = per_minute > 0
        self._deadline = 0.0
        self._exchanging = asyncio.Lock()
        self._exchanged_at = -math.inf
        self._leased: list[float] = []  # by the moment from which each may be used; sorted
        self._lease_ends = -math.inf
        self._upcoming: list[float] = []  # what could be leased, likewise
        self._reported: list[float] = []  # until when the requests count that were told of; sorted
        self._well_sent: deque[float] = deque()
        self._others = 1  # nothing known yet: as if there were one more
        self._waiting = self._used_of_lease = self._told_limited = 0
        self._cut_off = False

    @property
    def left_now(self) -> int:
        """How many requests could be sent at this moment, were nobody paused; by what was last seen."""
        now = self._catch_up()
        return sum(moment <= now for moment in self._leased + self._upcoming)

    @asynccontextmanager
    async def request(self, deadline_seconds: float) -> AsyncIterator[None]:
        """See RateBudget."""
        self._deadline = max(self._deadline, deadline_seconds)
        async with super().request(deadline_seconds):
            yield

    async def beats(self) -> AsyncGenerator[None, None]:
        """Exchange in time for the others, for ever."""
        while True:
            await self._clock.sleep(self._beat * (1 if self._others or self._cut_off else _ALONE_BEATS))
            if self._exchanged_at > -math.inf or self._cut_off:
                await self._exchange()
        yield  # never: it makes this a source, which concurrency.prefetch runs in a task of its own

    async def leave(self) -> None:
        """Give everything back."""
        if self._exchanged_at > -math.inf and not self._cut_off:
            await self._exchange(leaving=True)

    async def _take_slot(self) -> None:
        self._waiting += 1
        try:
            async with self._turn:
                self._check_spent()
                while not self._may_send():
                    await self._approach()
                self._leased.pop(0)
                self._used_of_lease += 1
                self.sent += 1
                self._on_the_wire += 1
        finally:
            self._waiting -= 1

    def _may_send(self) -> bool:
        return self._until_next_slot() <= 0 and bool(self._leased) and self._clock.monotonic() < self._lease_ends

    async def _approach(self) -> None:
        """Ask for slots if there may be some, else wait until that may have changed."""
        seconds = self._until_next_slot()
        stale = self._clock.monotonic() >= self._exchanged_at + self._beat
        untold = self.rate_limited_count > self._told_limited
        if not self._cut_off and (seconds <= 0 or untold or (stale and self._others)):
            await self._exchange()
        else:
            await self._clock.sleep(min(seconds, self._beat) if self._others or self._cut_off else seconds)

    def _until_next_slot(self) -> float:
        """Seconds to the next slot that is known of, leased or not."""
        now = self._catch_up()
        if now < self._paused_until:
            return self._paused_until - now
        by_slots = min([*self._leased[:1], *self._upcoming[:1]], default=now + self._beat) - now
        by_pace = super()._until_next_slot() if self._cut_off else 0.0
        return max(0.0, by_slots, by_pace)

    def _catch_up(self) -> float:
        before = len(self._held_until)
        now = super()._catch_up()
        if self._cut_off:  # what comes free is ours to use again
            self._leased = [now] * (before - len(self._held_until)) + self._leased
        return now

    def _answered_well(self, sent_at: float) -> None:
        super()._answered_well(sent_at)
        self._well_sent.append(sent_at)

    async def _exchange(self, *, leaving: bool = False) -> None:
        async with self._exchanging:
            try:
                while not await self._try_exchange(leaving=leaving):
                    pass
            except DatabaseError as error:
                self._go_on_alone(error)

    async def _try_exchange(self, *, leaving: bool) -> bool:
        asked_at = self._clock.monotonic()
        seen = await self._table.read()
        read_at = self._clock.monotonic()
        limited = self.rate_limited_count
        report = self._report(seen.now - asked_at, leaving=leaving)  # no moment is told too early ...
        done, self._held_until = self._held_until, []
        written = False
        try:
            grant = seen.shares.exchange(report, seen.now)
            written = await self._table.write(seen)
        finally:
            if not written:
                self._held_until = sorted(self._held_until + done)
        if written:
            self._told_limited, self._exchanged_at = limited, self._clock.monotonic()
            self._reported = sorted(self._reported + done)
            self._adopt(grant, read_at - seen.now, asked_at)  # ... or taken too early
        return written
