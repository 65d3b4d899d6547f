"""What an answer costs in memory is bounded by its length, and its length by us."""

import gzip
import json
import tracemalloc
import zlib
from contextlib import suppress

import pytest

from lib.errors import VendorError
from lib.vendor.actions import SPLITS, ActionsAnswer, action_requests, read_actions
from lib.vendor.client import MAX_BODY_BYTES
from lib.vendor.decode import decode
from tests.fuzz.asked import AAPL, ORIGIN, answer_of, page_of
from tests.vendor.asking import START

LONGEST = 2**16
TIMES_ITS_LENGTH = 12  # at most, of any answer with bars
MOST_BYTES = 400 * 2**20  # of any answer


def filled(head, one, tail, length=LONGEST):
    """As many of *one* between *head* and *tail* as *length* allows."""
    return head + b",".join([one] * ((length - len(head) - len(tail)) // (len(one) + 1))) + tail


TINY_BAR = b'{"t":%d,"o":1,"h":1,"l":1,"c":1,"v":1}' % START
OK = b'{"status":"OK","results":'
SHAPES = {
    "bars": filled(OK + b"[", TINY_BAR, b"]}"),
    "empty bars": filled(OK + b"[", b"{}", b"]}"),
    "fields that nobody reads": filled(OK + b'[],"x":[', b"[]", b"]}"),
    "an error of lists": filled(b'{"status":"ERROR","error":[', b"[]", b"]}"),
    "an error of objects": filled(b'{"status":"ERROR","message":[', b'{"a":{}}', b"]}"),
    "a refusal of lists": filled(b'{"status":"NOT_AUTHORIZED","message":[', b"[]", b"]}"),
    "a text": b'{"status":"OK","next_url":"' + "ü\U0001f600".encode() * (LONGEST // 7) + b'"}',
    "escapes": b'{"status":"ERROR","error":"' + b"\\ud83d\\ude00" * (LONGEST // 13) + b'"}',
    "depth": b"[" * LONGEST,
    "numbers": filled(OK + b"[", b"1", b"]}"),
    "keys": filled(b"{", b'"":0', b"}"),
    "no JSON": b"\xff" * LONGEST,
}


def peak(work):
    """The most bytes that *work* had at a time."""
    work()  # caches fill, modules load
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def tried(read):
    """*read*, of which any failure must be ours."""

    def work():
        with suppress(VendorError):
            read()

    return work


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_takes_so_many_times_its_length_and_all_of_them_so_much(shape, packed):
    body = gzip.compress(SHAPES[shape]) if packed else SHAPES[shape]
    read = tried(lambda: page_of(body, "gzip" if packed else "", LONGEST))

    assert peak(read) < TIMES_ITS_LENGTH * LONGEST
    assert TIMES_ITS_LENGTH * MAX_BODY_BYTES <= MOST_BYTES


@pytest.mark.parametrize("one", [b"{}", b'{"id":[[],[]]}', b'{"ticker":"AAPL","split_from":[]}'])
def test_nor_do_splits_and_dividends_take_more(one):
    [request] = action_requests(SPLITS, [AAPL], None, None, old=False)
    body = filled(OK + b"[", one, b"]}")

    def read(content=body):
        given = answer_of(content, longest=MAX_BODY_BYTES)
        read_actions(request, given, decode(given, ActionsAnswer), ORIGIN)

    assert peak(tried(read)) * ActionsAnswer.longest_body / LONGEST < MOST_BYTES
    with pytest.raises(VendorError, match=f"longer than {ActionsAnswer.longest_body:,} bytes"):
        read(body + b" " * ActionsAnswer.longest_body)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_is_unpacked_up_to_the_bound_and_no_further(layers):
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    bomb = gzip.compress(bomb) if layers == 2 else bomb * 4
    read = tried(lambda: page_of(bomb, "gzip", LONGEST))

    assert peak(read) < 8 * LONGEST + 2 * len(bomb)


def test_a_body_of_many_small_members_is_damaged():
    """Each of them would copy the rest: a body of our longest would take hours."""
    body = json.dumps({"status": "OK", "results": []}).encode()
    few = b"".join(gzip.compress(body[at : at + 5]) for at in range(0, len(body), 5))
    page, _ = page_of(few, "gzip")

    assert len(page.bars) == 0
    with pytest.raises(VendorError, match="its gzip body is damaged"):
        page_of(gzip.compress(b"") * 10_000 + few, "gzip")
