"""Dividends in the price, by the method of CRSP."""

import json
from datetime import date

import pytest

from lib.clock import to_ms
from lib.vendor.emulator.folder import read_bars
from lib.vendor.emulator.market import Dividend, MemoryMarket, Split
from lib.zones import NEW_YORK, midnight_ms, sunday_of
from tests.emulator import Emulator
from tests.end_to_end.corporate_actions.asking import (
    dividend_row,
    refreshed,
    split_row,
)

AAPL_SPLITS = [Split("AAPL", date(2014, 6, 9), 1, 7)]


async def test_total_return_is_the_method_of_crsp(listing):
    ex_dates = {"2025-01-15": 2.0, "2025-02-24": 0.5, "2025-02-26": 1.0, "2025-05-01": 9.0}
    listing.vendor.dividends = [
        dividend_row(f"D{n}", day=d, amount=a) for n, (d, a) in enumerate(ex_dates.items())
    ]
    listing.vendor.dividends += [
        dividend_row("D7", day="2025-02-26", amount=0.25),  # a second one of that day
        dividend_row("D8", day="2025-02-20", amount=3.0, currency="CAD"),
        dividend_row("D9", day="2024-06-03", amount=1.0),  # before the first bar: nothing to adjust
        dividend_row("D10", "IBM", day="2025-02-18", amount=1.0),
        dividend_row("D11", "WMT", day="2025-02-18", amount=100.0),
    ]
    hole = "symbol = 'IBM' AND timestamp BETWEEN '2025-02-07' AND '2025-02-18'"
    await listing.bench.fetch(f"DELETE FROM market_data WHERE {hole}")
    listing.vendor.splits = [split_row("E1")]

    outcome = await listing.refresh("KO", "IBM", "WMT")

    assert outcome.document()["unusable_dividends"] == [
        "IBM 2025-02-18: no day bar in the ten days before",
        "KO 2025-02-20: paid in CAD",
        "WMT 2025-02-18: as large as the price before it",
    ]
    total = await listing.bench.fetch(
        "SELECT timestamp, close, total_return_close FROM total_return_as_of($1) WHERE symbol = 'KO'",
        listing.clock.now(),
    )
    by_day = {
        f"{row['timestamp']:%Y-%m-%d}": row["total_return_close"] for row in total if row["close"] == 50
    }
    # Prices are 100 before the split of 2025-02-24 and 50 after: 50 throughout on today's basis.
    last = 1 - 1.25 / 50  # 2025-02-26: 1.00 + 0.25 on 50
    middle = last * (1 - 0.5 / 50)  # 2025-02-24: 0.50 per new share, on the 100 / 2 of the session before
    first = middle * (1 - 1.0 / 50)  # 2025-01-15: 2.00 per old share is 1.00 per new share
    assert by_day["2025-02-28"] == 50
    assert by_day["2025-02-26"] == 50
    assert by_day["2025-02-25"] == pytest.approx(50 * last, rel=1e-14)
    assert by_day["2025-02-21"] == pytest.approx(50 * middle, rel=1e-14)
    assert by_day["2025-01-15"] == pytest.approx(50 * middle, rel=1e-14)
    assert by_day["2025-01-14"] == pytest.approx(50 * first, rel=1e-14)


async def test_total_return_of_aapl_is_what_an_owner_gained_who_reinvested(workbench_of, shared_data):
    """Counted in shares: each dividend buys more at the close before the ex date less the dividend."""
    actions = json.loads((shared_data / "corporate_actions" / "AAPL.json").read_text())
    paid = [Dividend("AAPL", date.fromisoformat(d["ex_date"]), d["amount"]) for d in actions["dividends"]]
    days = read_bars(shared_data / "stocks" / "AAPL" / "1d.csv.gz")
    market = MemoryMarket(day_bars={"AAPL": days}, split_list=AAPL_SPLITS, dividend_list=paid)
    async with Emulator(market) as emulator:
        bench = workbench_of(emulator)
        await bench.run("AAPL", "1d,1w", "2012-01-03", "2013-03-01")
        await refreshed(bench, "AAPL")
        for timeframe in ("1d", "1w"):
            rows = await bench.fetch(
                """SELECT timestamp, total_return_close AS close FROM market_data_total_return
                   WHERE symbol = 'AAPL' AND timeframe = $1 ORDER BY timestamp""",
                timeframe,
            )
            ours = rows[-1]["close"] / rows[0]["close"]

            closes = dict(zip(days.t.tolist(), days.close.tolist(), strict=True))
            stamps = [t for t in closes if to_ms(rows[0]["timestamp"]) <= t]
            start = stamps[0] if timeframe == "1d" else stamps[4 - 1]  # the first week has four sessions
            shares = 1.0
            for dividend in sorted(paid, key=lambda one: one.ex_dividend_date):
                ex = midnight_ms(dividend.ex_dividend_date, NEW_YORK)
                if start < ex <= stamps[-1]:
                    before = closes[max(t for t in stamps if t < ex)]
                    shares *= before / (before - dividend.cash_amount)
            assert len(paid) > 2 and shares > 1.01
            assert ours == pytest.approx(shares * closes[stamps[-1]] / closes[start], rel=1e-12)

        # A week's close is its last day's, whatever ex dates lie inside.
        closes = await bench.fetch(
            "SELECT timeframe, timestamp, total_return_close AS close FROM market_data_total_return ORDER BY 1, 2"
        )
        days_of = {sunday_of(r["timestamp"].date()): r["close"] for r in closes if r["timeframe"] == "1d"}
        weeks = {r["timestamp"].date(): r["close"] for r in closes if r["timeframe"] == "1w"}
        assert len(weeks) > 50 and weeks == pytest.approx(days_of, rel=1e-14)
