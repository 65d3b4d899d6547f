"""Tasks with an owner and a bound: the only place where tasks are made."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import TypeVar

from lib.errors import BackfillError

T = TypeVar("T")
R = TypeVar("R")


class _End(Enum):
    """Stands after the last item."""

    END = 0


async def run_bounded(items: Iterable[T], work: Callable[[T], Awaitable[R]], limit: int) -> list[R]:
    """``work(item)`` for every item, at most *limit* at a time; the results in the order of the items.

    Items are drawn from the iterable only when a task is free for them. The first failure cancels the
    other tasks; it is raised as itself when it, and all that failed with it, are errors of ours, and in
    an exception group otherwise.

    Raises ValueError for a *limit* below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; at least one task is needed")
    results: dict[int, R] = {}
    numbered = enumerate(items)
    stops = _stops_asked_for()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_work_off(numbered, work, results)) for _ in range(limit)]
            # Waited for here and not at the group's end: there, until Python 3.13, a failing task would
            # leave a request to be cancelled behind in this one.
            await asyncio.wait(tasks)
    except BaseExceptionGroup as failures:
        if _stops_asked_for() > stops:
            # What broke while the tasks were being stopped must not turn a stop into a failure.
            raise asyncio.CancelledError from failures
        simplest = _simplest(failures)
        raise simplest from simplest.__cause__
    return [results[number] for number in sorted(results)]


def _stops_asked_for() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


async def _work_off(
    numbered: Iterator[tuple[int, T]], work: Callable[[T], Awaitable[R]], results: dict[int, R]
) -> None:
    for number, item in numbered:
        results[number] = await work(item)


def _simplest(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to raise for *failures*: our first error if all are ours, else the whole group."""
    _, foreign = failures.split(BackfillError)
    if foreign is not None:
        return failures
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


@asynccontextmanager
async def prefetch(source: AsyncGenerator[T, None], depth: int = 1) -> AsyncIterator[AsyncIterator[T]]:
    """Run *source* up to *depth* items ahead of whoever reads it, in a task of its own.

    While one item is being worked on, the next is fetched. An error of *source* is raised to the reader
    after the items before it. Leaving the block, early or not, stops the task and closes *source*; an
    error the reader has not come to is then dropped.
    """
    fetched: asyncio.Queue[T | _End] = asyncio.Queue()
    room = asyncio.Semaphore(depth)
    filling = asyncio.create_task(_fill(source, fetched, room))
    reader = _read(filling, fetched, room)
    try:
        yield reader
    finally:
        await _stop(filling)
        await reader.aclose()
        await source.aclose()


async def _fill(source: AsyncIterator[T], fetched: asyncio.Queue[T | _End], room: asyncio.Semaphore) -> None:
    try:
        await room.acquire()
        async for item in source:
            fetched.put_nowait(item)
            await room.acquire()
    finally:
        fetched.put_nowait(_End.END)


async def _read(
    filling: asyncio.Task[None], fetched: asyncio.Queue[T | _End], room: asyncio.Semaphore
) -> AsyncGenerator[T, None]:
    while (item := await fetched.get()) is not _End.END:
        room.release()
        yield item
    await filling  # raises what ended it early


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, so that the loop does not report it as forgotten
