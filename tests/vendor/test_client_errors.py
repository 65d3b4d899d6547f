"""Every way an answer can be wrong, met over a real socket: the error, its words, and what is tried again."""

import asyncio
import gzip
import json
import logging
import traceback

import pytest

from lib.budget import Budget
from lib.errors import (
    AnswerInvalid,
    BudgetSpent,
    ConnectionFailed,
    KeyRefused,
    NotEntitled,
    NotFound,
    RateLimitPersists,
    RequestRejected,
    RequestTimedOut,
    ServiceFailed,
    VendorError,
)
from lib.retry import RetryPolicy
from lib.settings import Secret
from lib.timeframe import Timeframe

START = 1_700_000_040_000
MINUTE = 60_000
PATH = f"/v2/aggs/ticker/AAPL/range/1/minute/{START}/{START + 10 * MINUTE - 1}"
ONCE = RetryPolicy(max_attempts=1)


def bar(minute, **changes):
    return {
        "v": 1,
        "vw": 10,
        "o": 10,
        "c": 10,
        "h": 11,
        "l": 9,
        "t": START + minute * MINUTE,
        "n": 3,
    } | changes


def answer(*bars, **changes):
    body = {
        "ticker": "AAPL",
        "resultsCount": len(bars),
        "adjusted": False,
        "results": list(bars),
        "status": "OK",
    }
    return body | changes


async def read(client, instrument):
    return [page async for page in client.pages(instrument, Timeframe.M1, START, START + 10 * MINUTE)]


async def error_of(open_client, instrument, **arguments):
    """What reading raises, if the vendor is asked only once."""
    async with open_client(**{"policy": ONCE} | arguments) as client:
        with pytest.raises(VendorError) as caught:
            await read(client, instrument)
    assert client.counters.failed == 1
    return caught.value


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
    (408, ServiceFailed, RequestTimedOut),
    (499, ServiceFailed, ServiceFailed),
    (500, ServiceFailed, ServiceFailed),
    (502, ServiceFailed, ServiceFailed),
    (503, ServiceFailed, ServiceFailed),
    (504, ServiceFailed, ServiceFailed),
]


@pytest.mark.parametrize(("status", "_", "error"), FAULTS)
async def test_a_failure_of_the_service_is_tried_again(vendor, open_client, aapl, clock, status, _, error):
    vendor.reply(b"", status=status)
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 1

    assert clock.waits == [1.0]
    assert (client.counters.total_requests, client.counters.retries, client.counters.failed) == (2, 1, 0)

    vendor.reply(b"", status=status)
    assert type(await error_of(open_client, aapl)) is error


async def test_five_tries_with_doubling_waits_then_the_last_error(vendor, open_client, aapl, clock):
    for number in range(6):
        vendor.reply({"status": "ERROR", "error": f"down {number}"}, status=500)
    async with open_client() as client:
        with pytest.raises(ServiceFailed, match="HTTP 500: down 4"):
            await read(client, aapl)

    assert clock.waits == [1.0, 2.0, 4.0, 8.0]
    assert len(vendor.asked) == 5
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
        (b'{"error": {"code": 7}}', "HTTP 500: {'code': 7}"),
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


FOREIGN = [
    "https://api.example.com/v2/aggs/ticker/AAPL/range/1/minute/{later}/x?cursor=c",
    "http://127.0.0.1:1/v2/aggs/ticker/AAPL/range/1/minute/{later}/x",
    "https://127.0.0.1:{port}/v2/aggs/ticker/AAPL/range/1/minute/{later}/x",
    "http://localhost:{port}/v2/aggs/ticker/AAPL/range/1/minute/{later}/x",
    "http://127.0.0.1:{port}@example.com/v2/aggs/ticker/AAPL/range/1/minute/{later}/x",
    "//example.com/v2/aggs/ticker/AAPL/range/1/minute/{later}/x",
]


@pytest.mark.parametrize("next_url", FOREIGN)
async def test_a_foreign_next_page_is_refused_and_nothing_is_sent_there(vendor, open_client, aapl, next_url):
    port = vendor.url.rsplit(":", 1)[1]
    vendor.reply(answer(bar(0), next_url=next_url.format(port=port, later=START + MINUTE)))
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert "its next page is on a foreign host" in str(error)
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("next_url", ["http://[", "ftp:", "http://:80/x", "http://h:99999999/x"])
async def test_a_next_url_that_is_none(vendor, open_client, aapl, next_url):
    vendor.reply(answer(bar(0), next_url=next_url))
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert "its next_url is not usable" in str(error)


@pytest.mark.parametrize("back_to", [START, START - MINUTE, "2023-11-14"])
@pytest.mark.parametrize("bars", [(bar(0), bar(1)), ()])
async def test_a_next_page_that_does_not_go_on_is_a_loop(vendor, open_client, aapl, back_to, bars):
    next_url = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/minute/{back_to}/{START + 10 * MINUTE}?cursor=c"
    vendor.reply(answer(*bars, next_url=next_url))
    error = await error_of(open_client, aapl)

    assert type(error) is AnswerInvalid
    assert "its next page loops" in str(error)


async def test_an_empty_page_whose_next_one_does_not_say_where_it_begins(vendor, open_client, aapl):
    vendor.reply(answer(next_url=f"{vendor.url}/v2/aggs/next?cursor=c"))
    error = await error_of(open_client, aapl)

    assert "does not say where it begins" in str(error)


SECOND_PAGES = [
    (answer(bar(1), bar(2)), "step back in time"),
    (answer(bar(2, c=10.5), bar(5)), "two different bars"),
    (answer(bar(5), adjusted=True), "adjusted for splits"),
    (answer(bar(5), next_url="{first}"), "its next page loops"),
]


@pytest.mark.parametrize(("body", "text"), SECOND_PAGES)
async def test_a_second_page_must_fit_the_first(vendor, open_client, aapl, body, text):
    first = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/minute/{START + 3 * MINUTE}/x?cursor=c"
    vendor.reply(answer(bar(1), bar(2), next_url=first))
    vendor.reply(json.loads(json.dumps(body).replace("{first}", first)))
    pages = []
    async with open_client(policy=ONCE) as client:
        with pytest.raises(AnswerInvalid, match=text):
            async for page in client.pages(aapl, Timeframe.M1, START, START + 10 * MINUTE):
                pages.append(page)  # noqa: PERF401  what came before the error matters

    assert [(len(page.bars), page.end_ms) for page in pages] == [(2, START + 3 * MINUTE)]


LIMITED = {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}


async def test_a_429_is_waited_out_and_is_no_failed_try(vendor, open_client, aapl, clock):
    for _ in range(3):
        vendor.reply(LIMITED, status=429)
    vendor.reply(answer(bar(0)))
    async with open_client(policy=ONCE) as client:
        assert len(await read(client, aapl)) == 1

    assert clock.waits == [5.0, 10.0, 20.0]
    counters = client.counters
    assert (counters.total_requests, counters.rate_limited_count, counters.retries, counters.failed) == (
        4,
        3,
        0,
        0,
    )


async def test_retry_after_of_a_429_is_honoured(vendor, open_client, aapl, clock):
    vendor.reply(LIMITED, status=429, headers={"Retry-After": "33"})
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    assert clock.waits == [33.0]


async def test_a_429_that_persists_for_five_minutes_is_given_up(vendor, open_client, aapl, clock):
    for _ in range(20):
        vendor.reply(LIMITED, status=429)
    async with open_client() as client:
        with pytest.raises(RateLimitPersists) as caught:
            await read(client, aapl)

    assert 200 < sum(clock.waits) <= 300
    assert f"GET {PATH}: HTTP 429: You've exceeded" in str(caught.value)
    assert client.counters.failed == 1


async def test_a_429_slows_everybody_who_shares_the_budget(vendor, open_client, aapl, clock):
    vendor.reply(LIMITED, status=429)
    vendor.reply(answer(bar(0)))
    budget = Budget(1000, clock)
    async with open_client(budget=budget) as client:
        await read(client, aapl)

    assert (budget.capacity, budget.sent, budget.rate_limited_count) == (500, 2, 1)


async def test_the_budget_of_requests_counts_retries_and_ends_the_reading(vendor, open_client, aapl, clock):
    for _ in range(5):
        vendor.reply(b"", status=500)
    async with open_client(budget=Budget(1000, clock, max_requests=3)) as client:
        with pytest.raises(BudgetSpent, match="3 requests sent"):
            await read(client, aapl)

    assert len(vendor.asked) == client.counters.total_requests == 3
    assert client.counters.failed == 0


async def test_a_cancelled_read_leaves_nothing_open(vendor, open_client, aapl):
    vendor.stall()
    async with open_client() as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(client, aapl), 0.05)


def told(error):
    """All that any way of printing *error* could show."""
    seen = []
    while error is not None:
        seen += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            *getattr(error, "__notes__", ()),
        ]
        seen += traceback.format_exception(error)
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


LEAKS = [
    lambda vendor: vendor.reply({"error": f"Unknown API Key {vendor.key}"}, status=401),
    lambda vendor: vendor.reply({"error": vendor.key[:9] + "\x07\u200b" + vendor.key[9:]}, status=403),
    lambda vendor: vendor.reply({"error": "x" * 185 + vendor.key}, status=500),
    lambda vendor: vendor.reply(b"<p>GET /?apiKey=s3cr3t-K3y%2bof%2Fthe%3Dvendor</p>", status=502),
    lambda vendor: vendor.reply(LIMITED | {"error": vendor.key}, status=429, headers={"Retry-After": "400"}),
    lambda vendor: vendor.reply(vendor.key.encode()),
    lambda vendor: vendor.reply(b'{"status":"\xff' + vendor.key.encode() + b'"}'),
    lambda vendor: vendor.reply(answer(ticker=vendor.key)),
    lambda vendor: vendor.reply({"status": vendor.key, "error": vendor.key}),
    lambda vendor: vendor.reply(answer(bar(0), next_url=f"https://{vendor.key}@example.com/")),
    lambda vendor: vendor.reply(answer(bar(0), next_url=f"http://{vendor.key}")),
    lambda vendor: vendor.reply(b"", headers={"Content-Encoding": vendor.key}),
    lambda vendor: vendor.raw(f"{vendor.key}\r\n\r\n".encode()),
    lambda vendor: vendor.raw(f"HTTP/1.1 200 OK\r\n{vendor.key}\r\n\r\n".encode()),
    lambda vendor: vendor.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + vendor.key.encode()),
    lambda vendor: vendor.reset(),
    lambda vendor: vendor.stall(),
]


@pytest.mark.parametrize("leak", LEAKS)
async def test_nothing_that_is_said_holds_the_key(vendor, open_client, aapl, leak, caplog):
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        leak(vendor)
    async with open_client(policy=RetryPolicy(max_attempts=2), timeout_seconds=0.1) as client:
        with pytest.raises(VendorError) as caught:
            await read(client, aapl)
        shown = "\n".join([told(caught.value), caplog.text, repr(client), repr(vars(client))])

    assert len(shown) > 300
    for form in (
        vendor.key,
        vendor.key.replace("+", "%2b").replace("/", "%2F").replace("=", "%3D"),
        "s3cr3t",
    ):
        assert form.lower() not in shown.lower()


async def test_each_retry_is_logged(vendor, open_client, aapl, caplog):
    caplog.set_level(logging.INFO)
    vendor.reply({"error": "busy"}, status=500)
    vendor.reply(answer(bar(0)))
    async with open_client() as client:
        await read(client, aapl)

    assert (
        f"trying again in 1.0 s: the vendor's service failed: GET {PATH}: HTTP 500: busy" in caplog.messages
    )


async def test_without_a_key_the_vendors_words_are_left_alone(vendor, open_client, aapl):
    vendor.reply({"status": "ERROR", "error": "API Key was not provided"}, status=401)
    error = await error_of(open_client, aapl, key=Secret(""))

    assert str(error).endswith("HTTP 401: API Key was not provided")
