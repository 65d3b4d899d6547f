"""The circuit breaker, on an event loop whose time jumps to the next timer."""

import asyncio
from functools import partial
from itertools import pairwise

import pytest

from lib.breaker import OPENS_AFTER, PROBE_SECONDS, Breaker
from lib.concurrency import run_bounded
from lib.errors import (
    AnswerInvalid,
    BudgetSpent,
    ConnectionFailed,
    NotFound,
    RateLimited,
    RequestTimedOut,
    ServiceFailed,
    VendorDown,
)
from tests.unit.test_budget import run


class Vendor:
    """Fails with *error* from *down_from* to *down_until*; *sent* is when it was asked for what."""

    def __init__(self, clock, down_from=0.0, down_until=float("inf"), error=ServiceFailed, **options):
        self.clock = clock
        self.breaker = Breaker(clock, **options)
        self.down = (down_from, down_until)
        self.error = error
        self.broken = set()
        self.retry_after = None
        self.sent = []

    async def answer(self, name="series"):
        self.sent.append((self.clock.monotonic(), name))
        await self.clock.sleep(0.5)
        if name in self.broken or self.down[0] <= self.clock.monotonic() < self.down[1]:
            error = self.error(name)
            if self.retry_after:
                error.retry_after_seconds = self.retry_after
            raise error

    async def once(self, name="series"):
        async with self.breaker.attempt() as may_be_sent:
            assert may_be_sent()
            await self.answer(name)

    async def ask(self, name="series", tries=1):
        """Whether it was had; an outage is waited out."""
        while tries:
            try:
                await self.once(name)
            except self.error:
                if not await self.breaker.confirms(partial(self.answer, "witness")):
                    tries -= 1
                    await self.clock.sleep(1.0)
                continue
            return True
        return False

    async def open(self):
        assert not await self.ask_all([f"first {n}" for n in range(OPENS_AFTER - 1)])
        return self

    async def ask_all(self, names, tries=1):
        return all(await run_bounded(names, partial(self.ask, tries=tries), 8))


@pytest.mark.parametrize("error", [ServiceFailed, RequestTimedOut, ConnectionFailed, AnswerInvalid])
def test_an_outage_is_waited_out_by_all_with_one_probe_in_thirty_seconds(error):
    async def main(clock):
        vendor = Vendor(clock, 10.0, 1810.0, error)
        had = await vendor.ask_all([f"series {n}" for n in range(200)], tries=5)
        return vendor, had

    vendor, had = run(main)
    assert had
    assert len({name for _, name in vendor.sent} - {"witness"}) == 200
    during = [at for at, _ in vendor.sent if 12.0 <= at < 1810.0]
    assert 58 <= len(during) <= 60
    assert min(later - at for at, later in pairwise(during)) >= PROBE_SECONDS
    assert vendor.breaker.down_since is None
    assert 1790 <= vendor.breaker.outage_seconds <= 1840


def test_series_that_always_fail_are_no_outage_while_something_else_is_had():
    async def main(clock):
        vendor = Vendor(clock, float("inf"))
        vendor.broken = {f"broken {n}" for n in range(3)}
        for _ in range(10):
            for name in sorted(vendor.broken):
                assert not await vendor.ask(name)
        return vendor

    vendor = run(main)
    assert vendor.breaker.down_since is None
    assert len([name for _, name in vendor.sent if name == "witness"]) == 30 // OPENS_AFTER


def test_an_answer_in_between_makes_the_count_begin_anew():
    async def main(clock):
        vendor = Vendor(clock, float("inf"))
        vendor.broken = {"broken"}
        for name in ["broken", "broken", "broken", "broken", "series"] * 5:
            await vendor.ask(name)
        return vendor.sent

    assert "witness" not in {name for _, name in run(main)}


@pytest.mark.parametrize("error", [RateLimited, NotFound, BudgetSpent])
def test_what_is_no_failure_of_the_service_does_not_count(error):
    async def main(clock):
        vendor = Vendor(clock, error=error)
        for _ in range(3 * OPENS_AFTER):
            assert not await vendor.ask()
        return vendor.sent

    assert "witness" not in {name for _, name in run(main)}


def test_a_probe_that_is_refused_was_answered():
    async def main(clock):
        vendor = await Vendor(clock, 0.0, 100.0).open()
        asked = asyncio.ensure_future(vendor.ask("series"))
        await clock.sleep(20.0)
        assert vendor.breaker.down_since is not None
        vendor.error = NotFound
        assert not await asked
        return vendor.breaker.down_since

    assert run(main) is None


def test_the_outage_is_bounded_and_then_all_give_up_without_asking():
    async def main(clock):
        vendor = await Vendor(clock, longest_outage_seconds=600.0).open()
        ends = []

        async def ask(name):
            with pytest.raises(VendorDown, match=r"down since 00:00:00 UTC, longer than 10 min: ") as caught:
                await vendor.ask(name)
            ends.append(clock.monotonic())
            return caught.value

        errors = await run_bounded(range(20), ask, 20)
        before = len(vendor.sent)
        await ask("later")
        return vendor, ends, errors, len(vendor.sent) - before

    vendor, ends, errors, after = run(main)
    assert max(ends) <= 602
    assert {error.exit_status for error in errors} == {1}
    assert "--max-outage" in errors[0].hint
    assert after == 0
    assert 15 <= len([1 for at, _ in vendor.sent if at > 10]) <= 20


def test_without_patience_failures_remain_those_of_single_requests():
    async def main(clock):
        vendor = Vendor(clock, longest_outage_seconds=0.0)
        had = [await vendor.ask(tries=2) for _ in range(OPENS_AFTER)]
        return had, vendor.sent

    had, sent = run(main)
    assert not any(had)
    assert [name for _, name in sent] == ["series"] * 2 * OPENS_AFTER


def test_who_waited_elsewhere_while_the_vendor_went_down_does_not_send():
    async def main(clock):
        vendor = Vendor(clock, 0.0, 100.0)
        async with vendor.breaker.attempt() as may_be_sent:
            before = may_be_sent()
            await vendor.open()
            asked = asyncio.ensure_future(vendor.ask("series"))
            await clock.sleep(5.0)
            return before, may_be_sent(), asked.cancel()

    assert run(main) == (True, False, True)


def test_a_late_answer_to_an_earlier_request_does_not_end_the_outage():
    async def main(clock):
        vendor = Vendor(clock, 0.0, 100.0)
        async with vendor.breaker.attempt():
            await vendor.open()
            asked = asyncio.ensure_future(vendor.ask("series"))
            await clock.sleep(5.0)
        still = vendor.breaker.down_since
        asked.cancel()
        return still

    assert run(main) is not None


def test_a_cancelled_probe_lets_the_next_one_probe():
    async def main(clock):
        vendor = await Vendor(clock, 0.0, 20.0).open()
        waiting = [asyncio.ensure_future(vendor.ask(f"series {n}")) for n in range(3)]
        await clock.sleep(30.2)  # a probe is on the wire
        first = next(task for task in waiting if not task.done())
        first.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = run(main)
    assert results.count(True) >= 2


def test_a_retry_after_lengthens_the_wait_for_the_probe_up_to_five_minutes():
    async def main(clock):
        vendor = Vendor(clock, 0.0, 400.0)
        vendor.retry_after = 9999.0
        await vendor.ask_all(["a", "b", "c", "d", "e"])
        return [at for at, _ in vendor.sent]

    probes = [at for at in run(main) if at > 10]
    assert probes[0] == pytest.approx(301, abs=2)
    assert probes[1] == pytest.approx(602, abs=3)


def test_opening_and_closing_are_said(caplog):
    async def main(clock):
        await Vendor(clock, 0.0, 40.0).ask_all(["a", "b", "c", "d", "e"])

    run(main)
    opened, closed = caplog.messages
    assert opened.startswith("the vendor is down since 00:00:00 UTC: all wait, next probe in 30 s: ")
    assert closed.startswith("the vendor answers again after ")
