"""Ten minutes of AAPL: how the client's tests ask for them, and how an answer is written."""

import pytest

from lib.errors import VendorError
from lib.retry import RetryPolicy
from lib.timeframe import Timeframe

START = 1_700_000_040_000  # a whole minute
MINUTE = 60_000
END = START + 10 * MINUTE
PATH = f"/v2/aggs/ticker/AAPL/range/1/minute/{START}/{END - 1}"
ONCE = RetryPolicy(max_attempts=1)
LIMITED = {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}


def bar(minute, price=10.0, **changes):
    """A bar as the vendor writes it."""
    prices = {"vw": price, "o": price, "c": price, "h": price + 1, "l": price - 1}
    return {"v": 100, **prices, "t": START + minute * MINUTE, "n": 3} | changes


def answer(*bars, ticker="AAPL", **changes):
    """An aggregates answer; *changes* set its fields, ``...`` leaves one out."""
    body = {
        "ticker": ticker,
        "queryCount": len(bars),
        "resultsCount": len(bars),
        "adjusted": False,
        "results": list(bars),
        "status": "OK",
        "request_id": "6a7e466379af0a71039d60cc78e72282",
        "count": len(bars),
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


def minutes_of(page):
    """The minutes, counted from START, of a page's bars."""
    return [(t - START) // MINUTE for t in page.bars.t.tolist()]


async def read(client, instrument, minutes=10, timeframe=Timeframe.M1):
    return [page async for page in client.pages(instrument, timeframe, START, START + minutes * MINUTE)]


async def error_of(open_client, instrument, **arguments):
    """What reading raises, if the vendor is asked only once."""
    async with open_client(**{"policy": ONCE} | arguments) as client:
        with pytest.raises(VendorError) as caught:
            await read(client, instrument)
    assert client.counters.failed == 1
    return caught.value
