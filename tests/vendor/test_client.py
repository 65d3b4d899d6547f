"""What the client asks, and what it makes of right answers."""

import gzip
import json
import math
from datetime import UTC, date, datetime

import pytest

from lib.bars import NO_TRADES
from lib.errors import AnswerInvalid, NotFound
from lib.retry import RetryPolicy
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, midnight_ms

START = 1_700_000_040_000  # a whole minute
MINUTE = 60_000


def bar(minute, price=10.0, **changes):
    return {
        "v": 100,
        "vw": price,
        "o": price,
        "c": price,
        "h": price + 1,
        "l": price - 1,
        "t": START + minute * MINUTE,
        "n": 3,
    } | changes


def answer(*bars, ticker="AAPL", **changes):
    body = {
        "ticker": ticker,
        "queryCount": len(bars),
        "resultsCount": len(bars),
        "adjusted": False,
        "results": list(bars),
        "status": "OK",
        "request_id": "6a7e466379af0a71039d60cc78e72282",
        "count": len(bars),
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


async def read(client, instrument, minutes=10, timeframe=Timeframe.M1):
    end = START + minutes * MINUTE
    return [page async for page in client.pages(instrument, timeframe, START, end)]


async def test_asks_for_raw_bars_of_the_whole_range_and_sends_the_key_in_the_header(
    vendor, open_client, aapl
):
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    [asked] = vendor.asked
    assert asked.method == "GET"
    assert asked.path == f"/v2/aggs/ticker/AAPL/range/1/minute/{START}/{START + 10 * MINUTE - 1}"
    assert asked.query == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert asked.headers["authorization"] == f"Bearer {vendor.key}"
    assert asked.headers["accept-encoding"] == "gzip"
    assert vendor.key not in asked.target


@pytest.mark.parametrize(
    ("timeframe", "asked_for"),
    [
        ("1m", "1/minute"),
        ("5m", "5/minute"),
        ("15m", "15/minute"),
        ("30m", "30/minute"),
        ("1h", "1/hour"),
        ("4h", "4/hour"),
        ("1d", "1/day"),
        ("1w", "1/week"),
    ],
)
async def test_each_timeframe_has_its_path(vendor, open_client, btc, timeframe, asked_for):
    vendor.reply(answer(ticker="X:BTCUSD", results=...))
    async with open_client() as client:
        await read(client, btc, timeframe=Timeframe(timeframe))

    assert f"/v2/aggs/ticker/X:BTCUSD/range/{asked_for}/" in vendor.asked[0].target


async def test_a_ticker_cannot_leave_its_place_in_the_path(vendor, open_client):
    vendor.reply(answer(ticker="BRK/B?x=1#y"))
    async with open_client() as client:
        await read(client, Instrument("BRK/B", AssetClass.STOCK, "BRK/B?x=1#y"))

    assert vendor.asked[0].target.startswith("/v2/aggs/ticker/BRK%2FB%3Fx%3D1%23y/range/1/minute/")


async def test_bars_become_columns(vendor, open_client, aapl):
    vendor.reply(answer(bar(0, 10.25, v=135647456), bar(3, 11, n=7)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert page.bars.t.tolist() == [START, START + 3 * MINUTE]
    assert page.bars.open.tolist() == [10.25, 11.0]
    assert page.bars.high.tolist() == [11.25, 12.0]
    assert page.bars.low.tolist() == [9.25, 10.0]
    assert page.bars.close.tolist() == [10.25, 11.0]
    assert page.bars.volume.tolist() == [135647456.0, 100.0]
    assert page.bars.vwap.tolist() == [10.25, 11.0]
    assert page.bars.trades.tolist() == [3, 7]
    assert (page.start_ms, page.end_ms) == (START, START + 10 * MINUTE)


async def test_numbers_in_any_notation_are_equal_to_the_last_digit(vendor, open_client, btc):
    body = (
        b'{"status":"OK","resultsCount":1.0,"results":[{"v":1.029145e+06,"vw":9099.618093,"o":18,"c":1.8e1,'
        b'"h":64264639.000000007,"l":0.00000123456789,"t":1700000040000,"n":1.2e+03,"otc":true,"new":{"x":[1]}}]}'
    )
    vendor.reply(body)
    async with open_client() as client:
        [page] = await read(client, btc)

    bars = page.bars
    assert (bars.volume[0], bars.vwap[0], bars.open[0], bars.close[0]) == (1029145.0, 9099.618093, 18.0, 18.0)
    assert (bars.high[0], bars.low[0]) == (64264639.000000007, 0.00000123456789)
    assert bars.trades[0] == 1200


async def test_vwap_and_trades_may_be_missing_or_null(vendor, open_client, aapl):
    without = bar(0)
    del without["vw"], without["n"]
    vendor.reply(answer(without, bar(1, vw=None, n=None)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert [math.isnan(vwap) for vwap in page.bars.vwap] == [True, True]
    assert page.bars.trades.tolist() == [NO_TRADES, NO_TRADES]


@pytest.mark.parametrize(
    "results",
    [
        {"results": ...},
        {"results": None},
        {"results": []},
        {"results": ..., "count": ..., "resultsCount": ...},
    ],
)
async def test_an_honest_empty_answer_covers_the_range(vendor, open_client, aapl, results):
    # Recorded ones say adjusted:true whatever was asked; without prices that is no contradiction.
    vendor.reply(answer(adjusted=True, **results))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert len(page.bars) == 0
    assert (page.start_ms, page.end_ms) == (START, START + 10 * MINUTE)


async def test_delayed_is_success(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), status="DELAYED"))
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        [delayed] = await read(client, aapl)
        [prompt] = await read(client, aapl)

    assert (delayed.delayed, len(delayed.bars)) == (True, 1)
    assert not prompt.delayed


async def test_the_vendors_clock_is_read_from_its_date_header(vendor, open_client, aapl):
    vendor.reply(answer(bar(0)), headers={"Date": "Mon, 02 Jun 2025 14:30:01 GMT"})
    vendor.reply(answer(bar(0)), headers={"Date": "yesterday"})
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        pages = [await read(client, aapl) for _ in range(3)]

    assert [page.vendor_now for [page] in pages] == [datetime(2025, 6, 2, 14, 30, 1, tzinfo=UTC), None, None]


async def test_gzip_in_one_member_or_several_and_a_byte_order_mark(vendor, open_client, aapl):
    body = b"\xef\xbb\xbf" + json.dumps(answer(bar(0))).encode()
    vendor.reply(body, packed=True)
    vendor.reply(gzip.compress(body[:50]) + gzip.compress(body[50:]), headers={"Content-Encoding": "GZIP"})
    async with open_client() as client:
        pages = [await read(client, aapl) for _ in range(2)]

    assert [len(page.bars) for [page] in pages] == [1, 1]
    assert client.counters.bytes_received < 2 * len(body)


async def test_connections_are_kept_alive(vendor, open_client, aapl):
    for _ in range(3):
        vendor.reply(answer(bar(0)))
    async with open_client() as client:
        for _ in range(3):
            await read(client, aapl)

    assert (len(vendor.asked), vendor.connections) == (3, 1)


async def test_a_large_page_comes_through_whole(vendor, open_client, aapl):
    minutes = 50_000
    vendor.reply(answer(*(bar(m, 10 + m % 7) for m in range(minutes))), packed=True)
    async with open_client() as client:
        [page] = await read(client, aapl, minutes)

    assert len(page.bars) == minutes
    assert page.bars.open.tolist() == [10.0 + m % 7 for m in range(minutes)]
    assert client.counters.decode_seconds >= 0


async def test_impossible_bars_are_refused_and_the_rest_of_the_page_is_kept(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1, h=8.5), bar(2, v=-3), bar(3, t=START + 3 * MINUTE + 1), bar(4)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert page.bars.t.tolist() == [START, START + 4 * MINUTE]
    assert [(refused.t, refused.reason) for refused in page.refused] == [
        (START + 1 * MINUTE, "high 8.5 below low 9.0"),
        (START + 2 * MINUTE, "volume -3.0 is negative"),
        (START + 3 * MINUTE + 1, "not the start of a 1m window"),
    ]


async def test_a_repeated_bar_is_dropped_and_counted(vendor, open_client, aapl):
    no_vwap = bar(1, vw=None)
    vendor.reply(answer(bar(0), bar(0), bar(0), no_vwap, no_vwap, bar(2)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert [(t - START) // MINUTE for t in page.bars.t] == [0, 1, 2]
    assert page.duplicates == 3


def following(vendor, minute, **query):
    parameters = "&".join(f"{name}={value}" for name, value in ({"cursor": "bGltaXQ9Mg"} | query).items())
    path = f"/v2/aggs/ticker/AAPL/range/1/minute/{START + minute * MINUTE}/{START + 10 * MINUTE - 1}"
    return f"{vendor.url}{path}?{parameters}"


async def test_pages_are_followed_to_the_end_and_cover_the_range_without_a_seam(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, 2)))
    vendor.reply(answer(bar(4), bar(5), next_url=following(vendor, 6)))
    vendor.reply(answer(bar(8)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [[(t - START) // MINUTE for t in page.bars.t] for page in pages] == [[0, 1], [4, 5], [8]]
    edges = [((page.start_ms - START) // MINUTE, (page.end_ms - START) // MINUTE) for page in pages]
    assert edges == [(0, 2), (2, 6), (6, 10)]
    assert client.counters.pages == client.counters.total_requests == 3


async def test_a_next_page_is_asked_with_our_own_parameters_and_key(vendor, open_client, aapl):
    vendor.reply(
        answer(bar(0), next_url=following(vendor, 1, limit=2, adjusted="true", apiKey="x", sort="desc"))
    )
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        await read(client, aapl)

    second = vendor.asked[1]
    assert second.path == f"/v2/aggs/ticker/AAPL/range/1/minute/{START + MINUTE}/{START + 10 * MINUTE - 1}"
    assert second.query == {"cursor": "bGltaXQ9Mg", "adjusted": "false", "sort": "asc", "limit": "50000"}
    assert second.headers["authorization"] == f"Bearer {vendor.key}"


@pytest.mark.parametrize("vendor_goes_on_at", [1, 2, 4])
async def test_the_next_page_begins_where_the_last_window_ended_whatever_next_url_says(
    vendor, open_client, aapl, vendor_goes_on_at
):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, vendor_goes_on_at)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        await read(client, aapl)

    assert f"/range/1/minute/{START + 2 * MINUTE}/" in vendor.asked[1].path


async def test_day_pages_go_on_at_the_next_local_midnight_across_the_change_of_clocks(
    vendor, open_client, aapl
):
    days = [date(2011, 3, 11), date(2011, 3, 12), date(2011, 3, 13), date(2011, 3, 14), date(2011, 3, 15)]
    friday, _, sunday, monday, end = (midnight_ms(day, NEW_YORK) for day in days)
    assert monday - sunday == 23 * 60 * MINUTE
    next_url = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/day/{monday}/x?cursor=c"
    vendor.reply(answer(bar(0, t=friday), bar(0, t=sunday), next_url=next_url))
    vendor.reply(answer(bar(0, t=monday)))
    async with open_client() as client:
        pages = [page async for page in client.pages(aapl, Timeframe.D1, friday, end)]

    assert [(page.start_ms, page.end_ms, len(page.bars)) for page in pages] == [
        (friday, monday, 2),
        (monday, end, 1),
    ]


async def test_a_relative_next_url_is_our_own(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=following(vendor, 1).removeprefix(vendor.url)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 2


async def test_a_next_page_with_an_opaque_address_goes_on_by_our_own_arithmetic(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=f"{vendor.url}/v2/aggs/next?cursor=opaque"))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 2

    assert f"/AAPL/range/1/minute/{START + MINUTE}/" in vendor.asked[1].path
    assert vendor.asked[1].query["cursor"] == "opaque"


async def test_a_page_may_be_empty_if_the_next_one_is_ahead(vendor, open_client, aapl):
    vendor.reply(answer(next_url=following(vendor, 3)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [((page.end_ms - START) // MINUTE, len(page.bars)) for page in pages] == [(3, 0), (10, 1)]


async def test_a_next_page_beyond_the_range_is_not_asked_for(vendor, open_client, aapl):
    vendor.reply(answer(bar(9), next_url=following(vendor, 10)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert page.end_ms == START + 10 * MINUTE
    assert len(vendor.asked) == 1


async def test_the_last_bar_of_a_page_may_come_again_on_the_next(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, 2)))
    vendor.reply(answer(bar(1), next_url=following(vendor, 3)))
    vendor.reply(answer(bar(1), bar(5)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [[(t - START) // MINUTE for t in page.bars.t] for page in pages] == [[0, 1], [], [5]]
    assert [page.duplicates for page in pages] == [0, 1, 1]


DETAILS = {
    "request_id": "1",
    "status": "OK",
    "results": {
        "ticker": "SPY",
        "name": "SPDR S&P 500 ETF Trust",
        "market": "stocks",
        "locale": "us",
        "type": "ETF",
        "active": True,
        "list_date": "1993-01-29",
        "delisted_utc": "2030-05-01T00:00:00Z",
    },
}


async def test_ticker_details(vendor, open_client):
    vendor.reply(DETAILS)
    async with open_client() as client:
        details = await client.ticker_details("SPY")

    assert vendor.asked[0].target == "/v3/reference/tickers/SPY"
    assert details.name == "SPDR S&P 500 ETF Trust"
    assert (details.listed_from, details.listed_until) == (date(1993, 1, 29), date(2030, 5, 1))
    assert details.asset_class is AssetClass.ETF


@pytest.mark.parametrize(
    ("results", "text"),
    [
        (None, "it holds no results"),
        ({"ticker": "SPY"}, "missing required field `market`"),
        ({"ticker": "spy", "market": "stocks"}, "it is about spy, not SPY"),
        ({"ticker": "SPY", "market": "stocks", "list_date": "soon"}, "'soon' is not a date"),
    ],
)
async def test_ticker_details_that_cannot_be_used(canned_answers, open_client, vendor, results, text):
    canned_answers.get(f"{vendor.url}/v3/reference/tickers/SPY", payload={"status": "OK", "results": results})
    async with open_client(policy=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(AnswerInvalid, match=text):
            await client.ticker_details("SPY")


@pytest.mark.parametrize(
    ("ticker", "market", "kind", "asset_class"),
    [
        ("KIMpL", "stocks", "PFD", AssetClass.STOCK),
        ("X:LTCUSD", "crypto", None, AssetClass.CRYPTO),
        ("C:EURUSD", "fx", None, None),
        ("I:SPX", "indices", None, None),
    ],
)
async def test_the_market_decides_the_asset_class(vendor, open_client, ticker, market, kind, asset_class):
    found = {"ticker": ticker, "market": market} | ({"type": kind} if kind else {})
    vendor.reply({"status": "OK", "results": found})
    async with open_client() as client:
        details = await client.ticker_details(ticker)

    assert vendor.asked[0].target == f"/v3/reference/tickers/{ticker}"
    assert details.asset_class is asset_class


@pytest.mark.parametrize("status", [404, 200])
async def test_an_unknown_ticker_is_not_found_and_not_asked_again(vendor, open_client, status):
    vendor.reply({"status": "NOT_FOUND", "request_id": "1", "message": "Ticker not found."}, status=status)
    async with open_client() as client:
        with pytest.raises(NotFound, match=r"/v3/reference/tickers/NOPE: HTTP \d+: Ticker not found\."):
            await client.ticker_details("NOPE")

    assert len(vendor.asked) == 1
    assert client.counters.failed == 1
