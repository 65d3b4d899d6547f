"""What the emulator answers about bars, over a real socket: one case for each rule of the protocol."""

import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from aiohttp import ClientSession

from lib.bars import NO_TRADES, Bars
from lib.vendor.emulator.clock import MovedClock
from lib.vendor.emulator.folder import FolderMarket
from lib.vendor.emulator.market import Listing, MemoryMarket, Split
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.vendor.emulator.windows import DAY_MS, MINUTE_MS

RAW = "adjusted=false&sort=asc&limit=50000"
FAR = 2**50


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


def bars_at(*stamps: int, **columns: list[float]) -> Bars:
    n = len(stamps)
    values = {
        "open": [10.25] * n,
        "high": [11.5] * n,
        "low": [9.75] * n,
        "close": [10.5] * n,
        "volume": [100.0] * n,
    }
    values |= {"vwap": [10.4] * n} | columns
    trades = np.array(values.pop("trades", [7] * n), np.int64)
    arrays = {name: np.array(value, np.float64) for name, value in values.items()}
    return Bars(t=np.array(stamps, np.int64), trades=trades, **arrays)


def minutes_from(start: int, count: int) -> Bars:
    return bars_at(*range(start, start + count * MINUTE_MS, MINUTE_MS))


@asynccontextmanager
async def asking(market, clock=None, **settings):
    """An emulator of *market*, and a function that gets a path from it: status and JSON."""
    headers = {"Authorization": "Bearer emulator-key"}
    async with (
        Emulator(market, EmulatorSettings().changed(settings), clock) as emulator,
        ClientSession(headers=headers) as session,
    ):

        async def get(path: str) -> tuple[int, dict]:
            async with session.get(path if path.startswith("http") else emulator.url + path) as response:
                return response.status, json.loads(await response.read())

        yield emulator, get


async def all_pages(get, path: str) -> list[dict]:
    """Every page, next_url followed as it is."""
    pages = []
    while path:
        status, page = await get(path)
        assert status == 200
        pages.append(page)
        path = page.get("next_url")
    return pages


def stamps(page: dict) -> list[int]:
    return [bar["t"] for bar in page.get("results", [])]


async def test_a_page_has_the_vendors_keys_in_the_vendors_order():
    start = ms(2024, 1, 2, 15)
    async with asking(MemoryMarket({"AAPL": minutes_from(start, 3)})) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/AAPL/range/1/minute/{start}/2024-01-02?{RAW[:-5]}2")

    assert list(page) == [
        "ticker", "queryCount", "resultsCount", "adjusted", "results",
        "status", "request_id", "count", "next_url",
    ]  # fmt: skip
    assert list(page["results"][0]) == ["v", "vw", "o", "c", "h", "l", "t", "n"]
    assert (page["ticker"], page["adjusted"], page["status"]) == ("AAPL", False, "OK")
    assert (page["queryCount"], page["resultsCount"], page["count"]) == (2, 2, 2)


async def test_headers_are_the_vendors():
    clock = MovedClock(datetime(2025, 1, 8, 20, 0, 5, tzinfo=UTC), fixed=True)
    async with asking(SimulatedMarket(7), clock) as (emulator, _), ClientSession() as session:
        url = f"{emulator.url}/v2/aggs/ticker/AAPL/range/1/day/2024-01-02/2024-02-02?apiKey=emulator-key"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as packed:
            page, headers = await packed.json(), packed.headers
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert (await plain.json())["results"] == page["results"]

    assert headers["Content-Encoding"] == "gzip"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Request-Id"] == page["request_id"]
    assert len(page["request_id"]) == 32 and int(page["request_id"], 16) and page["request_id"].islower()
    assert headers["Date"] == "Wed, 08 Jan 2025 20:00:05 GMT"


async def test_no_bars_is_an_answer_without_results_and_count():
    async with asking(SimulatedMarket(7)) as (_, get):
        for path in (
            f"/v2/aggs/ticker/AAPL/range/1/minute/2024-01-06/2024-01-07?{RAW}",  # a weekend
            f"/v2/aggs/ticker/UNKNOWN/range/1/day/2024-01-02/2024-02-01?{RAW}",  # no such ticker: not a 404
        ):
            status, page = await get(path)
            assert status == 200
            assert list(page) == ["ticker", "queryCount", "resultsCount", "adjusted", "status", "request_id"]
            assert (page["queryCount"], page["resultsCount"]) == (0, 0)


async def test_what_is_unknown_is_left_out_and_numbers_are_written_in_several_ways():
    start = ms(2024, 1, 2, 15)
    bars = bars_at(
        *range(start, start + 8 * MINUTE_MS, MINUTE_MS),
        vwap=[np.nan] + [10.4] * 7,
        trades=[NO_TRADES] + [5] * 7,
        open=[10.0] * 8,
        volume=[100.0] + [1_029_145.0] * 7,
    )
    async with asking(MemoryMarket({"AAPL": bars})) as (emulator, _), ClientSession() as session:
        path = f"/v2/aggs/ticker/AAPL/range/1/minute/2024-01-02/2024-01-02?{RAW}"
        url = f"{emulator.url}{path}&apiKey=emulator-key"
        async with session.get(url) as response:
            text = await response.text()

    results = json.loads(text)["results"]
    assert list(results[0]) == ["v", "o", "c", "h", "l", "t"]
    assert '"o":10,' in text
    assert text.count("1.029145e+06") == 1 and text.count('"v":1029145,') == 6
    assert [bar["v"] for bar in results] == [100] + [1_029_145] * 7


@pytest.mark.parametrize("ticker", ["X:BTCUSD", "AAPL"])
async def test_every_number_arrives_to_the_last_digit(ticker):
    market = SimulatedMarket(7)
    async with asking(market) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/{ticker}/range/1/minute/2024-01-02/2024-01-03?{RAW}")

    start, end = int(page["results"][0]["t"]), int(page["results"][-1]["t"]) + 1
    bars = market.minutes(ticker, start, end, 10**6)
    for name, key in {
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "vwap": "vw",
    }.items():
        assert [bar[key] for bar in page["results"]] == getattr(bars, name).tolist()
    assert [bar["n"] for bar in page["results"]] == bars.trades.tolist()


async def test_dates_are_new_york_days_for_stocks_and_utc_days_for_coins_both_ends_included():
    async with asking(SimulatedMarket(7)) as (_, get):
        _, days = await get(f"/v2/aggs/ticker/AAPL/range/1/day/2024-03-08/2024-03-11?{RAW}")
        _, minutes = await get(f"/v2/aggs/ticker/AAPL/range/1/minute/2024-03-11/2024-03-11?{RAW}")
        _, coin = await get(f"/v2/aggs/ticker/X:BTCUSD/range/1/day/2024-03-09/2024-03-10?{RAW}")

    assert stamps(days) == [ms(2024, 3, 8, 5), ms(2024, 3, 11, 4)]  # the clocks changed on the 10th
    assert ms(2024, 3, 11, 8) <= stamps(minutes)[0] and stamps(minutes)[-1] < ms(2024, 3, 12)
    assert stamps(coin) == [ms(2024, 3, 9), ms(2024, 3, 10)]


async def test_minutes_after_midnight_utc_belong_to_the_new_york_day_before():
    async with asking(SimulatedMarket(7)) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/SPY/range/1/minute/2024-01-10/2024-01-10?{RAW}")

    assert stamps(page)[-1] >= ms(2024, 1, 11)  # 19:00 in New York


@pytest.mark.parametrize(
    ("span", "start", "end", "first", "last"),
    [
        # 14:30:30 snaps down to 14:30; the minute that holds the end is included
        ("1/minute", ms(2024, 1, 2, 14, 30) + 30_000, ms(2024, 1, 2, 14, 32), (14, 30), (14, 32)),
        ("1/minute", ms(2024, 1, 2, 15), ms(2024, 1, 2, 15), (15, 0), (15, 0)),
        # 09:30 in New York snaps down to 09:00, and the end up to the whole hour
        ("1/hour", ms(2024, 1, 2, 14, 30), ms(2024, 1, 2, 16, 10), (14, 0), (16, 0)),
        # 5-minute windows are counted from an odd start, not from the clock
        ("5/minute", ms(2024, 1, 2, 14, 32), ms(2024, 1, 2, 14, 50), (14, 32), (14, 47)),
        # 4-hour windows from 05:00Z, midnight in New York
        ("4/hour", ms(2024, 1, 2, 5), ms(2024, 1, 2, 20), (9, 0), (17, 0)),
        ("4/hour", ms(2024, 1, 2, 4), ms(2024, 1, 2, 20), (8, 0), (20, 0)),
    ],
)
async def test_the_range_snaps_to_units_and_windows_are_counted_from_its_start(span, start, end, first, last):
    async with asking(SimulatedMarket(7)) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/SPY/range/{span}/{start}/{end}?{RAW}")

    assert (stamps(page)[0], stamps(page)[-1]) == (ms(2024, 1, 2, *first), ms(2024, 1, 2, *last))


async def test_weeks_start_on_sunday_and_a_range_inside_one_is_widened_to_it():
    async with asking(SimulatedMarket(7)) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/AAPL/range/1/week/2024-03-06/2024-03-13?{RAW}")
        _, days = await get(f"/v2/aggs/ticker/AAPL/range/1/day/2024-03-03/2024-03-16?{RAW}")

    assert stamps(page) == [ms(2024, 3, 3, 5), ms(2024, 3, 10, 5)]
    assert page["queryCount"] == 10
    assert page["results"][0]["v"] == sum(bar["v"] for bar in days["results"][:5])
    assert page["results"][1]["c"] == days["results"][9]["c"]


async def test_limit_counts_base_bars_and_the_partial_window_is_dropped():
    # The vendor's own example: hours from 14:00 to 16:00 with limit 100 give one bar.
    market = MemoryMarket({"AAPL": minutes_from(ms(2024, 1, 2, 14), 120)})
    async with asking(market) as (_, get):
        hours = f"{ms(2024, 1, 2, 14)}/{ms(2024, 1, 2, 15, 59)}"
        _, page = await get(f"/v2/aggs/ticker/AAPL/range/1/hour/{hours}?limit=100&sort=asc")
        _, rest = await get(page["next_url"])

    assert (page["queryCount"], page["resultsCount"]) == (100, 1)
    assert stamps(page) == [ms(2024, 1, 2, 14)] and page["results"][0]["v"] == 6000
    assert f"/{ms(2024, 1, 2, 15)}/" in page["next_url"]
    assert stamps(rest) == [ms(2024, 1, 2, 15)] and "next_url" not in rest


async def test_a_complete_last_window_is_kept():
    market = MemoryMarket({"AAPL": minutes_from(ms(2024, 1, 2, 14), 120)})
    async with asking(market) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/AAPL/range/5/minute/{ms(2024, 1, 2, 14)}/2024-01-02?limit=10")

    assert page["resultsCount"] == 2


async def test_a_limit_below_one_window_keeps_the_partial_bar_and_goes_on():
    market = MemoryMarket({"AAPL": minutes_from(ms(2024, 1, 2, 14), 120)})
    async with asking(market) as (_, get):
        pages = await all_pages(
            get, f"/v2/aggs/ticker/AAPL/range/1/hour/{ms(2024, 1, 2, 14)}/{ms(2024, 1, 2, 15, 59)}?limit=7"
        )

    assert [stamps(page) for page in pages] == [[ms(2024, 1, 2, 14)], [ms(2024, 1, 2, 15)]]
    assert [bar["v"] for page in pages for bar in page["results"]] == [700, 700]


async def test_the_default_limit_is_5000_and_more_than_50000_is_cut():
    market = MemoryMarket({"X:BTCUSD": minutes_from(ms(2024, 1, 1), 51_000)})
    path = "/v2/aggs/ticker/X:BTCUSD/range/1/minute/2024-01-01/2024-03-01"
    async with asking(market) as (emulator, get):
        _, default = await get(path)
        _, most = await get(f"{path}?limit=500000")
        emulator.change(page_cap=100)
        _, capped = await get(f"{path}?limit=50000")

    assert [page["resultsCount"] for page in (default, most, capped)] == [5000, 50_000, 100]


async def test_next_url_goes_on_from_the_end_of_the_last_window():
    # As in the vendor's example: after Friday's day bar comes Saturday 00:00 New York, not the next session.
    async with asking(SimulatedMarket(7)) as (emulator, get):
        _, page = await get(
            "/v2/aggs/ticker/AAPL/range/1/day/2020-01-02/2020-01-10?adjusted=true&sort=asc&limit=2"
        )

    start = f"{emulator.url}/v2/aggs/ticker/AAPL/range/1/day/1578114000000/2020-01-10?cursor="
    assert page["next_url"] == start + "bGltaXQ9MiZzb3J0PWFzYw"  # limit=2&sort=asc, unpadded


@pytest.mark.parametrize(("remembered", "flags"), [(True, [False, False]), (False, [False, True])])
async def test_the_cursor_may_forget_adjusted(remembered, flags):
    async with asking(SimulatedMarket(7), cursor_adjusted=remembered) as (_, get):
        pages = await all_pages(
            get, "/v2/aggs/ticker/AAPL/range/1/day/2024-01-02/2024-01-05?limit=2&adjusted=false"
        )
        _, repaired = await get(pages[0]["next_url"] + "&adjusted=false&limit=1")  # given openly, it wins

    assert [page["adjusted"] for page in pages] == flags
    assert (repaired["adjusted"], repaired["resultsCount"]) == (False, 1)
    hidden = base64.urlsafe_b64decode(pages[0]["next_url"].partition("cursor=")[2] + "==").decode()
    assert hidden == ("adjusted=false&" if remembered else "") + "limit=2&sort=asc"


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("span", ["1/minute", "7/minute", "1/hour"])
async def test_pages_together_are_the_whole(span, sort):
    path = f"/v2/aggs/ticker/UGA/range/{span}/2024-01-02/2024-01-08?adjusted=false&sort={sort}"
    async with asking(SimulatedMarket(7)) as (_, get):
        _, whole = await get(f"{path}&limit=50000")
        pages = await all_pages(get, f"{path}&limit=97")

    assert len(pages) > 2
    assert [bar for page in pages for bar in page["results"]] == whole["results"]
    assert stamps(whole) == sorted(stamps(whole), reverse=sort == "desc")


async def test_next_url_may_name_the_vendors_host():
    async with asking(SimulatedMarket(7), next_url_base="https://api.massive.com") as (_, get):
        _, page = await get("/v2/aggs/ticker/X:BTCUSD/range/1/day/2024-01-02/2024-01-05?limit=2")

    assert page["next_url"].startswith("https://api.massive.com/v2/aggs/ticker/X:BTCUSD/range/1/day/")


async def test_adjusted_bars_are_divided_by_the_splits_that_have_happened():
    stamp = ms(2024, 1, 2, 5)
    splits = [Split("AAPL", date(2024, 1, 3), 1, 4), Split("AAPL", date(2024, 1, 20), 1, 10)]
    market = MemoryMarket(day_bars={"AAPL": bars_at(stamp, stamp + DAY_MS)}, split_list=splits)
    clock = MovedClock(datetime(2024, 1, 19, 12, tzinfo=UTC), fixed=True)
    path = "/v2/aggs/ticker/AAPL/range/1/day/2024-01-01/2024-01-05"
    async with asking(market, clock) as (_, get):
        _, adjusted = await get(path)  # true is the default
        _, raw = await get(f"{path}?adjusted=false")
        clock.move_to(datetime(2024, 1, 20, 12, tzinfo=UTC))
        _, later = await get(path)

    assert [(bar["o"], bar["v"], bar["vw"]) for bar in raw["results"]] == [(10.25, 100, 10.4)] * 2
    assert [bar["o"] for bar in adjusted["results"]] == [2.5625, 10.25]
    assert [bar["v"] for bar in adjusted["results"]] == [400, 100]
    assert later["results"][0]["o"] == pytest.approx(0.25625)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "AAPL/range/1/day/2024-01-05/2024-01-04",
            "The parameter 'to' cannot be a time that occurs before 'from'",
        ),
        ("AAPL/range/1/day/2024-13-05/2024-01-04", "Could not parse the time parameter: 'from'. "),
        ("AAPL/range/1/day/2024-01-05/later", "Could not parse the time parameter: 'to'. "),
        ("AAPL/range/0/day/2024-01-05/2024-01-06", "The parameter 'multiplier'"),
        ("AAPL/range/1/eon/2024-01-05/2024-01-06", "The parameter 'timespan'"),
        ("AAPL/range/1/day/2024-01-05/2024-01-06?sort=up", "The parameter 'sort'"),
        ("AAPL/range/1/day/2024-01-05/2024-01-06?limit=-1", "The parameter 'limit'"),
        ("AAPL/range/1/day/2024-01-05/2024-01-06?adjusted=maybe", "The parameter 'adjusted'"),
        ("AAPL/range/1/day/2024-01-05/2024-01-06?cursor=%FF%FE", "The parameter 'cursor'"),
    ],
)
async def test_a_wrong_parameter_is_a_400(path, text):
    async with asking(SimulatedMarket(7)) as (_, get):
        status, body = await get(f"/v2/aggs/ticker/{path}")

    assert status == 400
    assert (list(body), body["status"]) == (["status", "request_id", "error"], "ERROR")
    assert body["error"].startswith(text)


NOW = datetime(2025, 1, 8, 20, 0, 30, tzinfo=UTC)  # Wednesday, 15:00:30 in New York


def running() -> MovedClock:
    return MovedClock(NOW, fixed=True)


async def test_the_future_is_not_shown_and_the_running_minute_in_part():
    market = SimulatedMarket(7)
    whole = market.minutes("SPY", ms(2025, 1, 8, 20), ms(2025, 1, 8, 21), 100)
    async with asking(market, running()) as (_, get):
        _, page = await get(f"/v2/aggs/ticker/SPY/range/1/minute/2025-01-08/2025-01-10?{RAW}")
        _, hour = await get(f"/v2/aggs/ticker/SPY/range/1/hour/2025-01-08/2025-01-08?{RAW}")

    last = page["results"][-1]
    assert last["t"] == ms(2025, 1, 8, 20)
    assert last["v"] == whole.volume[0] // 2 and last["n"] <= whole.trades[0] // 2 + 1
    assert last["o"] == whole.open[0] and last["l"] <= last["c"] <= last["h"]
    assert hour["results"][-1]["t"] == ms(2025, 1, 8, 20) and hour["results"][-1]["v"] == last["v"]


async def test_the_running_day_and_week_grow():
    clock = running()
    async with asking(SimulatedMarket(7), clock) as (_, get):
        seen = []
        for moment in (NOW - timedelta(hours=8), NOW - timedelta(hours=2), NOW, NOW + timedelta(hours=20)):
            clock.move_to(moment)
            _, days = await get(f"/v2/aggs/ticker/AAPL/range/1/day/2025-01-06/2025-01-08?{RAW}")
            _, week = await get(f"/v2/aggs/ticker/AAPL/range/1/week/2025-01-06/2025-01-08?{RAW}")
            assert week["results"][0]["v"] == sum(bar["v"] for bar in days["results"])
            seen.append(days["results"])

    before_open, midday, afternoon, settled = seen
    assert [len(days) for days in seen] == [2, 3, 3, 3]
    assert midday[2]["v"] < afternoon[2]["v"] < settled[2]["v"]
    assert midday[2]["o"] == settled[2]["o"] and midday[2]["h"] <= settled[2]["h"]
    assert before_open == settled[:2]


async def test_a_delayed_plan_says_so_where_it_matters_and_shows_nothing_newer():
    async with asking(SimulatedMarket(7), running(), delay_seconds=900) as (_, get):
        _, today = await get(f"/v2/aggs/ticker/SPY/range/1/minute/2025-01-08/2025-01-08?{RAW}")
        _, past = await get(f"/v2/aggs/ticker/SPY/range/1/minute/2025-01-07/2025-01-07?{RAW}")

    assert (today["status"], past["status"]) == ("DELAYED", "OK")
    assert stamps(today)[-1] == ms(2025, 1, 8, 19, 45)


@pytest.mark.parametrize(
    ("mode", "status", "last"), [("partial", 200, 8), ("empty", 200, None), ("forbidden", 403, None)]
)
async def test_the_running_day_may_be_kept_back(mode, status, last):
    async with asking(SimulatedMarket(7), running(), today=mode) as (_, get):
        answered, page = await get(f"/v2/aggs/ticker/SPY/range/1/day/2025-01-08/2025-01-08?{RAW}")
        _, across = await get(f"/v2/aggs/ticker/SPY/range/1/day/2025-01-06/2025-01-08?{RAW}")

    assert answered == status
    assert stamps(page) == ([ms(2025, 1, last, 5)] if last else [])
    assert len(across["results"]) == (3 if last else 2)


@pytest.mark.parametrize("day", ["2025-01-09", "2025-06-02"])
async def test_the_future_alone_is_outside_every_plan(day):
    async with asking(SimulatedMarket(7), running()) as (_, get):
        status, body = await get(f"/v2/aggs/ticker/SPY/range/1/minute/{day}/{day}?{RAW}")

    assert (status, body["status"]) == (403, "NOT_AUTHORIZED")
    assert body["message"].startswith("Your plan doesn't include this data timeframe.")


@pytest.mark.parametrize(
    ("edge", "start", "end", "status", "days"),
    [
        ("reject", "2024-11-01", "2025-01-07", 403, 0),
        ("clip", "2024-11-01", "2025-01-07", 200, 20),
        ("clip", "2024-11-01", "2024-11-20", 403, 0),
        ("reject", "2024-12-09", "2025-01-07", 200, 20),
    ],
)
async def test_history_ends_at_the_plans_floor(edge, start, end, status, days):
    async with asking(SimulatedMarket(7), running(), history_days=30, history_edge=edge) as (_, get):
        answered, page = await get(f"/v2/aggs/ticker/SPY/range/1/day/{start}/{end}?{RAW}")

    assert answered == status
    assert len(page.get("results", [])) == days


async def test_a_whole_market_may_be_refused():
    async with asking(SimulatedMarket(7), refused_markets=["crypto"]) as (_, get):
        coin = await get(f"/v2/aggs/ticker/X:BTCUSD/range/1/day/2024-01-02/2024-01-03?{RAW}")
        stock = await get(f"/v2/aggs/ticker/AAPL/range/1/day/2024-01-02/2024-01-03?{RAW}")

    assert coin[0] == 403 and coin[1]["message"].startswith("You are not entitled to this data.")
    assert stock[0] == 200


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_withheld_minutes_are_missing_and_pages_stay_full(sort):
    path = f"/v2/aggs/ticker/SPY/range/1/minute/2024-01-02/2024-01-05?adjusted=false&sort={sort}"
    async with asking(SimulatedMarket(7), withhold={"SPY": [date(2024, 1, 3), date(2024, 1, 4)]}) as (_, get):
        pages = await all_pages(get, f"{path}&limit=300")
        _, days = await get(f"/v2/aggs/ticker/SPY/range/1/day/2024-01-02/2024-01-05?{RAW}")

    found = [t for page in pages for t in stamps(page)]
    assert all(page["resultsCount"] == 300 for page in pages[:-1])
    assert {(t - 5 * 3_600_000) // DAY_MS - ms(2024, 1, 1) // DAY_MS for t in found} == {1, 4}
    assert len(days["results"]) == 4


async def test_grouped_bars_are_the_day_bars_of_all_stamped_at_four_in_the_afternoon():
    async with asking(SimulatedMarket(7, size=80)) as (_, get):
        _, page = await get("/v2/aggs/grouped/locale/us/market/stocks/2024-03-11?adjusted=false")
        _, day = await get(f"/v2/aggs/ticker/AAPL/range/1/day/2024-03-11/2024-03-11?{RAW}")

    assert list(page) == [
        "queryCount",
        "resultsCount",
        "adjusted",
        "results",
        "status",
        "request_id",
        "count",
    ]
    names = [bar["T"] for bar in page["results"]]
    assert len(names) == page["count"] == 80 - 6 and names != sorted(names)
    apple = page["results"][names.index("AAPL")]
    assert next(iter(apple)) == "T"
    assert apple == {"T": "AAPL"} | day["results"][0] | {"t": ms(2024, 3, 11, 20)}


async def test_grouped_coins_and_closed_or_unfinished_days():
    clock = running()
    async with asking(SimulatedMarket(7, size=80), clock, today="empty") as (_, get):
        _, coins = await get("/v2/aggs/grouped/locale/global/market/crypto/2025-01-05")  # a Sunday
        _, closed = await get("/v2/aggs/grouped/locale/us/market/stocks/2025-01-05")
        _, today = await get("/v2/aggs/grouped/locale/us/market/stocks/2025-01-08")
        _, coins_today = await get("/v2/aggs/grouped/locale/global/market/crypto/2025-01-08")
        status, wrong = await get("/v2/aggs/grouped/locale/us/market/stocks/20250108")

    assert {bar["T"] for bar in coins["results"]} >= {"X:BTCUSD", "X:ETHUSD"}
    for empty in (closed, today):
        assert (empty["resultsCount"], empty["status"], "results" in empty) == (0, "OK", False)
    assert (coins_today["status"], "results" in coins_today) == ("DELAYED", False)
    assert status == 400 and wrong["error"].endswith("must be of the format YYYY-MM-DD.")


async def test_grouped_bars_are_adjusted_unless_asked_otherwise_and_otc_comes_on_demand():
    stamp = ms(2024, 1, 2, 5)
    market = MemoryMarket(
        day_bars={"AAPL": bars_at(stamp), "OTCX": bars_at(stamp)},
        split_list=[Split("AAPL", date(2024, 1, 3), 1, 4)],
        known={"OTCX": Listing("OTCX", "Over The Counter", market="otc")},
    )
    path = "/v2/aggs/grouped/locale/us/market/stocks/2024-01-02"
    async with asking(market) as (_, get):
        _, plain = await get(path)
        _, otc = await get(f"{path}?include_otc=true&adjusted=false")

    assert [(bar["T"], bar["o"]) for bar in plain["results"]] == [("AAPL", 2.5625)]
    assert {bar["T"]: bar.get("otc") for bar in otc["results"]} == {"AAPL": None, "OTCX": True}


async def test_equal_requests_are_prerendered_once_on_demand():
    market = MemoryMarket({"AAPL": minutes_from(ms(2024, 1, 2, 14), 5)})
    path = f"/v2/aggs/ticker/AAPL/range/1/minute/2024-01-02/2024-01-02?{RAW}"
    async with asking(market, prerender=True) as (emulator, get):
        _, first = await get(path)
        market.minute_bars = {}
        _, again = await get(path)
        emulator.change(latency_seconds=0.0)  # any change forgets
        _, fresh = await get(path)

    assert first == again
    assert emulator.counts.pages == 3
    assert "results" not in fresh


async def test_recorded_answers_have_the_same_shape(shared_data):
    async with asking(SimulatedMarket(7)) as (_, get):
        for name, path in {
            "AAPL_1_day_2005-04-01_2005-04-04": "ticker/AAPL/range/1/day/2005-04-01/2005-04-04",
            "grouped_2005-04-04": "grouped/locale/us/market/stocks/2005-04-04",
        }.items():
            recorded = json.loads((shared_data / "api_samples" / f"v2_aggs_{name}.json").read_text())
            _, ours = await get(f"/v2/aggs/{path}")
            assert list(ours) == list(recorded)
            assert list(ours["results"][0]) == list(recorded["results"][0])
            if "ticker" in recorded:
                assert stamps(ours) == stamps(recorded)


@pytest.mark.parametrize("ticker", ["SPY", "UGA", "X:BTCUSD", "X:XRPETH", "I:SPX"])
async def test_recorded_bars_are_served_as_they_are(shared_data, ticker):
    market = FolderMarket(shared_data)
    async with asking(market) as (_, get):
        for span, bars in {
            "1/minute": market.minutes(ticker, 0, FAR, 10**6),
            "1/day": market.days(ticker, 0, FAR, 10**6),
        }.items():
            if not len(bars):
                continue
            path = f"/v2/aggs/ticker/{ticker}/range/{span}/1970-01-01/2026-01-01?{RAW}"
            served = [bar for page in await all_pages(get, path) for bar in page["results"]]
            assert [bar["t"] for bar in served] == bars.t.tolist()
            for name, key in {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}.items():
                assert [bar[key] for bar in served] == getattr(bars, name).tolist()
            assert [bar.get("n", NO_TRADES) for bar in served] == bars.trades.tolist()
