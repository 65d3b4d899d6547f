"""Several pages of one range: followed, fitted together, and refused where they do not fit."""

import json
from datetime import date

import pytest

from lib.errors import AnswerInvalid
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, midnight_ms
from tests.vendor.asking import END, MINUTE, ONCE, START, answer, bar, error_of, minutes_of, read


def following(vendor, minute, **query):
    parameters = "&".join(f"{name}={value}" for name, value in ({"cursor": "bGltaXQ9Mg"} | query).items())
    path = f"/v2/aggs/ticker/AAPL/range/1/minute/{START + minute * MINUTE}/{END - 1}"
    return f"{vendor.url}{path}?{parameters}"


async def test_pages_are_followed_to_the_end_and_cover_the_range_without_a_seam(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, 2)))
    vendor.reply(answer(bar(4), bar(5), next_url=following(vendor, 6)))
    vendor.reply(answer(bar(8)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [minutes_of(page) for page in pages] == [[0, 1], [4, 5], [8]]
    edges = [((page.start_ms - START) // MINUTE, (page.end_ms - START) // MINUTE) for page in pages]
    assert edges == [(0, 2), (2, 6), (6, 10)]
    assert client.counters.pages == client.counters.total_requests == 3


async def test_a_next_page_is_asked_with_our_own_parameters_and_key(vendor, open_client, aapl):
    vendor.reply(
        answer(bar(0), next_url=following(vendor, 1, limit=2, adjusted="true", apiKey="x", sort="desc"))
    )
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        await read(client, aapl)

    second = vendor.asked[1]
    assert second.path == f"/v2/aggs/ticker/AAPL/range/1/minute/{START + MINUTE}/{END - 1}"
    assert second.query == {"cursor": "bGltaXQ9Mg", "adjusted": "false", "sort": "asc", "limit": "50000"}
    assert second.headers["authorization"] == f"Bearer {vendor.key}"


@pytest.mark.parametrize("vendor_goes_on_at", [1, 2, 4])
async def test_the_next_page_begins_where_the_last_window_ended_whatever_next_url_says(
    vendor, open_client, aapl, vendor_goes_on_at
):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, vendor_goes_on_at)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        await read(client, aapl)

    assert f"/range/1/minute/{START + 2 * MINUTE}/" in vendor.asked[1].path


async def test_day_pages_go_on_at_the_next_local_midnight_across_the_change_of_clocks(
    vendor, open_client, aapl
):
    days = [date(2011, 3, 11), date(2011, 3, 12), date(2011, 3, 13), date(2011, 3, 14), date(2011, 3, 15)]
    friday, _, sunday, monday, end = (midnight_ms(day, NEW_YORK) for day in days)
    assert monday - sunday == 23 * 60 * MINUTE
    next_url = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/day/{monday}/x?cursor=c"
    vendor.reply(answer(bar(0, t=friday), bar(0, t=sunday), next_url=next_url))
    vendor.reply(answer(bar(0, t=monday)))
    async with open_client() as client:
        pages = [page async for page in client.pages(aapl, Timeframe.D1, friday, end)]

    assert [(page.start_ms, page.end_ms, len(page.bars)) for page in pages] == [
        (friday, monday, 2),
        (monday, end, 1),
    ]


async def test_a_relative_next_url_is_our_own(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=following(vendor, 1).removeprefix(vendor.url)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 2


async def test_a_next_page_with_an_opaque_address_goes_on_by_our_own_arithmetic(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=f"{vendor.url}/v2/aggs/next?cursor=opaque"))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        assert len(await read(client, aapl)) == 2

    assert f"/AAPL/range/1/minute/{START + MINUTE}/" in vendor.asked[1].path
    assert vendor.asked[1].query["cursor"] == "opaque"


async def test_a_page_may_be_empty_if_the_next_one_is_ahead(vendor, open_client, aapl):
    vendor.reply(answer(next_url=following(vendor, 3)))
    vendor.reply(answer(bar(4)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [((page.end_ms - START) // MINUTE, len(page.bars)) for page in pages] == [(3, 0), (10, 1)]


async def test_a_next_page_beyond_the_range_is_not_asked_for(vendor, open_client, aapl):
    vendor.reply(answer(bar(9), next_url=following(vendor, 10)))
    async with open_client() as client:
        [page] = await read(client, aapl)

    assert page.end_ms == END
    assert len(vendor.asked) == 1


async def test_the_last_bar_of_a_page_may_come_again_on_the_next(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, 2)))
    vendor.reply(answer(bar(1), next_url=following(vendor, 3)))
    vendor.reply(answer(bar(1), next_url=following(vendor, 3)))  # asked again: it held nothing new
    vendor.reply(answer(bar(1), bar(5)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [minutes_of(page) for page in pages] == [[0, 1], [], [5]]
    assert [page.duplicates for page in pages] == [0, 1, 1]


async def test_a_page_of_a_repeat_alone_is_believed_only_the_second_time(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), bar(1), next_url=following(vendor, 2)))
    vendor.reply(answer(bar(1), next_url=following(vendor, 5)))
    vendor.reply(answer(bar(1), bar(3), next_url=following(vendor, 5)))
    vendor.reply(answer(bar(5)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [minutes_of(page) for page in pages] == [[0, 1], [3], [5]]


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
    next_url = f"{vendor.url}/v2/aggs/ticker/AAPL/range/1/minute/{back_to}/{END}?cursor=c"
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
            async for page in client.pages(aapl, Timeframe.M1, START, END):
                pages.append(page)  # noqa: PERF401  what came before the error matters

    assert [(len(page.bars), page.end_ms) for page in pages] == [(2, START + 3 * MINUTE)]


async def test_a_promised_page_that_is_empty_is_asked_for_twice(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=following(vendor, 1)))
    vendor.reply(answer())
    vendor.reply(answer(bar(5)))
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [minutes_of(page) for page in pages] == [[0], [5]]


async def test_an_end_promised_in_vain_is_an_end(vendor, open_client, aapl):
    vendor.reply(answer(bar(0), next_url=following(vendor, 1)))
    vendor.reply(answer())
    vendor.reply(answer())
    async with open_client() as client:
        pages = await read(client, aapl)

    assert [minutes_of(page) for page in pages] == [[0], []]
    assert len(vendor.asked) == 3
