import asyncio

import pytest

from lib.concurrency import prefetch, run_bounded
from lib.errors import AnswerInvalid, DatabaseError, KeyRefused


async def test_results_come_in_the_order_of_the_items():
    async def work(item):
        await asyncio.sleep(0.001 * (5 - item))
        return item * 10

    assert await run_bounded(range(5), work, 3) == [0, 10, 20, 30, 40]
    assert await run_bounded([], work, 3) == []


async def test_at_most_limit_at_a_time_and_items_are_drawn_as_they_are_needed():
    running, most, drawn = set(), [], []

    def items():
        for item in range(20):
            drawn.append(item)
            yield item

    async def work(item):
        running.add(item)
        most.append((len(running), len(drawn) - item))
        await asyncio.sleep(0)
        running.remove(item)

    await run_bounded(items(), work, 4)
    assert max(number for number, _ in most) == 4
    assert max(ahead for _, ahead in most) <= 4


async def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="limit is 0"):
        await run_bounded([1], asyncio.sleep, 0)


async def test_an_error_of_ours_arrives_as_itself_with_its_cause_and_stops_the_others():
    cancelled = []

    async def work(item):
        if item == 2:
            try:
                raise OSError("the cause")
            except OSError as exc:
                raise KeyRefused("no key") from exc
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(KeyRefused, match="no key") as caught:
        await run_bounded(range(9), work, 3)
    assert str(caught.value.__cause__) == "the cause"
    assert sorted(cancelled) == [0, 1]


async def test_of_several_errors_of_ours_the_first_arrives():
    async def work(item):
        try:
            await asyncio.sleep(60 if item else 0)
        finally:
            raise AnswerInvalid(f"number {item}")

    with pytest.raises(AnswerInvalid, match="number 0"):
        await run_bounded(range(3), work, 3)


async def test_nested_groups_are_unwrapped():
    async def outer(item):
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    async def inner():
        raise AnswerInvalid("deep")

    with pytest.raises(AnswerInvalid, match="deep"):
        await run_bounded([1], outer, 1)


async def test_a_foreign_error_is_not_hidden_behind_one_of_ours():
    async def work(item):
        try:
            await asyncio.sleep(60 if item else 0)
        finally:
            raise (ZeroDivisionError if item else AnswerInvalid)(f"number {item}")

    with pytest.raises(ExceptionGroup) as caught:
        await run_bounded(range(2), work, 2)
    assert {type(error) for error in caught.value.exceptions} == {AnswerInvalid, ZeroDivisionError}


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_cancellation_passes_through_whatever_breaks_on_the_way(breaks):
    async def work(item):
        try:
            await asyncio.sleep(60)
        finally:
            if breaks:
                raise DatabaseError("the connection was dropped")

    task = asyncio.ensure_future(run_bounded(range(3), work, 3))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_leaves_no_request_to_stop_behind():
    async def work(item):
        await asyncio.sleep(0)
        raise AnswerInvalid(f"number {item}")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with pytest.raises(AnswerInvalid):
                await run_bounded(range(3), work, 2)
            assert asyncio.current_task().cancelling() == 0
            await asyncio.sleep(60)


async def test_a_timeout_around_it_works():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_bounded(range(3), lambda item: asyncio.sleep(60), 2)


class Source:
    """Yields numbers; *begun* is how many were begun, *closed* whether it was closed."""

    def __init__(self, end=10, error=None, seconds=0.0):
        self.begun = 0
        self.closed = False
        self.end, self.error, self.seconds = end, error, seconds

    async def items(self):
        try:
            for item in range(self.end):
                self.begun += 1
                await asyncio.sleep(self.seconds)
                yield item
            if self.error:
                raise self.error
        finally:
            self.closed = True


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_items_arrive_in_order():
    source = Source()
    async with prefetch(source.items()) as items:
        assert [item async for item in items] == list(range(10))
    assert source.closed


@pytest.mark.parametrize("depth", [1, 3])
async def test_the_next_item_is_fetched_while_one_is_worked_on_and_no_more(depth):
    source = Source()
    async with prefetch(source.items(), depth) as items:
        async for item in items:
            await settle()
            assert source.begun == min(item + 1 + depth, 10)


async def test_an_error_comes_after_the_items_before_it():
    source, seen = Source(end=2, error=AnswerInvalid("bad page")), []
    with pytest.raises(AnswerInvalid, match="bad page"):
        async with prefetch(source.items()) as items:
            async for item in items:
                await settle()
                seen.append(item)

    assert seen == [0, 1]
    assert source.closed


@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_leaving_early_stops_and_closes_the_source(seconds):
    source = Source(seconds=seconds)
    async with prefetch(source.items()) as items:
        if not seconds:
            assert await anext(items) == 0
        await settle()

    assert source.closed
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_of_the_reader_arrives_as_itself_and_an_unread_one_is_dropped():
    source = Source(end=1, error=AnswerInvalid("unread"))
    with pytest.raises(DatabaseError, match="disk full"):
        async with prefetch(source.items()) as items:
            async for _ in items:
                await settle()
                raise DatabaseError("disk full")

    assert source.closed


async def test_a_cancelled_reader_leaves_no_task():
    source = Source(seconds=60)

    async def read():
        async with prefetch(source.items()) as items:
            async for _ in items:
                pass

    reader = asyncio.ensure_future(read())
    await settle()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert source.closed
    assert len(asyncio.all_tasks()) == 1
