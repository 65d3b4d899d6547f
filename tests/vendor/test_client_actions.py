"""Splits and dividends over the wire: what is asked, page by page, and what is believed."""

from datetime import date
from decimal import Decimal

import pytest

from lib.errors import AnswerInvalid, NotEntitled, NotFound, VendorError
from lib.symbols import AssetClass, Instrument
from lib.vendor.actions import DIVIDENDS, SPLITS, action_requests
from tests.vendor.asking import ONCE

TODAY = date(2025, 3, 3)
SPLIT = {"id": "E1", "ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4}
PAID = {
    "id": "D1",
    "ticker": "AAPL",
    "ex_dividend_date": "2024-11-08",
    "cash_amount": 0.25,
    "currency": "USD",
}
V1, V3 = "/stocks/v1/splits", "/v3/reference/splits"


def answer(*rows, **more):
    return {"status": "OK", "request_id": "1", "results": list(rows)} | more


def stocks(*names):
    return [Instrument(name, AssetClass.STOCK, name) for name in names]


async def read(client, *names, kind=SPLITS, since=None):
    return [page async for page in client.actions(kind, stocks(*names or ["AAPL"]), since, TODAY)]


async def test_a_split_is_asked_of_the_current_endpoint_and_read_exactly(vendor, open_client):
    vendor.reply(answer(SPLIT | {"split_from": 1.05, "adjustment_type": "forward_split"}))
    async with open_client() as client:
        [page] = await read(client, "AAPL", "BRK.B", since=date(2020, 1, 1))

    [asked] = vendor.asked
    assert asked.path == V1
    assert asked.query == {
        "ticker.any_of": "AAPL,BRK.B",
        "execution_date.gte": "2020-01-01",
        "sort": "execution_date.asc",
        "limit": "5000",
    }
    assert asked.headers["authorization"] == f"Bearer {vendor.key}"
    [split] = page.events
    assert (split.event_id, split.symbol, split.day) == ("E1", "AAPL", date(2020, 8, 31))
    assert (split.split_from, split.split_to) == (Decimal("1.05"), Decimal(4))
    assert page.complete == ("AAPL", "BRK.B")


async def test_a_dividend_keeps_its_dates_and_stands_without_those_it_has_not(vendor, open_client):
    vendor.reply(answer(PAID | {"pay_date": "2024-11-14", "frequency": 4, "distribution_type": "recurring"}))
    vendor.reply(answer({name: PAID[name] for name in ("ticker", "ex_dividend_date", "cash_amount")}))
    async with open_client() as client:
        [page] = await read(client, kind=DIVIDENDS)
        [bare] = await read(client, kind=DIVIDENDS)

    [dividend] = page.events
    assert (dividend.cash_amount, dividend.currency, dividend.frequency) == (Decimal("0.25"), "USD", 4)
    assert (dividend.pay_date, dividend.record_date, dividend.kind) == (date(2024, 11, 14), None, "recurring")
    assert bare.events[0].event_id == "own:dividend:AAPL:2024-11-08:0.25"
    assert bare.events[0].currency == "USD"


async def test_pages_follow_the_cursor_with_its_own_parameters_and_only_to_the_same_host(vendor, open_client):
    following = f"{vendor.url}{V1}?cursor=abc&apiKey=stolen"
    vendor.reply(answer(SPLIT, next_url=following))
    vendor.reply(answer(SPLIT | {"id": "E2", "execution_date": "2014-06-09"}))
    vendor.reply(answer(next_url="http://elsewhere.example/stocks/v1/splits?cursor=abc"))
    async with open_client(policy=ONCE) as client:
        pages = await read(client)
        with pytest.raises(AnswerInvalid, match="foreign host"):
            await read(client)

    assert [(page.events[0].event_id, page.complete) for page in pages] == [("E1", ()), ("E2", ("AAPL",))]
    assert vendor.asked[1].query == {"cursor": "abc"}


async def test_a_page_that_leads_to_itself_is_not_believed(vendor, open_client):
    following = f"{vendor.url}{V1}?cursor=abc"
    vendor.reply(answer(SPLIT, next_url=following))
    vendor.reply(answer(SPLIT, next_url=following))
    async with open_client(policy=ONCE) as client:
        with pytest.raises(AnswerInvalid, match="its next page is itself"):
            await read(client)


async def test_a_server_of_the_old_generation_is_found_out_once(vendor, open_client):
    vendor.reply(b"404 page not found", status=404)
    vendor.reply(answer(SPLIT))
    vendor.reply(answer())
    vendor.reply(answer(PAID | {"ex_dividend_date": "2025-03-07"}))
    async with open_client() as client:
        pages = await read(client, "AAPL", "KO")
        await read(client, kind=DIVIDENDS, since=date(2025, 3, 1))

    assert [asked.path for asked in vendor.asked] == [V1, V3, V3, "/v3/reference/dividends"]
    assert [page.complete for page in pages] == [("AAPL",), ("KO",)]
    assert vendor.asked[1].query == {
        "ticker": "AAPL",
        "sort": "execution_date",
        "order": "asc",
        "limit": "1000",
    }
    assert client.counters.failed == 0


async def test_a_server_with_neither_generation_is_an_error(vendor, open_client):
    vendor.reply(b"404 page not found", status=404)
    vendor.reply(b"404 page not found", status=404)
    async with open_client() as client:
        with pytest.raises(NotFound):
            await read(client)

    assert client.counters.failed == 1


async def test_an_event_before_the_date_asked_for_is_not_an_answer(vendor, open_client):
    vendor.reply(answer(SPLIT))
    async with open_client(policy=ONCE) as client:
        with pytest.raises(AnswerInvalid, match="from 2021-01-01 on were asked for"):
            await read(client, since=date(2021, 1, 1))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"status": "ERROR", "error": "no"}, AnswerInvalid),
        ({"status": "OK", "results": [1]}, AnswerInvalid),
        (b"<html>", AnswerInvalid),
    ],
)
async def test_what_is_not_an_answer_raises(vendor, open_client, body, error):
    vendor.reply(body)
    async with open_client(policy=ONCE) as client:
        with pytest.raises(error):
            await read(client)


async def test_a_refusal_is_believed_the_second_time_and_no_results_are_none(vendor, open_client):
    for _ in range(2):
        vendor.reply({"status": "NOT_AUTHORIZED", "message": "upgrade"})
    vendor.reply({"status": "OK"})
    async with open_client() as client:
        with pytest.raises(NotEntitled):
            await read(client)
        [page] = await read(client)

    assert (page.events, page.complete) == ((), ("AAPL",))


async def test_what_cannot_be_used_is_refused_and_named(vendor, open_client):
    rows = [
        SPLIT | {"split_from": 0},
        SPLIT | {"split_from": True},
        SPLIT | {"split_to": None},
        SPLIT | {"execution_date": None, "id": None},
        SPLIT | {"ticker": ""},
        SPLIT | {"ticker": "ZZZ", "split_from": 0},
    ]
    vendor.reply(answer(*rows))
    async with open_client() as client:
        [page] = await read(client)

    assert page.events == () and page.ignored == 1
    assert [(one.symbol, str(one)) for one in page.refused] == [
        ("AAPL", "E1: its split_from is 0"),
        ("AAPL", "E1: its split_from is True"),
        ("AAPL", "E1: it has no split_to"),
        ("AAPL", "AAPL None: it has no execution_date"),
        (None, "E1: it names no ticker"),
    ]


def plan(kind, count, since=None, *, old=False):
    names = [f"T{number:03}" for number in range(count)]
    return action_requests(kind, stocks(*names), since, TODAY, old=old)


def test_many_symbols_take_few_requests():
    nightly = date(2025, 2, 17)

    assert len(plan(SPLITS, 500, nightly)) == len(plan(DIVIDENDS, 500, nightly)) == 1
    assert "ticker.any_of" in plan(DIVIDENDS, 500, nightly)[0].query
    # By date, without a filter, where lists of tickers would take more requests than the market has pages.
    [whole_market] = plan(SPLITS, 5000, nightly)
    assert whole_market.query == {
        "execution_date.gte": "2025-02-17",
        "sort": "execution_date.asc",
        "limit": "5000",
    }
    assert len(plan(SPLITS, 500, nightly, old=True)) == 1
    # All of history is asked by ticker: the market has had a million dividends.
    assert len(plan(DIVIDENDS, 25, old=True)) == 25
    assert len(plan(DIVIDENDS, 5000)) == 8


def test_no_url_is_longer_than_servers_take():
    requests = plan(DIVIDENDS, 5000)

    assert max(len(request.query["ticker.any_of"]) for request in requests) <= 4000
    names = [name for request in requests for name in request.query["ticker.any_of"].split(",")]
    assert len(names) == len(set(names)) == 5000


async def test_coins_are_not_asked_about(vendor, open_client, btc):
    async with open_client() as client:
        assert [page async for page in client.actions(SPLITS, [btc], None, TODAY)] == []

    assert vendor.asked == []


async def test_the_key_is_in_no_message(vendor, open_client):
    vendor.reply({"status": "ERROR", "error": f"bad key {vendor.key}"}, status=400)
    async with open_client() as client:
        with pytest.raises(VendorError) as caught:
            await read(client)

    assert vendor.key not in str(caught.value)
