"""Every fault the emulator can inject, seen over a real socket."""

import asyncio
import gzip
import json
import re
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout

from lib.errors import UsageError
from lib.vendor.emulator.clock import MovedClock
from lib.vendor.emulator.defects import _DAMAGES, _REPLACEMENTS
from lib.vendor.emulator.faults import Fault, FaultKind
from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket

PATH = "/v2/aggs/ticker/SPY/range/1/minute/2024-01-03/2024-01-03?adjusted=false&sort=asc&limit=100"
IN_BYTES = {FaultKind.TRUNCATED_JSON, FaultKind.TRUNCATED_GZIP, FaultKind.BOM}
ON_THE_WAY = {
    FaultKind.STALL,
    FaultKind.SLOW_BODY,
    FaultKind.RESET,
    FaultKind.RESET_MID_BODY,
    FaultKind.LENGTH_TOO_LONG,
    FaultKind.LENGTH_TOO_SHORT,
}


@asynccontextmanager
async def suffering(*rules: dict, clock=None):
    """An emulator with those faults, and a session with its key."""
    settings = EmulatorSettings().changed({"faults": list(rules)})
    timeout = ClientTimeout(total=5)
    async with (
        Emulator(SimulatedMarket(7), settings, clock) as emulator,
        ClientSession(
            emulator.url, headers={"Authorization": "Bearer emulator-key"}, timeout=timeout
        ) as session,
    ):
        yield emulator, session


async def ask(session, path=PATH):
    """Status, headers and the body as bytes."""
    async with session.get(path) as response:
        return response.status, response.headers, await response.read()


async def page_with(kind: str, path=PATH, **rule) -> dict:
    async with suffering({"kind": kind, **rule}) as (_, session):
        status, _, body = await ask(session, path)
    assert status == 200
    return json.loads(body)


def stamps(page: dict) -> list[int]:
    return [bar["t"] for bar in page["results"]]


async def test_every_kind_of_fault_does_something():
    assert set(FaultKind) == set(_REPLACEMENTS) | set(_DAMAGES) | IN_BYTES | ON_THE_WAY


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("error_json", 500, '"status":"ERROR"'),
        ("error_html", 500, "<html>"),
        ("error_empty", 500, ""),
        ("html_under_200", 200, "<html>"),
        ("empty_body", 200, ""),
        ("bad_request", 400, '"error":'),
        ("key_missing", 401, "API Key was not provided"),
        ("key_unknown", 401, "Unknown API Key"),
        ("not_entitled", 403, "You are not entitled to this data."),
        ("outside_plan", 403, "Your plan doesn't include this data timeframe."),
        ("refused_under_200", 200, '"status":"NOT_AUTHORIZED"'),
        ("not_found", 404, '"status":"NOT_FOUND"'),
        ("rate_limited", 429, "You've exceeded the maximum requests per minute"),
    ],
)
async def test_another_answer_altogether(kind, status, words):
    async with suffering({"kind": kind}) as (emulator, session):
        answered, headers, body = await ask(session)

    assert (answered, emulator.counts.by_status) == (status, {status: 1})
    assert words in body.decode() and (words or not body)
    assert "Retry-After" not in headers
    assert headers["Content-Type"].startswith("text/html") == ("<html>" in words)


async def test_a_status_and_a_retry_after_may_be_chosen():
    async with suffering({"kind": "error_json", "status": 503}, {"kind": "rate_limited", "seconds": 7}) as (
        emulator,
        session,
    ):
        assert (await ask(session))[0] == 503
        emulator.change(faults=emulator.settings.faults[1:])
        status, headers, _ = await ask(session)

    assert (status, headers["Retry-After"]) == (429, "7")
    assert emulator.counts.rate_limited == 1


async def test_results_that_do_not_fit_their_count():
    nulls, empty, absent = [await page_with(f"results_{word}") for word in ("null", "empty", "absent")]
    mismatch = await page_with("count_mismatch")

    assert nulls["results"] is None and nulls["resultsCount"] == 100
    assert empty["results"] == [] and empty["resultsCount"] == 100
    assert "results" not in absent and absent["resultsCount"] == 100
    assert (len(mismatch["results"]), mismatch["resultsCount"], mismatch["count"]) == (100, 101, 101)
    assert not {"count", "resultsCount", "queryCount"} & set(await page_with("count_absent"))


async def test_no_data_in_other_words():
    for kind, value in (("no_data_null", None), ("no_data_empty", [])):
        page = await page_with(kind)
        assert (page["results"], page["resultsCount"], page["queryCount"]) == (value, 0, 0)
        assert not {"count", "next_url"} & set(page)


async def test_words_that_are_not_as_asked():
    assert (await page_with("adjusted_flips"))["adjusted"] is True
    assert (await page_with("status"))["status"] == "DELAYED"
    assert (await page_with("status", detail="ERROR"))["status"] == "ERROR"
    assert (await page_with("other_ticker"))["ticker"] == "OTHER"
    extra = await page_with("extra_fields")
    assert extra["results"][0]["dv"] == "1.5" and extra["currency"]["code"] == "USD"


async def test_a_page_two_that_flips_adjusted():
    async with suffering({"kind": "adjusted_flips", "path": "cursor="}) as (_, session):
        first = json.loads((await ask(session))[2])
        second = json.loads((await ask(session, first["next_url"]))[2])

    assert (first["adjusted"], second["adjusted"]) == (False, True)


async def test_next_urls_that_must_not_be_followed():
    async with suffering({"kind": "next_url_loop"}) as (emulator, session):
        page = json.loads((await ask(session))[2])
        assert page["next_url"] == emulator.url + PATH
        again = json.loads((await ask(session, page["next_url"]))[2])
        assert again["results"] == page["results"]

    assert (await page_with("next_url_foreign_host"))["next_url"].startswith(
        "https://vendor.invalid/v2/aggs/"
    )
    assert (await page_with("next_url_foreign_host", detail="http://127.0.0.2:1"))["next_url"].startswith(
        "http://127.0.0.2:1/v2/aggs/"
    )
    assert re.match(r"https://127\.0\.0\.1:\d+/v2/aggs/", (await page_with("next_url_scheme"))["next_url"])


@pytest.mark.parametrize("differs", [False, True])
async def test_a_bar_that_comes_twice(differs):
    suffix = "_differs" if differs else ""
    page = await page_with(f"repeat{suffix}")
    assert len(page["results"]) == page["resultsCount"] == 101
    assert stamps(page)[-1] == stamps(page)[-2]
    assert (page["results"][-1] != page["results"][-2]) == differs

    async with suffering({"kind": f"repeat_across_pages{suffix}", "path": "cursor="}) as (_, session):
        first = json.loads((await ask(session))[2])
        second = json.loads((await ask(session, first["next_url"]))[2])
    assert stamps(second)[0] == stamps(first)[-1] and second["resultsCount"] == 101
    assert (second["results"][0] != first["results"][-1]) == differs


async def test_stamps_that_cannot_be():
    honest = await page_with("status")
    first, last = stamps(honest)[0], stamps(honest)[-1]

    assert (
        sorted(stamps(await page_with("out_of_order")))
        == stamps(honest)
        != stamps(await page_with("out_of_order"))
    )
    assert stamps(await page_with("outside_window"))[-1] > last + 86_400_000
    assert stamps(await page_with("outside_window", detail="before"))[0] < first - 86_400_000
    off_grid = stamps(await page_with("off_grid"))
    assert [t % 60_000 for t in off_grid if t % 60_000] == [17_001] and off_grid == sorted(off_grid)


async def test_bars_that_cannot_be():
    def middle(page):
        return page["results"][50]

    assert (lambda bar: bar["h"] < bar["l"])(middle(await page_with("high_below_low")))
    assert middle(await page_with("negative_volume"))["v"] < 0
    assert middle(await page_with("huge_price"))["h"] == 1e300
    assert middle(await page_with("infinite_price"))["c"] == float("inf")
    assert "c" not in middle(await page_with("field_missing"))
    assert "v" not in middle(await page_with("field_missing", detail="v"))
    assert middle(await page_with("field_null", detail="o"))["o"] is None
    assert middle(await page_with("field_text", detail="h"))["h"] == "n/a"


async def test_bytes_that_cannot_be_read():
    async with suffering({"kind": "truncated_json"}) as (_, session):
        _, _, body = await ask(session)
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
    async with suffering({"kind": "bom"}) as (_, session):
        assert (await ask(session))[2].startswith(b"\xef\xbb\xbf{")
    async with (
        suffering({"kind": "truncated_gzip"}) as (emulator, _),
        ClientSession(auto_decompress=False) as session,
    ):
        url = f"{emulator.url}{PATH}&apiKey=emulator-key"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
            packed = await response.read()
        with pytest.raises(EOFError):
            gzip.decompress(packed)


@pytest.mark.parametrize(("kind", "times"), [("reset", 2), ("reset_mid_body", 1), ("length_too_long", 1)])
async def test_connections_that_break(kind, times):
    # aiohttp's client sends a GET again by itself after a reset: it takes two to be seen.
    async with suffering({"kind": kind, "first": times}) as (emulator, session):
        with pytest.raises(aiohttp.ClientError):
            await ask(session)
        assert (await ask(session))[0] == 200

    assert emulator.counts.by_status == ({0: 2, 200: 1} if kind == "reset" else {200: 2})
    assert emulator.counts.in_flight == 0


async def test_a_length_that_is_too_short_cuts_the_body():
    async with suffering({"kind": "length_too_short"}) as (emulator, _), ClientSession() as session:
        url = f"{emulator.url}{PATH}&apiKey=emulator-key"
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
            body = await response.read()

    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("kind", ["stall", "slow_body"])
async def test_answers_that_take_their_time(kind):
    async with suffering({"kind": kind, "seconds": 0.3}) as (_, session):
        begin = time.monotonic()
        status, _, body = await ask(session)
        assert time.monotonic() - begin >= 0.3
        assert status == 200 and len(json.loads(body)["results"]) == 100


async def test_a_stalled_answer_does_not_hold_up_the_end():
    begin = time.monotonic()
    async with suffering({"kind": "stall", "seconds": 600}) as (_, session):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(session), 0.1)

    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ({"every": 3}, [3, 6, 9]),
        ({"first": 2}, [1, 2]),
        ({"after": 4, "every": 2}, [6, 8]),
        ({"after": 1, "first": 4, "every": 2}, [3, 5]),
        ({"path": "nothing-like-it"}, []),
        ({"probability": 0.0}, []),
        ({}, list(range(1, 10))),
    ],
)
async def test_rules_choose_requests(rule, hit):
    async with suffering({"kind": "error_empty", **rule}) as (emulator, session):
        answers = [(await ask(session))[0] for _ in range(9)]

    assert [number for number, status in enumerate(answers, 1) if status == 500] == hit
    assert emulator.counts.faults == ({"error_empty": len(hit)} if hit else {})


async def test_probability_is_drawn_from_the_seed():
    def hits(seed: int) -> list[bool]:
        fault = Fault(kind=FaultKind.RESET, probability=0.2, seed=seed)
        return [fault.hits(number) for number in range(1, 1001)]

    assert hits(1) == hits(1) != hits(2)
    assert 150 < sum(hits(1)) < 250


async def test_an_outage_lasts_from_one_instant_to_another():
    start = datetime(2025, 1, 8, 20, tzinfo=UTC)
    clock = MovedClock(start, fixed=True)
    rule = {"kind": "error_html", "status": 503, "since": start, "until": start + timedelta(minutes=5)}
    answers = []
    async with suffering(rule, clock=clock) as (_, session):
        for minutes in (-1, 0, 4, 5):
            clock.move_to(start + timedelta(minutes=minutes))
            answers.append((await ask(session))[0])

    assert answers == [200, 503, 503, 200]


async def test_several_faults_at_once():
    rules = ({"kind": "bom"}, {"kind": "status", "detail": "DELAYED"}, {"kind": "stall", "seconds": 0.1})
    async with suffering(*rules) as (emulator, session):
        _, _, body = await ask(session)

    assert json.loads(body.decode("utf-8-sig"))["status"] == "DELAYED"
    assert emulator.counts.faults == {"bom": 1, "status": 1, "stall": 1}


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "nonsense"},
        {"kind": "bom", "every": 0},
        {"kind": "bom", "path": "("},
        {"kind": "bom", "often": 1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule):
    with pytest.raises(UsageError):
        EmulatorSettings().changed({"faults": [rule]})


async def test_rules_set_anew_count_anew_and_equal_rules_count_apart():
    rule = {"kind": "error_empty", "first": 1}
    async with suffering(rule, rule) as (emulator, session):
        before = [(await ask(session))[0] for _ in range(2)]
        emulator.change(faults=[rule])
        after = [(await ask(session))[0] for _ in range(2)]

    assert (before, after) == ([500, 200], [500, 200])
    assert emulator.counts.faults == {"error_empty": 3}
