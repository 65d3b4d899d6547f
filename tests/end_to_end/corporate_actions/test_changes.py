"""What the vendor changes, takes back or gets wrong, and what the bars say of it."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from lib.vendor.emulator.market import MemoryMarket, Split
from tests.end_to_end.corporate_actions.asking import (
    dividend_row,
    flat,
    split_row,
)


async def test_a_changed_split_is_marked_and_what_it_was_is_kept(listing):
    listing.vendor.splits = [split_row("E1", new=3)]
    assert (await listing.refresh("KO")).rebased == {"KO": "2025-02-24 3:1"}

    listing.vendor.splits = [split_row("E1", new=2)]
    outcome = await listing.refresh("KO", later=timedelta(days=1))

    assert outcome.document()["splits"]["changed"] == ["KO 2025-02-24 3:1 is now KO 2025-02-24 2:1"]
    assert outcome.rebased == {"KO": "2025-02-24 2:1"}
    [row] = await listing.rows()
    [before] = json.loads(row["previous"])
    assert (before["split_to"], before["execution_date"]) == (3, "2025-02-24")
    assert row["changed_at"] == listing.clock.now()
    assert set(await listing.closes("KO")) == {50.0}


@pytest.mark.parametrize(("before", "after"), [("2025-02-24", "2024-06-03"), ("2024-06-03", "2025-02-24")])
async def test_a_split_moved_in_time_is_the_same_split(before, after, listing):
    listing.vendor.splits = [split_row("E1", day=before)]
    await listing.refresh("KO")

    listing.vendor.splits = [split_row("E1", day=after)]
    outcome = await listing.refresh("KO", later=timedelta(days=1))

    assert len(outcome.splits.changed) == 1 and outcome.splits.missing == []
    assert [row["execution_date"].isoformat() for row in await listing.rows()] == [after]
    assert outcome.rebased == {"KO": f"{after} 2:1"}


async def test_what_cannot_be_used_is_refused_with_its_reason_and_the_rest_is_kept(listing):
    listing.vendor.splits = [
        split_row("E1"),
        split_row("E2", old=2, new=4),
        split_row("E3", "IBM", old=0),
        split_row("E4", "IBM", new="many"),
        split_row("E5", "IBM", day=...),
        split_row("E6", "IBM", day="soon"),
        split_row("E7", "ZZZ"),
        split_row("E8", ...),
    ]
    listing.vendor.dividends = [dividend_row("D1"), dividend_row("D2"), dividend_row("D3", "WMT", amount=-1)]

    outcome = await listing.refresh("KO", "IBM", "WMT")

    splits, dividends = outcome.document()["splits"], outcome.document()["dividends"]
    assert (splits["new"], splits["duplicates"], splits["ignored"]) == (1, 1, 1)
    assert splits["refused"] == [
        "E3: its split_from is 0",
        "E4: its split_to is 'many'",
        "E5: it has no execution_date",
        "E6: its execution_date 'soon' is not a date",
        "E8: it names no ticker",
    ]
    assert (dividends["new"], dividends["duplicates"]) == (1, 1)
    assert dividends["refused"] == ["D3: its cash_amount is -1"]
    assert not outcome.whole
    assert [row["id"] for row in await listing.rows()] == ["E1"]

    # Nothing is lost: whoever may own a refused event is asked about from the same date again.
    listing.vendor.splits, listing.vendor.asked = [split_row("E1"), split_row("E3", "IBM", "1999-03-01")], []
    listing.vendor.dividends = [dividend_row("D1")]
    outcome = await listing.refresh("KO", "IBM", "WMT", later=timedelta(days=1))
    assert outcome.whole and len(outcome.splits.new) == 1
    assert ["execution_date.gte" in query for query in listing.vendor.asked[:1]] == [False]


async def test_a_refused_event_of_long_ago_is_not_asked_for_each_night(listing):
    listing.vendor.splits = [split_row("E1", old=0, day="1999-03-01")]
    assert len((await listing.refresh("KO", "IBM")).splits.refused) == 1
    listing.vendor.asked = []

    outcome = await listing.refresh("KO", "IBM", later=timedelta(days=1))

    assert outcome.whole and len(listing.vendor.asked) == 2
    listing.vendor.splits = [split_row("E1", day="1999-03-01")]
    outcome = await listing.refresh("KO", "IBM", later=timedelta(days=30))
    assert len(outcome.splits.new) == 1, "mended, it is had within a month"


async def test_a_ticker_tracked_later_is_asked_about_from_the_beginning(listing):
    listing.vendor.splits = [split_row("E1"), split_row("E2", "IBM", "1999-05-27")]
    await listing.refresh("KO")

    outcome = await listing.refresh("KO", "IBM", later=timedelta(days=1))

    assert [split.event_id for split in outcome.splits.new] == ["E2"]
    about = [(query["ticker.any_of"], "execution_date.gte" in query) for query in listing.vendor.asked]
    assert about[2:4] == [("KO", True), ("IBM", False)]


async def test_everything_is_asked_anew_once_a_month(listing):
    await listing.refresh("KO")
    listing.vendor.splits = [split_row("E1", day="1999-05-27")]

    assert (await listing.refresh("KO", later=timedelta(days=29))).splits.new == []
    assert len((await listing.refresh("KO", later=timedelta(days=1))).splits.new) == 1


async def test_coins_have_no_corporate_actions(listing):
    outcome = await listing.refresh("BTC", "ETH")

    assert outcome.whole and listing.vendor.asked == []


async def test_a_split_that_disappears_is_asked_again_and_only_then_taken_back(at_noon):
    day = date(2025, 2, 24)
    market = MemoryMarket(day_bars={"KO": flat(jumps=[(day, 2)])}, split_list=[Split("KO", day, 1, 2)])
    async with at_noon(market) as desk:
        await desk.bench.run("KO", "1d", "2025-01-02", "2025-03-01")
        await desk.refresh("KO")
        market.split_list = []

        outcome = await desk.refresh("KO", later=timedelta(days=1))
        assert len(outcome.splits.missing) == 1 and outcome.rebased == {}
        assert set(await desk.closes("KO")) == {50.0}, "not believed at once"
        assert (await desk.refresh("KO", later=timedelta(minutes=20))).splits.withdrawn == []

        outcome = await desk.refresh("KO", later=timedelta(minutes=20))
        assert len(outcome.splits.withdrawn) == 1 and outcome.rebased == {"KO": ""}
        assert set(await desk.closes("KO")) == {100.0, 50.0}
        [row] = await desk.rows()
        assert row["withdrawn_at"] == desk.clock.now()

        market.split_list = [Split("KO", day, 1, 2)]
        outcome = await desk.refresh("KO", later=timedelta(days=1))
        assert len(outcome.splits.back) == 1 and outcome.rebased == {"KO": "2025-02-24 2:1"}
        assert [row["withdrawn_at"] for row in await desk.rows()] == [None]


async def test_a_split_the_bars_contradict_is_reported_and_not_applied(at_noon):
    day = date(2025, 2, 24)
    bars = {"KO": flat(), "IBM": flat(jumps=[(day, 4)]), "WMT": flat(jumps=[(day, 3)])}
    splits = [Split("KO", day, 1, 2), Split("IBM", day, 1, 2), Split("WMT", day, 1, 3)]
    async with at_noon(MemoryMarket(day_bars=bars, split_list=splits)) as desk:
        await desk.bench.run("KO,IBM,WMT", "1d", "2025-01-02", "2025-03-01")

        outcome = await desk.refresh("KO", "IBM", "WMT")

        found = {one["symbol"]: (one["observed"], one["applied"]) for one in outcome.document()["suspect"]}
        assert found == {"KO": (1.0, False), "IBM": (4.0, True)}
        assert set(await desk.closes("KO")) == {100.0}
        assert set(await desk.closes("IBM")) == {50.0, 25.0}
        assert sorted(outcome.rebased) == ["IBM", "WMT"]

        await desk.bench.fetch("UPDATE splits SET forced = NOT applied WHERE verdict = 'suspect'")
        outcome = await desk.refresh("KO", "IBM")
        assert outcome.rebased == {"KO": "2025-02-24 2:1", "IBM": ""}
        assert set(await desk.closes("KO")) == {50.0, 100.0}


async def test_bars_that_come_later_judge_a_split_that_was_believed(at_noon):
    day = date(2025, 2, 24)
    market = MemoryMarket(day_bars={"KO": flat()}, split_list=[Split("KO", day, 1, 2)])
    async with at_noon(market) as desk:
        await desk.bench.run("KO", "1d", "2025-01-02", "2025-02-21")
        assert (await desk.refresh("KO")).suspects == []
        assert set(await desk.closes("KO")) == {50.0}

        await desk.bench.run("KO", "1d", "2025-02-22", "2025-03-01")
        outcome = await desk.refresh("KO")

        assert outcome.rebased == {"KO": ""} and len(outcome.suspects) == 1


async def test_a_jump_without_a_split_is_reported_once(at_noon):
    day = date(2025, 2, 24)
    bars = {"KO": flat(jumps=[(day, 2)]), "IBM": flat(jumps=[(day, 1 / 10)]), "WMT": flat(jumps=[(day, 1.4)])}
    async with at_noon(MemoryMarket(day_bars=bars)) as desk:
        await desk.bench.run("KO,IBM,WMT", "1d", "2025-01-02", "2025-03-01")

        found = (await desk.refresh("KO", "IBM", "WMT")).document()["jumps"]
        assert [(one["symbol"], one["looks_like"], one["new"]) for one in found] == [
            ("IBM", "1:10", True),
            ("KO", "2:1", True),
        ]
        assert {one["date"] for one in found} == {"2025-02-24"}
        outcome = await desk.refresh("KO", "IBM", "WMT", later=timedelta(days=1))
        assert [jump.new for jump in outcome.jumps] == [False, False] and outcome.findings() == []

        # Looked for since the Sunday before it by now: it is still compared with the Friday.
        desk.clock.moment = datetime(2025, 3, 25, 17, tzinfo=UTC)
        assert len((await desk.refresh("KO", "IBM", "WMT")).jumps) == 2

        await desk.bench.fetch("UPDATE price_jumps SET dismissed = true WHERE symbol = 'IBM'")
        desk.market.split_list = [Split("KO", day, 1, 2)]
        assert (await desk.refresh("KO", "IBM", "WMT", full=True)).jumps == []
