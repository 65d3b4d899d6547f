"""Keys, the rate limit, and what the emulator counts."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession
from yarl import URL

from lib.clock import ScaledClock
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket

PATH = "/v2/aggs/ticker/SPY/range/1/day/2023-01-03/2023-01-03"


class SteppedClock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(
            1_700_000_000 - 20 + self.seconds, UTC
        )  # 20 s before a full minute: 20 past

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@asynccontextmanager
async def limited(clock=None, **settings):
    """An emulator with those settings, and a function that asks it once: the status."""
    async with (
        Emulator(
            SimulatedMarket(7), EmulatorSettings().changed(settings), clock or SteppedClock()
        ) as emulator,
        ClientSession(emulator.url, headers={"Authorization": "Bearer emulator-key"}) as session,
    ):

        async def ask(path: str | URL = PATH) -> int:
            async with session.get(path) as response:
                await response.read()
                return response.status

        yield emulator, ask


@pytest.mark.parametrize(
    ("headers", "query", "status", "text"),
    [
        ({}, "", 401, "API Key was not provided"),
        ({"Authorization": "Bearer wrong"}, "", 401, "Unknown API Key"),
        ({}, "?apiKey=wrong", 401, "Unknown API Key"),
        ({"Authorization": "Bearer right"}, "", 200, None),
        ({}, "?apiKey=right", 200, None),
    ],
)
async def test_a_key_is_asked_for(headers, query, status, text):
    settings = EmulatorSettings(key="right")
    async with (
        Emulator(SimulatedMarket(7), settings) as emulator,
        ClientSession(emulator.url) as session,
        session.get(PATH + query, headers=headers) as response,
    ):
        body = await response.json()

    assert (response.status, body.get("error")) == (status, text)
    assert set(body) >= {"status", "request_id"}


async def test_the_order_of_checks_is_route_key_rate_parameters_plan():
    wrong = "/v2/aggs/ticker/SPY/range/1/eon/2023-01-03/2023-01-03"
    async with (
        limited(rate_limit=2, refused_markets=["stocks"]) as (emulator, ask),
        ClientSession(emulator.url) as keyless,
    ):
        for path, status in (("/v9/nothing", 404), (wrong, 401)):
            async with keyless.get(path) as response:
                assert response.status == status
        assert [await ask(wrong), await ask(PATH), await ask(wrong), await ask("/v9/nothing")] == [
            400,
            403,
            429,
            404,
        ]


async def test_429_has_the_vendors_body_and_no_retry_after_unless_told():
    async with limited(rate_limit=1) as (emulator, ask), ClientSession() as session:
        await ask()
        for seconds, header in ((None, None), (12, "12"), (0.5, "0.5")):
            emulator.change(retry_after_seconds=seconds)
            async with session.get(f"{emulator.url}{PATH}?apiKey=emulator-key") as response:
                body = json.loads(await response.read())
            assert (response.status, response.headers.get("Retry-After")) == (429, header)
            assert list(body) == ["status", "request_id", "error"]
            assert body["error"].startswith(
                "You've exceeded the maximum requests per minute, please wait or upgrade"
            )
    assert emulator.counts.rate_limited == 3


async def test_the_window_slides():
    clock = SteppedClock()
    async with limited(clock, rate_limit=2) as (_, ask):
        statuses = []
        for at in (0, 50, 59.9, 60, 61, 109.9, 110):
            clock.seconds = at
            statuses.append(await ask())

    assert statuses == [200, 200, 429, 200, 429, 429, 200]


async def test_the_window_may_be_a_fixed_minute():
    clock = SteppedClock()
    async with limited(clock, rate_limit=2, rate_mode="fixed") as (_, ask):
        statuses = []
        begins = 60 - clock.now().timestamp() % 60
        for at in (0, begins - 1, begins - 0.1, begins + 0.1, begins + 1, begins + 59, begins + 60.1):
            clock.seconds = at
            statuses.append(await ask())

    assert statuses == [200, 200, 429, 200, 200, 429, 200]


async def test_the_window_may_be_scaled_with_the_clock():
    clock = ScaledClock(speed=200.0)  # a minute in 0.3 s
    async with limited(clock, rate_limit=3) as (emulator, ask):
        first = [await ask() for _ in range(4)]
        await clock.sleep(61)
        assert (first, await ask()) == ([200, 200, 200, 429], 200)
    assert emulator.counts.busiest_window == 4


@pytest.mark.parametrize(("count_refused", "status"), [(False, 200), (True, 429)])
async def test_refused_requests_may_count(count_refused, status):
    clock = SteppedClock()
    async with limited(clock, rate_limit=1, count_refused=count_refused) as (_, ask):
        assert await ask() == 200
        clock.seconds = 30
        assert await ask() == 429
        clock.seconds = 61
        assert await ask() == status


async def test_bursts_may_be_limited():
    clock = SteppedClock()
    async with limited(clock, burst_per_second=3) as (_, ask):
        assert [await ask() for _ in range(5)] == [200, 200, 200, 429, 429]
        clock.seconds += 1.0
        assert await ask() == 200


async def test_everything_asked_is_counted():
    async with limited(page_cap=2) as (emulator, ask):
        for path in (
            PATH,
            "/v3/reference/tickers/AAPL",
            "/v3/reference/tickers/UNKNOWN",
            "/v1/marketstatus/now",
        ):
            await ask(path)
        await ask(URL("/v2/aggs/ticker/X%3ABTCUSD/range/1/day/2023-01-03/2023-01-09?limit=9", encoded=True))
        counts = emulator.counts

    assert (counts.total, counts.aggs, counts.pages, counts.rate_limited) == (5, 2, 2, 0)
    assert counts.by_kind == {"aggs": 2, "ticker": 2, "now": 1}
    assert counts.by_status == {200: 4, 404: 1}
    assert [(entry.path, entry.status) for entry in counts.log[:1]] == [(PATH, 200)]
    assert counts.log[-1].path.startswith("/v2/aggs/ticker/X%3ABTCUSD/")  # as sent
    assert counts.busiest_window == 5 and counts.most_in_flight == 1


async def test_requests_open_at_once_are_counted():
    async with limited(ScaledClock(), latency_seconds=0.2) as (emulator, ask):
        statuses = await asyncio.gather(*(ask() for _ in range(7)))

    assert statuses == [200] * 7
    assert emulator.counts.most_in_flight == 7 and emulator.counts.in_flight == 0


async def test_it_listens_on_the_loopback_interface_only():
    async with Emulator(SimulatedMarket(7)) as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        assert [host for host, _ in emulator._runner.addresses] == ["127.0.0.1"]
