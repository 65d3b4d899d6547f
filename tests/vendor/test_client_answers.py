"""Answers of HTTP 200 that cannot be what was asked for."""

import gzip
import json

import pytest

from lib.errors import AnswerInvalid, NotEntitled
from tests.vendor.asking import MINUTE, ONCE, PATH, START, answer, bar, error_of, read

NOT_JSON = [
    (b"", "it is not JSON"),
    (b"<html>Welcome to the hotel</html>", "it begins: <html>Welcome to the hotel"),
    (b'{"status":"OK","results":[{"v":1', "it is not JSON"),
    (b'{"status":"OK"} {}', "trailing characters"),
    (b'{"status":"\xff"}', "it is not JSON"),
    (b'{"status":"OK","x":' + b"[" * 100_000, "it is not JSON"),
    (b'{"status":"OK","results":[{"o":NaN}]}', "it is not JSON"),
]
NOT_BARS = [
    (b"[]", "Expected `object`, got `array`"),
    (b"null", "Expected `object`, got `null`"),
    (b"{}", "it has no status"),
    (answer(status=None), "it has no status"),
    (answer(results="none"), "got `str` - at `$.results`"),
    (answer({"t": START}), "missing required field `o` - at `$.results[0]`"),
    *((answer(bar(0), {k: v for k, v in bar(1).items() if k != name}), f"`{name}`") for name in "tohlcv"),
    *((answer(bar(0, **{name: None})), f"got `null` - at `$.results[0].{name}`") for name in "tohlcv"),
    (answer(bar(0, o="10.5")), "got `str` - at `$.results[0].o`"),
    (b'{"status":"OK","results":[{"t":1,"o":1e999,"h":1,"l":1,"c":1,"v":1}]}', "out of range"),
    (answer(bar(0, t=START + 0.5)), "no whole number of milliseconds"),
    (answer(bar(0, t=10**30)), "no whole number of milliseconds"),
]
NOT_WHAT_WAS_ASKED = [
    (answer(bar(0), resultsCount=2), "its resultsCount is 2, but it holds 1 results"),
    (answer(bar(0), count=3), "its count is 3, but it holds 1 results"),
    (answer(results=None, resultsCount=5), "its resultsCount is 5, but it holds 0 results"),
    ({"status": "OK", "resultsCount": 1}, "its resultsCount is 1, but it holds 0 results"),
    (answer(bar(0), adjusted=True), "adjusted for splits"),
    (answer(bar(0), ticker="MSFT"), "it is about MSFT, not AAPL"),
    (answer(bar(1), bar(0)), f"step back in time, from {START + MINUTE} to {START}"),
    (answer(bar(0), bar(0, c=10.01)), f"two different bars of {START}"),
    (answer(bar(0), bar(0, vw=None)), f"two different bars of {START}"),
    (answer(bar(-1)), "outside the range asked for"),
    (answer(bar(0), bar(10)), "outside the range asked for"),
]
WRONG_STATUS = [
    (answer(bar(0), status="ERROR", error="backend busy"), "its status is ERROR: backend busy"),
    ({"status": "ERROR", "results": "?", "message": "odd form"}, "its status is ERROR: odd form"),
    (answer(bar(0), status="PARTIAL"), "its status is PARTIAL"),
    (answer(bar(0), status="ok"), "its status is ok"),
]


@pytest.mark.parametrize(("body", "text"), NOT_JSON + NOT_BARS + NOT_WHAT_WAS_ASKED + WRONG_STATUS)
async def test_an_answer_that_cannot_be_used_says_why_and_is_tried_again(
    vendor, open_client, aapl, body, text
):
    vendor.reply(body)
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert str(error).startswith(f"the answer to GET {PATH} cannot be used: ")
    assert text in str(error)

    vendor.reply(body)
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        [page] = await read(client, aapl)
    assert (len(page.bars), client.counters.retries) == (1, 1)


@pytest.mark.parametrize("status", [201, 204, 206])
async def test_another_kind_of_success_is_none(vendor, open_client, aapl, status):
    vendor.reply(b"" if status == 204 else answer(bar(0)), status=status)
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert f"HTTP {status}" in str(error)


async def test_gzip_cut_short_or_damaged_or_another_packing(vendor, open_client, aapl):
    packed = gzip.compress(json.dumps(answer(bar(0))).encode())
    for body, encoding, text in [
        (packed[:-9], "gzip", "its gzip body is cut short"),
        (packed[:40] + b"!!!!" + packed[44:], "gzip", "its gzip body is damaged"),
        (packed, "br", "packed as 'br'"),
    ]:
        vendor.reply(body, headers={"Content-Encoding": encoding})
        error = await error_of(open_client, aapl)
        assert type(error) is AnswerInvalid
        assert text in str(error)


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_is_bounded_as_sent_and_unpacked(vendor, open_client, aapl, packed):
    vendor.reply(b" " * 20_000_000, packed=packed)
    error = await error_of(open_client, aapl, max_body_bytes=100_000)

    assert type(error) is AnswerInvalid
    assert "it is longer than 100,000 bytes" in str(error)


async def test_a_refusal_under_200_is_asked_once_more_and_then_believed(vendor, open_client, aapl, clock):
    refusal = {"status": "NOT_AUTHORIZED", "request_id": "1", "message": "You are not entitled to this data."}
    vendor.reply(refusal)
    vendor.reply(answer(bar(0)))
    async with open_client(policy=ONCE) as client:
        assert len(await read(client, aapl)) == 1
    assert (clock.waits, client.counters.retries) == ([1.0], 1)

    vendor.reply(refusal)
    vendor.reply(refusal)
    error = await error_of(open_client, aapl)
    assert type(error) is NotEntitled
    assert str(error).endswith(f"GET {PATH}: HTTP 200: You are not entitled to this data.")
    assert len(vendor.asked) == 4
