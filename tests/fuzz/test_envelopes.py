"""The other answers of the vendor: markets' days, splits, dividends, tickers and errors, in any form."""

import json
from datetime import date
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.errors import BackfillError, VendorError
from lib.symbols import AssetClass, Instrument
from lib.vendor.actions import DIVIDENDS, SPLITS, ActionsAnswer, action_requests, read_actions
from lib.vendor.decode import GroupedAnswer, Refusal, TickerAnswer, decode
from lib.vendor.grouped import read_grouped
from lib.vendor.tickers import read_ticker
from tests.fuzz.asked import COLUMNS, ORIGIN, answer_of, prices, refused_properly, stored
from tests.fuzz.documents import BOM, any_json, changed, spoilt
from tests.fuzz.examples import examples

DAY = date(2025, 1, 8)
AAPL, KO = (Instrument(name, AssetClass.STOCK, name) for name in ("AAPL", "KO"))
SPLIT = {"id": "E1", "ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4}
SPLIT["adjustment_type"] = "forward_split"
PAID = {"id": "D1", "ticker": "KO", "ex_dividend_date": "2024-11-08", "cash_amount": 0.25, "currency": "USD"}
PAID |= {"distribution_type": "recurring", "frequency": 4, "pay_date": "2024-11-14", "record_date": None}
LISTED = {"ticker": "AAPL", "market": "stocks", "name": "Apple Inc.", "type": "CS", "active": True}
LISTED |= {"list_date": "1980-12-12", "delisted_utc": None}
CURSOR = {"next_url": "https://vendor.example/stocks/v1/splits?cursor=abc"}


def read(body, kind, reader):
    """What *reader* makes of the document; None if an error of ours was raised."""
    given = answer_of(body)
    try:
        document = decode(given, kind)
        if isinstance(document, Refusal):
            raise document.error
        return reader(given, document)
    except VendorError as error:
        refused_properly(error)
        return None


def results_in(body):
    text = body.removeprefix(BOM).decode("utf-8", "replace")
    return json.loads(text, parse_int=float, strict=False).get("results") or []


def wrapped(result, **more):
    return {"status": "OK", "request_id": "1", "results": result} | more


@st.composite
def grouped_answers(draw):
    low, open_, close, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    bar = {"v": 100, "vw": 10.0, "o": open_, "c": close, "h": high, "l": low, "t": 1736370000000, "n": 3}
    bars = [
        bar | {"T": ticker} for ticker in draw(st.lists(st.sampled_from(["AAPL", "KO", "X"]), max_size=4))
    ]
    return draw(changed(wrapped(bars, adjusted=False, resultsCount=len(bars))))


@given(spoilt(grouped_answers()) | spoilt(any_json))
@examples(300)
def test_the_day_of_a_market(body):
    found = read(
        body,
        GroupedAnswer,
        lambda given, document: read_grouped(AAPL.asset_class, DAY, {"AAPL", "KO"}, given, document),
    )
    if found is None:
        return
    for ticker, bars in found.bars.items():
        [bar] = [one for one in results_in(body) if one["T"] == ticker]
        assert stored(bar)[1:] == (*(getattr(bars, name)[0].hex() for name in COLUMNS), bars.trades[0])
        assert ticker not in found.doubtful


@pytest.mark.parametrize("kind", [SPLITS, DIVIDENDS], ids=lambda kind: kind.name)
@given(
    body=spoilt(st.sampled_from([wrapped([SPLIT, PAID]), wrapped([SPLIT, PAID], **CURSOR)]).flatmap(changed))
    | spoilt(any_json)
)
@examples(300)
def test_splits_and_dividends(kind, body):
    [request] = action_requests(kind, [AAPL, KO], None, DAY, old=False)
    found = read(body, ActionsAnswer, lambda given, document: read_actions(request, given, document, ORIGIN))
    if found is None:
        return
    page, _ = found
    given = results_in(body)
    assert len(page.events) + len(page.refused) + page.ignored == len(given)
    for event in page.events:
        assert any(is_in(event, row) for row in given), event
    for refused in page.refused:
        refused_properly(BackfillError(f"{refused.event_id}: {refused.reason}"))


def is_in(event, row):
    """Whether *row* of an answer says what is to be stored as *event*."""
    if event.symbol != row.get("ticker"):
        return False
    if hasattr(event, "split_to"):
        numbers, day = {"split_from": event.split_from, "split_to": event.split_to}, row.get("execution_date")
    else:
        numbers, day = {"cash_amount": event.cash_amount}, row.get("ex_dividend_date")
    return str(day).startswith(event.day.isoformat()) and all(
        value == number_of(row.get(name)) for name, value in numbers.items()
    )


def number_of(value):
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


@given(spoilt(changed(wrapped(LISTED))) | spoilt(any_json))
@examples(300)
def test_a_ticker(body):
    found = read(body, TickerAnswer, lambda given, document: read_ticker("AAPL", given, document))

    if found is not None:
        given = results_in(body)
        assert (found.vendor_ticker, found.market) == ("AAPL", given["market"])


@given(
    body=spoilt(st.sampled_from([{"status": "ERROR", "error": "no", "message": "x"}]).flatmap(changed))
    | spoilt(any_json)
    | st.binary(max_size=300),
    status=st.integers(100, 999).filter(lambda status: status != 200),
    encoding=st.sampled_from(["", "gzip", "br"]),
)
@examples(300)
@example(b'{"error": ' + b"[" * 985 + b"]" * 985 + b"}", 500, "")
def test_errors_of_any_status(body, status, encoding):
    error = answer_of(body, encoding, status).failure()

    assert isinstance(error, VendorError)
    refused_properly(error)
