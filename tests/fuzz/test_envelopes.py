"""The other answers of the vendor: markets' days, splits, dividends, tickers and errors, in any form."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.errors import BackfillError, VendorError
from lib.symbols import AssetClass, Instrument
from lib.vendor.actions import DIVIDENDS, SPLITS, ActionsAnswer, action_requests, read_actions
from lib.vendor.decode import GroupedAnswer, Refusal, TickerAnswer, decode
from lib.vendor.grouped import read_grouped
from lib.vendor.tickers import read_ticker
from tests.fuzz.asked import COLUMNS, ORIGIN, answer_of, bits, prices, refused_properly, results_in, stored
from tests.fuzz.documents import any_json, changed, spoilt
from tests.fuzz.events import events_answers, is_in, wrapped
from tests.fuzz.examples import examples

DAY = date(2025, 1, 8)
AAPL, KO = (Instrument(name, AssetClass.STOCK, name) for name in ("AAPL", "KO"))
LISTED = {"ticker": "AAPL", "market": "stocks", "name": "Apple Inc.", "type": "CS", "active": True}
LISTED |= {"list_date": "1980-12-12", "delisted_utc": None}


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
        assert stored(bar)[1:] == (*(bits(getattr(bars, name)[0]) for name in COLUMNS), bars.trades[0])
        assert ticker not in found.doubtful


@pytest.mark.parametrize("kind", [SPLITS, DIVIDENDS], ids=lambda kind: kind.name)
@given(body=spoilt(events_answers) | spoilt(any_json))
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
