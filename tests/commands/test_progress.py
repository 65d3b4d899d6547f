"""How long a run may still take, and what the rate limit does, in words."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from lib.breaker import OPENS_AFTER, Breaker
from lib.budget import Budget
from lib.commands.progress import Pace, duration, one_line
from lib.errors import ServiceFailed
from lib.outcome import SeriesOutcome, SeriesStatus, SymbolOutcome
from lib.timeframe import Timeframe


class StoppedClock:
    """A clock that only moves when told to."""

    def __init__(self):
        self.seconds = 100.0

    def now(self):
        return datetime(2025, 6, 2, 14, 3, tzinfo=UTC)

    def monotonic(self):
        return self.seconds


@pytest.fixture
def clock():
    return StoppedClock()


def pace_of(clock, rate_limit, symbols=4):
    vendor = SimpleNamespace(breaker=Breaker(clock))
    return Pace(SimpleNamespace(clock=clock, budget=Budget(rate_limit, clock), vendor=vendor), symbols)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (754, "13 min"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_are_rough(seconds, text):
    assert duration(seconds) == text


def test_nothing_is_foretold_before_the_first_answer(clock):
    pace = pace_of(clock, 150)

    assert pace.seconds_left() is None
    assert pace.speed() == "0 bars/s"


def test_the_rest_is_foretold_by_the_speed_so_far_symbols_not_yet_planned_included(clock):
    pace = pace_of(clock, 0)
    pace.symbols_planned, pace.windows_planned, pace.windows_done, pace.bars = 2, 10, 5, 80_000
    clock.seconds += 8

    # 4 symbols of 5 requests each are 20; 15 are left, at 8/5 s each.
    assert pace.seconds_left() == pytest.approx(24.0)
    assert pace.speed() == "10,000 bars/s, about 24 s left"
    assert pace.limit() == "no rate limit"


async def test_the_rate_limit_is_foretold_too(clock):
    pace = pace_of(clock, 10, symbols=1)
    pace.symbols_planned, pace.windows_planned, pace.windows_done = 1, 31, 4
    async with AsyncExitStack() as on_the_wire:
        for _ in range(4):
            await on_the_wire.enter_async_context(pace.toolkit.budget.request(30))
        assert pace.limit() == "rate limit: 6 of 10 free"
    clock.seconds += 1

    # 27 are left, 6 of them now, then 10 a minute: the last goes out in the third minute from the first.
    assert pace.seconds_left() == pytest.approx(120.0)
    async with AsyncExitStack() as on_the_wire:
        for _ in range(6):
            await on_the_wire.enter_async_context(pace.toolkit.budget.request(30))
    assert pace.limit() == "rate limit: next in 59 s"
    pace.toolkit.budget.rate_limited(12)
    assert pace.limit() == "answered 429: all wait 12 s"


async def test_a_limit_that_is_shared_leaves_a_part_of_each_minute(clock):
    pace = pace_of(clock, 10, symbols=1)
    pace.symbols_planned, pace.windows_planned, pace.windows_done = 1, 31, 4
    pace.toolkit.budget.others = 1
    clock.seconds += 1

    # 27 are left, 10 of them now, then 5 a minute.
    assert pace.limit() == "rate limit: 10 of 10 free, shared with 1 other"
    assert pace.seconds_left() == pytest.approx(180.0)
    pace.toolkit.budget.others = 2
    assert pace.limit().endswith("shared with 2 others")


def test_a_symbols_line_tells_its_worst_status():
    fine = SeriesOutcome("KO", Timeframe.M1, SeriesStatus.OK, inserted=1_234, requests=1)
    left = SeriesOutcome("KO", Timeframe.D1, SeriesStatus.LEFT, updated=2)

    assert one_line(SymbolOutcome("KO", [fine])) == "[bold]KO    [/]  [green]ok[/]  1,234 new bars, 1 request"
    assert "[yellow]left[/]  1,234 new bars, 2 changed, 1 request" in one_line(
        SymbolOutcome("KO", [fine, left])
    )
    assert "interrupted" in one_line(SymbolOutcome("KO"))


async def test_a_vendor_that_is_down_is_said_with_the_next_probe(clock):
    pace = pace_of(clock, 10)
    breaker = pace.toolkit.vendor.breaker

    async def fail():
        raise ServiceFailed

    for _ in range(OPENS_AFTER):
        with pytest.raises(ServiceFailed):
            async with breaker.attempt():
                await fail()
    assert await breaker.confirms(fail)
    clock.seconds += 12

    assert pace.limit() == "vendor down since 14:03 UTC, next probe in 18 s"
