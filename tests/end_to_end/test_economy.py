"""The fewest requests: two frames for eight, one market's day for many symbols."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

STOCKS = "AAPL,MSFT,NVDA,GOOGL,AMZN,META,TSLA,BRK.B,JPM,V,JNJ,WMT,XOM,KO,IBM,SPY,QQQ,IWM,GLD,TLT,DIS,PEP"
COINS = "BTC,ETH,SOL"


@pytest.fixture
async def bench(workbench_of, jump_clock):
    clock = jump_clock("2025-06-11T14:00")
    async with Emulator(SimulatedMarket(size=510), clock=clock) as emulator:
        yield workbench_of(emulator, clock)


async def track(bench, count):
    """Track *count* simulated stocks; their names."""
    listed = [row.ticker for row in bench.emulator.market.listings() if row.market == "stocks"][:count]
    assert len(listed) == count
    await bench.fetch(
        """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar)
           SELECT t, 'stock', t, 'XNYS' FROM unnest($1::text[]) AS t ON CONFLICT DO NOTHING""",
        listed,
    )
    return ",".join(listed)


async def test_25_symbols_in_eight_timeframes_for_30_days_cost_50_requests_for_bars_at_most(bench):
    report = await bench.run(f"{STOCKS},{COINS}", "all", days=30, gap_retries=1)

    assert report.exit_status == 0
    kinds = bench.emulator.counts.by_kind
    assert kinds["aggs"] + kinds["grouped"] <= 50
    assert bench.audit["summary"]["gaps_found"] == 0


async def test_one_new_day_of_many_stocks_is_one_request_and_the_same_bars(bench):
    names = await track(bench, 500)
    await bench.run(names, "1d,1w", "2025-06-02", "2025-06-10", gap_retries=0)
    before = bench.emulator.counts.total
    bench.clock.moment += timedelta(days=1)

    report = await bench.run(names, "1d,1w", "2025-06-02", "2025-06-11", gap_retries=1)

    assert report.exit_status == 0
    assert bench.emulator.counts.total - before == 1
    assert bench.emulator.counts.log[-1].path.startswith("/v2/aggs/grouped/")
    grouped = await bench.tables()
    await bench.fetch("TRUNCATE market_data, fetch_log, session_audit")
    for name in names.split(",")[:5]:
        await bench.run(name, "1d,1w", "2025-06-02", "2025-06-11")
    alone = await bench.tables()
    assert len(alone[0]) >= 45
    some = set(names.split(",")[:5])
    for together, apart in zip(grouped, alone, strict=True):
        assert [row for row in together if row[0] in some] == apart


async def test_a_market_day_that_is_not_ready_covers_nothing(bench):
    names = await track(bench, 10)
    bench.emulator.change(faults=[{"kind": "no_data_empty", "path": "/grouped/"}])

    report = await bench.run(names, "1d", "2025-06-10", "2025-06-10", gap_retries=0)

    assert report.exit_status == 0
    assert bench.emulator.counts.total == 1 + 10, "the symbols ask for themselves"


def sent(bench):
    """Of each kind: requests planned, sent; pages planned, received."""
    return {
        kind: (row["planned_requests"], row["sent_requests"], row["planned_pages"], row["received_pages"])
        for kind, row in bench.audit["plan"].items()
    }


async def test_the_audit_compares_the_plan_with_what_was_sent(bench):
    await bench.run("AAPL,BTC,DIS", "all", days=10, gap_retries=1)

    assert sent(bench) == {
        "minute_windows": (3, 3, 3, 3),
        "day_windows": (3, 3, 3, 3),
        "look_ups": (1, 1, 1, 1),
    }
    assert bench.emulator.counts.total == bench.audit["requests"]["total"] == 7


async def test_what_was_answered_provisionally_is_planned_apart(bench):
    span = ("2025-06-09", "2025-06-11")
    bench.clock.moment = datetime(2025, 6, 12, 1, tzinfo=UTC)
    await bench.run("AAPL", "1h,1d", *span, gap_retries=0)
    assert sent(bench) == {"minute_windows": (1, 1, 1, 1), "day_windows": (1, 1, 1, 1)}
    bench.clock.moment = datetime(2025, 6, 12, 11, tzinfo=UTC)

    await bench.run("AAPL", "1h,1d", *span, gap_retries=0)

    assert sent(bench) == {"rechecks": (2, 2, 2, 2)}


async def test_what_is_not_planned_is_counted_too(bench):
    names = await track(bench, 10)
    bench.emulator.change(faults=[{"kind": "no_data_empty", "path": "/grouped/"}])

    await bench.run(names, "1d", "2025-06-10", "2025-06-10", gap_retries=0)

    assert sent(bench) == {"market_days": (1, 1, 1, 1), "day_windows": (0, 10, 0, 10)}
