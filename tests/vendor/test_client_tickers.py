"""Ticker details."""

from datetime import date

import pytest

from lib.errors import AnswerInvalid, NotFound
from lib.symbols import AssetClass
from tests.vendor.asking import ONCE

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
    async with open_client(policy=ONCE) as client:
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
