"""HTTP as nobody should speak it, and next pages that lead astray."""

import asyncio
import gzip
from collections import deque
from datetime import date
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.errors import VendorError
from lib.vendor.actions import SPLITS
from tests.fuzz.asked import bodies, found_in, refused_properly, written_in
from tests.fuzz.documents import KEY
from tests.fuzz.examples import examples
from tests.vendor.asking import END, MINUTE, ONCE, PATH, START, answer, bar, read
from tests.vendor.conftest import ScriptedVendor

DATES = [
    "Mon, 02 Jun 2025 12:00:00 GMT",
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
]
DATES += [
    "Mon, 01 Jan 9999 23:59:59 -2359",
    "Mon, 01 Jan 2020 00:00:00 -99999999999999999999",
    "0",
    "",
    "nan",
]
SECONDS = ["0", "5", "-1", "1e308", "1e999", "nan", "-inf", "9" * 400, "soon", "\x80", *DATES]
ENCODINGS = ["gzip", "x-gzip", "GZIP", "identity", "br", "deflate", "gzip, gzip", "\x01", "\xff"]
lengths = st.integers(-1, 2000).map(str) | st.sampled_from(["", "x", "+5", "1_0", "9" * 30, "0x10"])
header = st.one_of(
    st.tuples(st.just("Date"), st.sampled_from(DATES) | st.text(max_size=30)),
    st.tuples(st.just("Retry-After"), st.sampled_from(SECONDS) | st.text(max_size=30)),
    st.tuples(st.just("Content-Encoding"), st.sampled_from(ENCODINGS) | st.text(max_size=10)),
    st.tuples(st.just("Content-Length"), lengths),
    st.tuples(
        st.just("Transfer-Encoding"), st.sampled_from(["chunked", "gzip", "identity", "chunked, x", ""])
    ),
    st.tuples(
        st.just("Content-Type"), st.sampled_from(["text/html", "application/json; charset=nonsense", ";", ""])
    ),
    st.tuples(
        st.sampled_from(["Location", "Set-Cookie", "X"]), st.sampled_from([KEY, "x" * 70_000, "http://[", ""])
    ),
    st.tuples(st.text(max_size=10), st.text(max_size=10)),
)
statuses = st.sampled_from(
    [200] * 6 + [100, 101, 204, 206, 301, 304, 401, 403, 404, 408, 418, 429, 500, 503, 999]
)
versions = st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2", "http/1.1", "ICY", ""])


@st.composite
def http(draw):
    """The bytes of an answer: a head that may be any, and most often a body that may be meant."""
    body = draw(bodies | st.binary(max_size=50))
    if draw(st.booleans()):
        body = gzip.compress(body)
    if draw(st.integers(0, 9)) == 0:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    headers = draw(st.lists(header, max_size=3))
    if draw(st.booleans()):
        headers.append(("Content-Length", str(len(body))))
    first = f"{draw(versions)} {draw(statuses)} {draw(st.sampled_from(['OK', '', KEY, chr(7)]))}"
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + body


async def pages_of(open_client, instrument, **arguments):
    """The pages the vendor gives; None if that ended with an error, which has to be one of ours."""
    async with open_client(**{"policy": ONCE, "max_body_bytes": 2**18} | arguments) as client:
        try:
            return await read(client, instrument)
        except VendorError as error:
            refused_properly(error)
            return None


def head(*lines):
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "Content-Length: 2", "", "{}"]).encode()


@given(content=http() | st.binary(max_size=300))
@examples(150)
@example(head(f"Date: {DATES[1]}"))
@example(head(f"Date: {DATES[2]}"))
@example(head(f"Date: {DATES[4]}"))
async def test_any_bytes_for_an_answer(vendor, open_client, aapl, content):
    vendor._script.clear()
    vendor.raw(content)
    for page in await pages_of(open_client, aapl) or []:
        if len(page.bars):
            assert page.start_ms == START


@given(body=bodies, packed=st.booleans())
@examples(80)
async def test_what_comes_over_the_wire_is_what_was_sent(vendor, open_client, aapl, body, packed):
    vendor._script.clear()
    vendor.reply(body, packed=packed)
    pages = await pages_of(open_client, aapl)

    for page in pages or []:
        assert found_in(page.bars) <= written_in(body)


# --- where the next page leads


@pytest.fixture
async def foreign():
    """Somebody else's server, which must not hear of the key."""
    other = ScriptedVendor()
    server = await asyncio.start_server(other.serve, "127.0.0.1", 0)
    other.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield other
    server.close()


NEXT = f"/v2/aggs/ticker/AAPL/range/1/minute/{START + 5 * MINUTE}/{END - 1}"
HOSTS = [
    "{own}",
    "{other}",
    "{own}@{other}",
    "{other}@{own}",
    "user:pw@{own}",
    "{own}.",
    "[::1]",
    "localhost",
    "{own}:1",
]
HOSTS += [
    "{own}\\@{other}",
    "{own}#@{other}",
    "{own}?@{other}",
    " {own}",
    "{own}\t",
    "0x7f.1",
    "2130706433",
    "",
    "é",
    "[",
]
SCHEMES = [
    "http://",
    "https://",
    "//",
    "",
    "HTTP://",
    "http:/",
    "http:",
    "file://",
    "javascript:",
    "http:\\\\",
    "\x00http://",
]
PATHS = [
    NEXT,
    PATH,
    "",
    "/",
    "/v3/other",
    "../..",
    NEXT.replace(str(END - 1), "9" * 17),
    "/%2e%2e/x",
    "/a b\r\nX: y",
]
PATHS += [
    f"/range/1/minute/{day}/x" for day in ("0001-01-01", "9999-12-31", "2025-02-30", "9" * 17, "9" * 30)
]
NAMES = ["cursor", "apiKey", "APIKEY", "limit", "adjusted", "token", "", "a\r\nb", "\ud800", "é"]
VALUES = ["abc", KEY, quote(KEY, safe=""), f"x{KEY}y", "", "\r\nHost: evil", "\ud800", "true", "%zz", "a+b"]


@st.composite
def next_urls(draw):
    """Addresses with {own} and {other} in place of the hosts of the two servers."""
    query = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3))
    parts = draw(st.sampled_from(SCHEMES)), draw(st.sampled_from(HOSTS)), draw(st.sampled_from(PATHS))
    return "".join(parts) + ("?" if query else "") + "&".join(f"{name}={value}" for name, value in query)


own_pages = st.sampled_from(
    [f"http://{{own}}{NEXT}?cursor=abc&{name}={value}" for name in NAMES for value in VALUES]
)
addresses = next_urls() | own_pages | st.text(max_size=40) | st.sampled_from(["?", "#", "//", "http://", ":"])


ELSEWHERE = ("http://{other}/", "//{other}/", "https://{own}/", "https://{other}/")


def filled_in(address, vendor, foreign):
    own, other = (one.url.removeprefix("http://") for one in (vendor, foreign))
    return address.replace("{own}", own).replace("{other}", other)


def nobody_else_heard(vendor, foreign, path, address):
    assert foreign.connections == 0
    assert not address.startswith(ELSEWHERE) or len(vendor.asked) == 1
    for asked in vendor.asked:
        assert asked.path.startswith(path)
        assert KEY not in unquote(asked.target) and KEY not in unquote_plus(asked.target)
        assert asked.headers["authorization"] == f"Bearer {KEY}"
    vendor.asked.clear()


@given(address=addresses)
@examples(150)
@example(address=f"http://{{other}}{NEXT}")
@example(address=f"https://{{own}}{NEXT}")
async def test_the_next_page_of_bars_is_asked_of_the_vendor_alone(
    vendor, foreign, open_client, aapl, address
):
    vendor._script = deque()
    following = filled_in(address, vendor, foreign)
    for _ in range(3):
        vendor.reply(answer(*map(bar, range(5)), next_url=following))
    await pages_of(open_client, aapl)

    nobody_else_heard(vendor, foreign, PATH.rsplit("/", 2)[0], address)


@given(address=addresses)
@examples(150)
@example(address=f"http://{{other}}{NEXT}")
@example(address=f"https://{{own}}{NEXT}")
async def test_nor_is_the_next_page_of_splits(vendor, foreign, open_client, aapl, address):
    vendor._script = deque()
    following = filled_in(address, vendor, foreign)
    for _ in range(3):
        vendor.reply({"status": "OK", "results": [], "next_url": following})
    async with open_client(policy=ONCE) as client:
        try:
            assert [page async for page in client.actions(SPLITS, [aapl], None, date(2025, 1, 8))]
        except VendorError as error:
            refused_properly(error)

    nobody_else_heard(vendor, foreign, "/stocks/v1/splits", address)
