"""Each way the vendor refuses or breaks off, met over a real socket: the error, its words, the retries."""

import asyncio
import logging

import pytest

from lib.errors import (
    AnswerInvalid,
    ConnectionFailed,
    KeyRefused,
    NotEntitled,
    NotFound,
    RequestRejected,
    RequestTimedOut,
    ServiceFailed,
)
from tests.vendor.asking import PATH, answer, bar, error_of, read

REFUSALS = [
    (400, {"status": "ERROR", "error": "Could not parse 'from'"}, RequestRejected, "Could not parse 'from'"),
    (401, {"status": "ERROR", "error": "Unknown API Key"}, KeyRefused, "Unknown API Key"),
    (403, {"status": "NOT_AUTHORIZED", "message": "not in your plan"}, NotEntitled, "not in your plan"),
    (404, {"status": "NOT_FOUND", "message": "Ticker not found."}, NotFound, "Ticker not found."),
    (413, b"", RequestRejected, "rejected the request"),
    (418, b"short and stout", RequestRejected, "short and stout"),
]


@pytest.mark.parametrize(("status", "body", "error", "text"), REFUSALS)
async def test_a_refusal_has_its_own_error_and_is_never_asked_again(
    vendor, open_client, aapl, status, body, error, text
):
    vendor.reply(body, status=status)
    async with open_client() as client:
        with pytest.raises(error) as caught:
            await read(client, aapl)

    assert type(caught.value) is error
    assert text in str(caught.value)
    assert f"GET {PATH}: HTTP {status}" in str(caught.value)
    assert (len(vendor.asked), client.counters.failed, client.counters.retries) == (1, 1, 0)


async def test_the_key_refused_ends_with_status_12_and_says_what_to_check(vendor, open_client, aapl):
    vendor.reply({"status": "ERROR", "error": "Unknown API Key"}, status=401)
    error = await error_of(open_client, aapl)

    assert str(error) == f"the vendor refused the API key: GET {PATH}: HTTP 401: Unknown API Key"
    assert (error.exit_status, "POLYGON_API_KEY" in error.hint) == (12, True)


FAULTS = [
    (408, RequestTimedOut),
    (499, ServiceFailed),
    (500, ServiceFailed),
    (502, ServiceFailed),
    (503, ServiceFailed),
    (504, ServiceFailed),
]


@pytest.mark.parametrize(("status", "error"), FAULTS)
async def test_a_failure_of_the_service_is_tried_again(vendor, open_client, aapl, clock, status, error):
    vendor.reply(b"", status=status)
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 1

    assert clock.waits == [1.0]
    assert (client.counters.total_requests, client.counters.retries, client.counters.failed) == (2, 1, 0)

    vendor.reply(b"", status=status)
    assert type(await error_of(open_client, aapl)) is error


async def test_five_tries_with_doubling_waits_then_the_last_error(vendor, open_client, aapl, clock):
    for number in range(5):
        vendor.reply({"status": "ERROR", "error": f"down {number}"}, status=500)
    vendor.reply(answer())  # what else is asked is had: it is not the vendor
    async with open_client() as client:
        with pytest.raises(ServiceFailed, match="HTTP 500: down 4"):
            await read(client, aapl)

    assert clock.waits == [1.0, 2.0, 4.0, 8.0]
    assert [asked.path == PATH for asked in vendor.asked] == [True] * 5 + [False]
    assert (client.counters.retries, client.counters.failed) == (4, 1)


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [
        ("7", 7.0),
        ("0.5", 1.0),
        ("Mon, 02 Jun 2025 12:00:09 GMT", 9.0),
        ("999999", 300.0),
        ("soon", 1.0),
        ("nan", 1.0),
    ],
)
async def test_retry_after_is_honoured_as_seconds_or_date(
    vendor, open_client, aapl, clock, retry_after, waited
):
    vendor.reply(b"", status=503, headers={"Retry-After": retry_after})
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    assert clock.waits == [waited]


async def test_html_is_shown_as_its_reader_would_see_it(vendor, open_client, aapl):
    page = (
        b"<html><head><style>p {x: y}</style></head><body><h1>502 Bad Gateway</h1>\r\n<hr>nginx</body></html>"
    )
    vendor.reply(page, status=502, headers={"Content-Type": "text/html"})
    error = await error_of(open_client, aapl)

    assert str(error) == f"the vendor's service failed: GET {PATH}: HTTP 502: 502 Bad Gateway nginx"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'["an", "array"]', 'HTTP 500: ["an", "array"]'),
        (b'{"error": {"code": 7}}', 'HTTP 500: {"code": 7}'),
        (b'{"error": "", "message": "both"}', "HTTP 500: both"),
        (b"\xef\xbb\xbf" + b'{"error": "after a mark"}', "HTTP 500: after a mark"),
        (b'{"error": "line\\nline \\u0007\\u001b[31mred\\u202e"}', "HTTP 500: line line [31mred"),
        (b"", "HTTP 500"),
        (b"\xff\xfe", "HTTP 500: \ufffd\ufffd"),
    ],
)
async def test_the_vendors_text_is_found_and_made_one_safe_line(vendor, open_client, aapl, body, text):
    vendor.reply(body, status=500)
    assert str(await error_of(open_client, aapl)).endswith(text)


async def test_the_vendors_text_is_cut(vendor, open_client, aapl):
    vendor.reply({"error": "x" * 3000}, status=500)
    assert str(await error_of(open_client, aapl)).endswith("HTTP 500: " + "x" * 199 + "…")


async def test_a_packed_error_is_read_and_a_damaged_one_is_no_other_error(vendor, open_client, aapl):
    vendor.reply({"error": "packed words"}, status=500, packed=True)
    assert "packed words" in str(await error_of(open_client, aapl))
    vendor.reply(b"no gzip at all", status=500, headers={"Content-Encoding": "gzip"})
    assert type(await error_of(open_client, aapl)) is ServiceFailed


async def test_a_redirect_is_not_followed(vendor, open_client, aapl):
    vendor.reply(b"", status=302, headers={"Location": f"{vendor.url}/elsewhere"})
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert "redirected" in str(error)
    assert len(vendor.asked) == 1


async def test_a_reset_connection(vendor, open_client, aapl):
    vendor.reset()
    error = await error_of(open_client, aapl)

    assert type(error) is ConnectionFailed
    assert str(error).startswith(f"the connection to the vendor failed: GET {PATH}: ")


async def test_a_connection_closed_without_a_word(vendor, open_client, aapl):
    vendor.raw(b"")
    error = await error_of(open_client, aapl)

    assert type(error) is ConnectionFailed
    assert "ServerDisconnectedError" in str(error)


async def test_a_refused_connection(open_client, aapl, unused_tcp_port):
    error = await error_of(open_client, aapl, base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert type(error) is ConnectionFailed
    assert PATH in str(error)


async def test_a_broken_kept_alive_connection_is_not_tried_again_behind_the_budgets_back(
    vendor, open_client, aapl
):
    vendor.reply(answer(bar(0)))
    vendor.raw(b"")
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)
        await read(client, aapl)

    assert len(vendor.asked) == client.counters.total_requests == 3
    assert client.counters.retries == 1


async def test_a_body_cut_in_the_middle(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1)), cut=60)
    error = await error_of(open_client, aapl)

    assert type(error) is ConnectionFailed
    assert str(error).startswith(f"the answer broke off: GET {PATH}: ")


async def test_no_answer_in_time(vendor, open_client, aapl):
    vendor.stall()
    error = await error_of(open_client, aapl, timeout_seconds=0.1)

    assert type(error) is RequestTimedOut
    assert str(error) == f"no answer within 0.1 s: GET {PATH}"


async def test_a_body_that_trickles_is_bounded_by_the_same_time(vendor, open_client, aapl):
    vendor.stall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"status"')
    error = await error_of(open_client, aapl, timeout_seconds=0.1)

    assert type(error) is RequestTimedOut


async def test_what_is_not_http(vendor, open_client, aapl):
    vendor.raw(b"220 mail.example.com ESMTP\r\n\r\n")
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert f"the answer to GET {PATH} is not HTTP" in str(error)


async def test_a_cancelled_read_leaves_nothing_open(vendor, open_client, aapl):
    vendor.stall()
    async with open_client() as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(client, aapl), 0.05)


async def test_each_retry_is_logged(vendor, open_client, aapl, caplog):
    caplog.set_level(logging.INFO)
    vendor.reply({"error": "busy"}, status=500)
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    assert (
        f"trying again in 1.0 s: the vendor's service failed: GET {PATH}: HTTP 500: busy" in caplog.messages
    )
