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
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from lib import sql
from lib.budget import WINDOW_SECONDS, Budget
from lib.clock import Clock, SystemClock
from lib.concurrency import prefetch
from lib.errors import DatabaseError, DatabaseUnreachable
from lib.settings import Secret
from lib.store.database import Database
from lib.store.refusals import Terms
from lib.store.shares import AHEAD_BEATS, LEASE_BEATS, Grant, Report, Shares

_PATIENCE_SECONDS = 5.0  # for the database to answer; of the machine's time
_ALONE_BEATS = 5
_IDLE_BEATS = 20  # less than those after which a process counts as gone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """The shares of a key as they were read when the database's clock said *clock*."""

    clock: float
    version: int
    shares: Shares


class Table(Protocol):
    """Where the shares of a key are kept."""

    async def read(self) -> Seen: ...

    async def write(self, seen: Seen) -> bool:
        """Keep ``seen.shares``, changed; False if somebody else changed them since they were read."""
        ...


class PostgresTable:
    """The row of a key. Raises DatabaseError.

    Moments are of the database's clock, which all hosts share; of *clock*, set right by it, where that is not
    the machine's.
    """

    def __init__(self, database: Database, key: Secret, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._key_hash: bytes | None = None

    async def read(self) -> Seen:
        async with self._patience(), self._database.connection() as connection:
            if self._key_hash is None:
                salt = await connection.fetchval(sql.load("read_rate_salt"))
                if salt is None:
                    raise DatabaseError(f"the table rate_budget_salt of {self._database.name} is empty")
                self._key_hash = hmac.digest(salt, self._key.reveal().encode(), "sha256")
            row = await connection.fetchrow(sql.load("read_rate_budget"), self._key_hash)
        assert row is not None
        shares = _decoded(row["shares"]) if row["shares"] else Shares()
        clock = row["now"] + (self._clock.now() - SystemClock().now()).total_seconds()
        return Seen(clock, row["version"] or 0, shares)

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


def _decoded(shares: str) -> Shares:
    try:
        return msgspec.json.decode(shares, type=Shares)
    except msgspec.ValidationError as exc:
        raise DatabaseError(f"the rate budget was written by another version of the toolkit: {exc}") from exc


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
        self._own_terms = self._told = Terms(self.limit, self._window)
        self._minute = window_seconds
        self._beat = self._minute / 60
        self._deadline = 0.0
        self._exchanging = asyncio.Lock()
        self._exchanged_at = -math.inf
        self._leased: list[float] = []  # by the moment from which each may be used; sorted
        self._lease_ends = -math.inf
        self._upcoming: list[float] = []  # what could be leased, likewise
        self._reported: list[float] = []  # until when the requests count that were told of; sorted
        self._passed: list[float] = []  # when those were sent that were answered well, not told of
        self._waiting = self._used_of_lease = self._told_limited = 0
        self._cut_off = False

    @property
    def left_now(self) -> int:
        """How many requests could be sent at this moment, were nobody paused; as far as is known."""
        if self._exchanged_at == -math.inf and not self._cut_off:
            return self.capacity
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
            await self._clock.sleep(self._beat * (1 if self.others or self._cut_off else _ALONE_BEATS))
            if self._should_be_heard():
                await self._exchange()
        yield  # never: it makes this a source, which concurrency.prefetch runs in a task of its own

    def _should_be_heard(self) -> bool:
        if self._cut_off:
            return True
        untold = self._leased or self._held_until or self._on_the_wire
        idle = not self.others and not untold
        heard_at = self._exchanged_at + (_IDLE_BEATS * self._beat if idle else 0.0)
        return -math.inf < heard_at <= self._clock.monotonic()

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
        return (
            self._until_next_slot() <= 0 and bool(self._leased) and self._clock.monotonic() < self._lease_ends
        )

    async def _approach(self) -> None:
        """Ask for slots if there may be some, else wait until that may have changed."""
        seconds = self._until_next_slot()
        stale = self._clock.monotonic() >= self._exchanged_at + self._beat
        untold = self.rate_limited_count > self._told_limited
        changing = self.others or not self._upcoming
        if not self._cut_off and (seconds <= 0 or untold or (stale and changing)):
            await self._exchange()
        else:
            await self._clock.sleep(min(seconds, self._beat) if changing or self._cut_off else seconds)

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
        self._passed.append(sent_at)

    async def _exchange(self, *, leaving: bool = False) -> None:
        async with self._exchanging:
            try:
                while not await self._try_exchange(leaving=leaving):
                    pass
            except DatabaseError as error:
                if not leaving:  # else what is not given back lapses
                    self._go_on_alone(error)

    async def _try_exchange(self, *, leaving: bool) -> bool:
        asked_at = self._clock.monotonic()
        seen = await self._table.read()
        read_at, now = self._clock.monotonic(), seen.shares.moment(seen.clock)
        # No moment is told too early, and none is taken too early: the clock read in between is of either.
        report = self._report(now - asked_at, leaving=leaving)
        grant = seen.shares.exchange(report, now)
        limited, passed = self.rate_limited_count, len(self._passed)
        leased, done, kept = self._leased, self._held_until, False
        self._leased, self._held_until = [], []  # no slot is used while it is being given back
        try:
            kept = await self._table.write(seen)
        finally:
            if not kept:
                self._leased, self._held_until = leased, sorted(done + self._held_until)
        if kept:
            self._told_limited, self._exchanged_at = limited, self._clock.monotonic()
            self._reported, self._passed = sorted(self._reported + done), self._passed[passed:]
            self._lease_ends = asked_at + LEASE_BEATS * self._beat
            self._adopt(grant, read_at - now)
        return kept

    def _report(self, to_database: float, *, leaving: bool) -> Report:
        now = self._catch_up()
        self._reported = [moment for moment in self._reported if moment > now]
        untold = self.rate_limited_count > self._told_limited
        wanted = 0 if leaving or now < self._paused_until else self._waiting + 2 * self._used_of_lease
        return Report(
            holder=self._name,
            terms=self._own_terms,
            minute_seconds=self._minute,
            deadline_seconds=self._deadline,
            done=[math.ceil((moment + to_database) * 1000) / 1000 for moment in self._held_until],
            on_the_wire=self._on_the_wire,
            used=self._on_the_wire + len(self._held_until) + len(self._reported),
            waiting=self._waiting,
            wanted=wanted,
            passed=[round(moment + to_database, 3) for moment in self._passed],
            pause_seconds=self.pause_seconds if untold else None,
            spared=self._sharers() - 1 if self._cut_off else 0,
            leaving=leaving,
        )

    def _adopt(self, grant: Grant, to_local: float) -> None:
        self._leased = [moment + to_local for moment in grant.leased]
        self._upcoming = [moment + to_local for moment in grant.upcoming]
        self._used_of_lease = 0
        self.others = grant.others
        self.most_others = max(self.most_others, grant.others)
        self.unlimited = grant.terms.window_seconds < self._minute
        self.learnt = grant.terms.limit if grant.learnt else None
        self._window = grant.terms.window_seconds
        self.limit = self.capacity = grant.capacity
        self._paused_until = max(self._paused_until, grant.paused_until + to_local)
        self._tell(grant.terms)
        if self._cut_off:
            log.info("the rate budget is shared again")
            self._cut_off = False

    def _tell(self, terms: Terms) -> None:
        if terms.per_second < self._told.per_second:
            self._told = terms
            log.warning(
                "the key is used at %d requests in %.0f s: %s",
                terms.limit,
                self._minute,
                f"the vendor refuses more (remembered for a day; --rate-limit {terms.limit} says so at once)"
                if self.learnt
                else "another process that uses it was told so",
            )

    def _go_on_alone(self, error: DatabaseError) -> None:
        """Be the local budget, with what nobody else can be using."""
        if self._cut_off:
            return
        now = self._catch_up()
        share = self.limit // self._sharers()  # none, if they are more than the slots
        if self._exchanged_at == -math.inf:
            share = max(1, share)
            self._leased = [now] * share
        elif self.others:
            self._leased = self._own_slots(now, share)
        else:
            self._leased = sorted(self._leased + self._upcoming)
        self._upcoming, self._lease_ends = [], math.inf
        self.limit = self.capacity = share
        self._cut_off = True
        log.warning(
            "the rate budget cannot be shared, this process goes on with %d requests: %s", share, error
        )

    def _sharers(self) -> int:
        """How many processes use the key; while nothing is known, as if there were one more."""
        return self.others + 1 if self._exchanged_at > -math.inf else 2

    def _own_slots(self, now: float, share: int) -> list[float]:
        """*share* slots, those that are in use now aside.

        First those it used last, unless another may have leased them before the table was lost. The others
        may be in use by anybody until his last request has left the window.
        """
        own = [moment for moment in self._reported if moment > now + AHEAD_BEATS * self._beat]
        in_doubt = now + LEASE_BEATS * self._beat + self._deadline + self._window
        room = share - self._on_the_wire - len(self._held_until)
        return (own + [in_doubt] * share)[: max(0, room)]


@asynccontextmanager
async def shared_budget(
    database: Database,
    key: Secret,
    per_minute: int,
    clock: Clock,
    *,
    window_seconds: float = WINDOW_SECONDS,
    max_requests: int | None = None,
) -> AsyncIterator[SharedBudget]:
    """This process's part in the budget of *key*, given back at the end. Nothing is asked before a request.

    The other arguments as for Budget.
    """
    table = PostgresTable(database, key, clock)
    budget = SharedBudget(table, per_minute, clock, window_seconds=window_seconds, max_requests=max_requests)
    try:
        async with prefetch(budget.beats()):
            yield budget
    finally:
        await budget.leave()
