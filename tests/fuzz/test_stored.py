"""From the vendor's socket into PostgreSQL: nothing is stored that was not in the answer."""

import json
from collections import Counter, deque
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.clock import to_ms
from tests import leaks
from tests.end_to_end.corporate_actions.asking import refreshed
from tests.fuzz.asked import COLUMNS, answers, bits, results_in, written_in
from tests.fuzz.documents import KEY, spoilt
from tests.fuzz.events import PAID, SPLIT, events_answers, is_in, wrapped
from tests.fuzz.examples import examples

DAY = "2023-11-14"  # of tests.vendor.asking.START
TABLES = """market_data, fetch_log, session_audit, backfill_gaps, backfill_runs, splits, dividends,
            corporate_action_checks"""


@pytest.fixture
def bench(vendor, workbench_of, jump_clock):
    return workbench_of(vendor, jump_clock("2023-11-20T12:00"))


def answering(vendor, body):
    """*vendor*, which gives *body* for whatever it is asked, with the real key for the one in it."""
    vendor._script = deque()
    for _ in range(20):
        vendor.reply(body.replace(KEY.encode(), leaks.KEY.encode()))


@given(body=spoilt(answers(most=1)), derive=st.booleans())
@examples(20)
async def test_bars(bench, vendor, body, derive):
    answering(vendor, body)
    frames = "all" if derive else "1m"
    report = await bench.run("AAPL", frames, DAY, DAY, derive=derive, max_attempts=1, max_outage_minutes=0)
    rows = await bench.fetch(f"SELECT timeframe, timestamp, {', '.join(COLUMNS)}, trades FROM market_data")
    await bench.fetch(f"TRUNCATE {TABLES} CASCADE")

    minutes = Counter(map(stored, (row for row in rows if row["timeframe"] == "1m")))
    given = written_in(body) if rows else Counter()
    assert minutes <= given
    prices = {price for bar in given for price in bar[1:5]}
    for row in rows:  # the rolled up ones have theirs from the minutes
        assert {bits(row[name]) for name in COLUMNS[:4]} <= prices
    assert report.outcomes


def stored(row):
    numbers = [float("nan") if row[name] is None else row[name] for name in COLUMNS]
    trades = -1 if row["trades"] is None else row["trades"]
    return (to_ms(row["timestamp"]), *map(bits, numbers), trades)


def listed(**changes):
    """Both kinds of event with *changes* in each, after sound ones."""
    sound = [SPLIT, PAID]
    return json.dumps(
        wrapped([*sound, *(event | {"id": "E2", "ticker": "AAPL"} | changes for event in sound)])
    ).encode()


@given(body=spoilt(events_answers))
@examples(15)
@example(listed(id="\0"))
@example(listed(id="x" * 5000))
@example(listed(id=KEY))
@example(listed(currency="\0", adjustment_type="\x1b[2J"))
@example(listed(frequency=10**12))
@example(listed(frequency=True))
@example(listed(cash_amount="1e999999", split_from="1e-999999"))
@example(listed(cash_amount=1e300, split_to=1e300))
@example(listed(ex_dividend_date="0001-01-01", execution_date="9999-12-31"))
async def test_splits_and_dividends(bench, vendor, body):
    answering(vendor, body)
    outcome = await refreshed(bench, "AAPL", "KO", max_attempts=1, max_outage_minutes=0)
    splits = await bench.fetch("SELECT symbol, execution_date AS day, split_from, split_to FROM splits")
    paid = await bench.fetch("SELECT symbol, ex_date AS day, cash_amount FROM dividends")
    assert leaks.KEY not in str(
        await bench.fetch("SELECT splits, dividends FROM splits FULL JOIN dividends ON false")
    )
    await bench.fetch(f"TRUNCATE {TABLES} CASCADE")

    given = results_in(body) if splits or paid else []
    for event in (SimpleNamespace(**row) for row in (*splits, *paid)):
        assert any(is_in(event, row) for row in given), event
    if b'"E2"' in body:
        assert splits and paid and outcome.splits.error is outcome.dividends.error is None
