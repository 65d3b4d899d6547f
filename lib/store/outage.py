"""A database that goes away and comes back: whatever was under way is done again, whole, when it is back.

One mechanism for everything the store does. Each method of a store is a read or one transaction, and a write
compares with what is stored: a transaction whose COMMIT was carried out although its answer was lost finds,
done again, nothing left to write.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from lib.clock import Clock
from lib.errors import DatabaseAway, DatabaseConflict
from lib.retry import outlast

PATIENCE_SECONDS = 300.0

T = TypeVar("T")
C = TypeVar("C", bound=type)
P = ParamSpec("P")

_log = logging.getLogger(__name__)


async def _nothing() -> None:
    pass


class Outage:
    """Does work on one database again while that is away, for *patience_seconds* of *clock* at most.

    *recover* is awaited before every further try: it makes the next connection a fresh one. *guard*, which may
    be set, before every try: what must hold for any work; it is told whether the database was away.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        patience_seconds: float,
        recover: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._name = name
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._recover = recover
        self._since: float | None = None
        self.guard: Callable[[bool], Awaitable[None]] | None = None

    async def outlast(self, work: Callable[[], Awaitable[T]]) -> T:
        """What *work* returns; raises its error at once if that will not pass by itself."""

        async def attempt() -> T:
            if was_away := self._since is not None:
                await self._recover()
            if self.guard:
                await self.guard(was_away)
            done = await work()
            self._over()
            return done

        return await outlast(
            attempt,
            passing=(DatabaseAway, DatabaseConflict),
            patience_seconds=self._patience_now,
            clock=self._clock,
            on_retry=self._failed,
        )

    def _patience_now(self) -> float:
        """A run that is asked to stop does not wait."""
        task = asyncio.current_task()
        return 0.0 if task is not None and task.cancelling() else self._patience_seconds

    def _failed(self, error: Exception) -> None:
        if isinstance(error, DatabaseAway) and self._since is None:
            self._since = self._clock.monotonic()
            _log.warning("%s; trying again for up to %.0f s", error, self._patience_seconds)

    def _over(self) -> None:
        if self._since is not None:
            seconds, self._since = self._clock.monotonic() - self._since, None
            _log.warning("the database %s is back after %.1f s", self._name, seconds)


class _Store(Protocol):
    _outage: Outage


S = TypeVar("S", bound=_Store)


def outlasting(store: C) -> C:
    """Make every public coroutine of the class *store* outlast an outage of its database, ``_outage``.

    Each has to be repeatable: nothing but reads, or one transaction.
    """
    for name, method in vars(store).copy().items():
        if inspect.iscoroutinefunction(method) and not name.startswith("_"):
            setattr(store, name, _repeated(method))
    return store


def _repeated(
    method: Callable[Concatenate[S, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Awaitable[T]]:
    @functools.wraps(method)
    async def repeated(self: S, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await self._outage.outlast(lambda: method(self, *arguments, **named))

    return repeated
