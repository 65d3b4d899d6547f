"""The decoder of pages: whatever comes, either bars that were in the answer or an error of ours."""

import gzip
import json

from hypothesis import example, given
from hypothesis import strategies as st

from lib.errors import VendorError
from tests.fuzz.asked import (
    END,
    START,
    bodies,
    document_in,
    found_in,
    page_of,
    refused_properly,
    true_bars,
    written_in,
)
from tests.fuzz.documents import any_json, spoilt
from tests.fuzz.examples import examples
from tests.vendor.asking import MINUTE, answer, bar


def judged(body, encoding=""):
    """The page of *body*, or None: nothing but an error of ours, and not one bar that it does not hold."""
    try:
        page, following = page_of(body, encoding)
    except VendorError as error:
        refused_properly(error)
        return None
    document, given = document_in(gzip.decompress(body) if encoding else body), written_in(body, encoding)
    assert document["status"] in ("OK", "DELAYED") and document.get("ticker") in (None, "AAPL")
    assert {document.get("count"), document.get("resultsCount")} <= {None, given.total()}
    assert not (given and document.get("adjusted"))
    assert found_in(page.bars) <= given
    assert len(page.bars) + len(page.refused) + page.duplicates == given.total()
    assert all(START <= t < END and t % MINUTE == 0 for t in page.bars.t.tolist())
    assert (page.bars.t[1:] > page.bars.t[:-1]).all()
    assert page.end_ms == END if following is None else START < following.start_ms == page.end_ms < END
    return page


@given(st.binary(max_size=200))
@examples(300)
def test_any_bytes(body):
    judged(body)


@given(spoilt(any_json))
@examples(200)
def test_any_json(body):
    judged(body)


@given(bodies)
@examples(500)
@example(json.dumps(answer(bar(0, n=3.7))).encode())
@example(json.dumps(answer(bar(0), count=2)).encode())
@example(json.dumps(answer(bar(0), ticker="MSFT")).encode())
@example(json.dumps(answer(bar(0), adjusted=True)).encode())
def test_any_change_of_a_real_answer(body):
    judged(body)


@given(true_bars())
@examples(200)
def test_a_real_answer_is_read_whole(bars):
    body = json.dumps(answer(*bars)).encode()
    page = judged(body)

    assert found_in(page.bars) == written_in(body)


def test_an_answer_cut_at_any_byte_is_none():
    body = json.dumps(answer(*map(bar, range(10)), request_id="übermäßig"), ensure_ascii=False).encode()
    for packed in (body, gzip.compress(body)):
        encoding = "" if packed is body else "gzip"
        assert len(judged(packed, encoding).bars) == 10
        for length in range(len(packed)):
            assert judged(packed[:length], encoding) is None, length
