"""Splits, dividends, tickers, holidays: the emulator's answers, and the vendor's own client reading them."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime

import pytest
from aiohttp import ClientSession
from massive import RESTClient

from lib.vendor.emulator.clock import MovedClock
from lib.vendor.emulator.folder import FolderMarket
from lib.vendor.emulator.market import Dividend, Listing, MemoryMarket, Split
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket

SPLITS = [
    Split("AAPL", date(2005, 2, 28), 1, 2),
    Split("AAPL", date(2014, 6, 9), 1, 7),
    Split("AAPL", date(2020, 8, 31), 1, 4),
    Split("GE", date(2021, 8, 2), 8, 1),
    Split("LATER", date(2026, 5, 1), 1, 2),
]
DIVIDENDS = [
    Dividend("AAPL", date(2020, 8, 7), 0.82),
    Dividend("AAPL", date(2020, 11, 6), 0.205),
    Dividend("KO", date(2020, 9, 14), 0.41),
]
KNOWN = {name: Listing(name, f"{name} Inc.") for name in ("AAPL", "GE", "KO", "LATER")}
MARKET = MemoryMarket(split_list=SPLITS, dividend_list=DIVIDENDS, known=KNOWN)
NOW = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)  # Thursday, 10:00 in New York


@asynccontextmanager
async def asking(market=MARKET, now=NOW, **settings):
    """An emulator of *market*, and a function that gets a path from it: status and JSON."""
    headers = {"Authorization": "Bearer emulator-key"}
    clock = MovedClock(now, fixed=True)
    async with (
        Emulator(market, EmulatorSettings().changed(settings), clock) as emulator,
        ClientSession(emulator.url, headers=headers) as session,
    ):

        async def get(path: str) -> tuple[int, dict]:
            async with session.get(path) as response:
                return response.status, json.loads(await response.read())

        yield emulator, get


async def rows(get, path: str) -> list[dict]:
    """The rows of every page."""
    found = []
    while path:
        status, page = await get(path)
        assert status == 200 and page["status"] == "OK"
        found += page["results"]
        path = page.get("next_url")
    return found


async def test_splits_of_the_older_generation():
    async with asking() as (_, get):
        _, page = await get("/v3/reference/splits?ticker=AAPL&order=asc")

    assert list(page) == ["results", "status", "request_id"]
    assert [list(row) for row in page["results"]] == [
        ["execution_date", "id", "split_from", "split_to", "ticker"]
    ] * 3
    assert [(row["execution_date"], row["split_to"]) for row in page["results"]] == [
        ("2005-02-28", 2),
        ("2014-06-09", 7),
        ("2020-08-31", 4),
    ]


async def test_splits_of_the_newer_generation_carry_the_factor_of_that_split_and_all_later_ones():
    async with asking() as (_, get):
        found = await rows(get, "/stocks/v1/splits?ticker=AAPL&sort=execution_date.asc")
        _, both = await get("/stocks/v1/splits?ticker.any_of=GE,AAPL&sort=ticker.desc,execution_date.asc")

    assert [row["historical_adjustment_factor"] for row in found] == [
        0.017857,
        0.035714,
        0.25,
    ]  # 1/56, 1/28, 1/4
    assert [(row["ticker"], row["adjustment_type"]) for row in both["results"]] == [
        ("GE", "reverse_split"),
        *[("AAPL", "forward_split")] * 3,
    ]
    assert [row["execution_date"] for row in both["results"][1:]] == [
        "2005-02-28",
        "2014-06-09",
        "2020-08-31",
    ]


@pytest.mark.parametrize(
    ("query", "dates"),
    [
        (
            "",
            ["2021-08-02", "2020-08-31", "2014-06-09", "2005-02-28"],
        ),  # newest first; 2026 is not announced yet
        ("?execution_date=2014-06-09", ["2014-06-09"]),
        ("?execution_date.gte=2014-06-09&execution_date.lt=2021-08-02", ["2020-08-31", "2014-06-09"]),
        ("?execution_date.gt=2014-06-09&execution_date.lte=2021-08-02", ["2021-08-02", "2020-08-31"]),
        ("?ticker.gt=AAPL", ["2021-08-02"]),
        ("?ticker=NOSUCH", []),
    ],
)
@pytest.mark.parametrize("path", ["/v3/reference/splits", "/stocks/v1/splits"])
async def test_filters(path, query, dates):
    async with asking() as (_, get):
        assert [row["execution_date"] for row in await rows(get, path + query)] == dates


async def test_reverse_splits_only():
    async with asking() as (_, get):
        assert [row["ticker"] for row in await rows(get, "/v3/reference/splits?reverse_split=true")] == ["GE"]
        assert len(await rows(get, "/v3/reference/splits?reverse_split=false")) == 3


@pytest.mark.parametrize(
    "path", ["/v3/reference/splits", "/stocks/v1/splits", "/v3/reference/dividends", "/stocks/v1/dividends"]
)
async def test_pages_go_on_at_the_cursor_with_the_same_question(path):
    async with asking() as (emulator, get):
        whole = await rows(get, f"{path}?ticker.any_of=AAPL,KO&limit=1000")
        paged = await rows(get, f"{path}?ticker.any_of=AAPL,KO&limit=1")

    assert paged == whole and len(whole) == 3
    assert emulator.counts.total == 1 + 3
    assert all("cursor=" in entry.path and "ticker" not in entry.path for entry in emulator.counts.log[2:])


async def test_default_limits_are_the_vendors():
    many = MemoryMarket(
        split_list=[Split("AAPL", date(2000 + n % 20, 1 + n % 12, 1 + n % 28), 1, 2) for n in range(150)],
        known=KNOWN,
    )
    async with asking(many) as (_, get):
        sizes = [
            len((await get(path))[1]["results"]) for path in ("/v3/reference/splits", "/stocks/v1/splits")
        ]

    assert sizes == [10, 100]


async def test_dividends_of_both_generations():
    async with asking() as (_, get):
        old = await rows(get, "/v3/reference/dividends?ticker=AAPL&ex_dividend_date.gte=2020-01-01&order=asc")
        new = await rows(get, "/stocks/v1/dividends?ticker=AAPL&sort=ex_dividend_date.asc")

    assert [(row["cash_amount"], row["ex_dividend_date"], row["dividend_type"]) for row in old] == [
        (0.82, "2020-08-07", "CD"),
        (0.205, "2020-11-06", "CD"),
    ]
    assert [row["split_adjusted_cash_amount"] for row in new] == [0.205, 0.205]
    assert {row["distribution_type"] for row in new} == {"recurring"}
    assert {row["id"] for row in old} == {row["id"] for row in new} and len({row["id"] for row in old}) == 2


@pytest.mark.parametrize(
    ("offered", "statuses"), [("both", [200, 200]), ("v3", [200, 404]), ("v1", [404, 200])]
)
async def test_one_generation_may_be_missing(offered, statuses):
    paths = ("/v3/reference/dividends", "/stocks/v1/dividends")
    settings = EmulatorSettings(key="").changed({"actions": offered})
    async with Emulator(MARKET, settings) as emulator, ClientSession(emulator.url) as session:
        for path, status in zip(paths, statuses, strict=True):
            async with session.get(path, params={"apiKey": "any"}) as response:
                assert response.status == status


@pytest.mark.parametrize("query", ["?sort=colour", "?limit=ten", "?order=up"])
async def test_wrong_parameters_are_a_400(query):
    async with asking() as (_, get):
        status, body = await get("/v3/reference/splits" + query)

    assert (status, body["status"]) == (400, "ERROR")


async def test_recorded_splits_and_dividends_are_served(shared_data):
    async with asking(FolderMarket(shared_data)) as (_, get):
        splits = await rows(get, "/v3/reference/splits?ticker=AAPL")
        dividends = await rows(get, "/v3/reference/dividends?ticker=KO&limit=1000")
        recorded = json.loads((shared_data / "api_samples" / "v3_reference_dividends.json").read_text())

    assert [(row["execution_date"], row["split_from"], row["split_to"]) for row in splits] == [
        ("2014-06-09", 1, 7)
    ]
    assert len(dividends) == 12
    assert set(recorded["results"][0]) <= set(dividends[0])


async def test_details_of_a_ticker():
    async with asking(SimulatedMarket(7)) as (_, get):
        _, stock = await get("/v3/reference/tickers/AAPL")
        _, fund = await get("/v3/reference/tickers/SPY?date=2024-01-02")
        _, coin = await get("/v3/reference/tickers/X:BTCUSD")
        status, unknown = await get("/v3/reference/tickers/UNKNOWNCO")

    assert (stock["status"], stock["results"]["type"], stock["results"]["market"]) == ("OK", "CS", "stocks")
    assert (fund["results"]["type"], fund["results"]["locale"]) == ("ETF", "us")
    assert (coin["results"]["market"], coin["results"]["base_currency_symbol"]) == ("crypto", "BTC")
    assert (status, unknown["status"], unknown["message"]) == (404, "NOT_FOUND", "Ticker not found.")


async def test_tickers_are_listed_filtered_and_paged():
    known = KNOWN | {"GONE": Listing("GONE", "Gone Inc.", active=False, delisted=date(2020, 1, 2))}
    async with asking(MemoryMarket(known=known)) as (_, get):
        _, page = await get("/v3/reference/tickers?limit=2")
        everyone = await rows(get, "/v3/reference/tickers?limit=2&order=desc")
        dead = await rows(get, "/v3/reference/tickers?active=false")
        ranged = await rows(get, "/v3/reference/tickers?ticker.gte=GE&ticker.lt=KZ")
        searched = await rows(get, "/v3/reference/tickers?search=ko&market=stocks&type=CS")
        by_name = await rows(get, "/v3/reference/tickers?ticker=KO")

    assert list(page) == ["results", "status", "request_id", "count", "next_url"] and page["count"] == 2
    assert [row["ticker"] for row in everyone] == ["LATER", "KO", "GE", "AAPL"]
    assert [(row["ticker"], row["delisted_utc"]) for row in dead] == [("GONE", "2020-01-02T00:00:00Z")]
    assert [row["ticker"] for row in ranged] == ["GE", "KO"]
    assert [row["ticker"] for row in searched] == [row["ticker"] for row in by_name] == ["KO"]


async def test_holidays_ahead_are_a_bare_array():
    async with asking() as (_, get):
        _, found = await get("/v1/marketstatus/upcoming")

    new_york = [row for row in found if row["exchange"] == "NYSE"]
    assert [(row["date"], row["status"]) for row in new_york[:3]] == [
        ("2025-11-27", "closed"),
        ("2025-11-28", "early-close"),
        ("2025-12-24", "early-close"),
    ]
    assert (new_york[1]["open"], new_york[1]["close"]) == (
        "2025-11-28T14:30:00.000Z",
        "2025-11-28T18:00:00.000Z",
    )
    assert {row["exchange"] for row in found} == {"NYSE", "NASDAQ"} and len(found) == 2 * len(new_york)
    assert max(row["date"] for row in found) <= "2026-11-20"


@pytest.mark.parametrize(
    ("hour", "minute", "day", "state"),
    [
        (8, 59, 20, "closed"),
        (9, 0, 20, "extended-hours"),
        (14, 30, 20, "open"),
        (21, 0, 20, "extended-hours"),
        (15, 0, 22, "closed"),  # Saturday
        (18, 0, 28, "extended-hours"),  # after the early close
        (22, 0, 28, "closed"),
    ],
)
async def test_market_status(hour, minute, day, state):
    async with asking(now=datetime(2025, 11, day, hour, minute, tzinfo=UTC)) as (_, get):
        _, status = await get("/v1/marketstatus/now")

    assert status["market"] == status["exchanges"]["nyse"] == state
    assert status["serverTime"] == f"2025-11-{day:02d}T{hour - 5:02d}:{minute:02d}:00-05:00"
    assert status["currencies"]["crypto"] == "open"


async def test_the_vendors_own_client_reads_it():
    market = SimulatedMarket(7)
    async with Emulator(market, EmulatorSettings(page_cap=700)) as emulator:

        def read() -> None:
            client = RESTClient("emulator-key", base=emulator.url)
            bars = list(
                client.list_aggs(
                    "AAPL", 5, "minute", "2024-01-02", "2024-01-05", adjusted=False, limit=50_000
                )
            )
            assert len(bars) > 600
            assert [bar.timestamp for bar in bars] == sorted({bar.timestamp for bar in bars})
            expected = market.minutes("AAPL", bars[0].timestamp, 1704517200000, 10**6)
            assert sum(bar.volume for bar in bars) == expected.volume.sum()
            grouped = client.get_grouped_daily_aggs("2024-01-02", adjusted=False)
            day = next(bar for bar in grouped if bar.ticker == "AAPL")
            assert day.close == market.days("AAPL", 1704171600000, 1704171600001, 1).close[0]
            assert [row.split_to for row in client.list_splits("AAPL", order="asc")] == [2, 7, 4]
            assert [row.split_to for row in client.list_stocks_splits(ticker="AAPL")] == [4, 7, 2]
            paying = next(t for t in ("AAPL", "NVDA", "TSLA", "GOOG", "AMZN") if market.dividends(t))
            dividends = list(client.list_dividends(paying, ex_dividend_date_lt="2010-01-01", limit=5))
            assert len(dividends) == 7 * 4 and dividends[0].cash_amount > 0
            assert client.get_ticker_details("SPY").type == "ETF"
            assert sum(1 for _ in client.list_tickers(market="crypto", limit=4)) == 6
            assert client.get_market_holidays()[0].exchange == "NYSE"
            assert client.get_market_status().market in ("open", "closed", "extended-hours")

        await asyncio.to_thread(read)
    assert emulator.counts.by_kind["aggs"] > 4
    assert emulator.counts.by_status.keys() == {200}
