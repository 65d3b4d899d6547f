"""What the client asks, and what it makes of right answers."""

import gzip
import json
import math
from datetime import UTC, datetime

import pytest

from lib.bars import NO_TRADES
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from tests.vendor.asking import END, MINUTE, PATH, START, answer, bar, minutes_of, read


async def test_asks_for_raw_bars_of_the_whole_range_and_sends_the_key_in_the_header(
    vendor, open_client, aapl
):
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    [asked] = vendor.asked
    assert asked.method == "GET"
    assert asked.path == PATH
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
    assert (page.start_ms, page.end_ms) == (START, END)


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
    assert (page.start_ms, page.end_ms) == (START, END)


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

    assert minutes_of(page) == [0, 1, 2]
    assert page.duplicates == 3
