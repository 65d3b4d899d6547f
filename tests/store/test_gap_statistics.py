"""Rows without a ledger, put to the statistics: no false alarm on real minutes, thin ones included."""

import random
from datetime import timedelta

import pytest

from lib.clock import from_ms
from lib.zones import local_date
from tests.store.gap_market import MINUTE_MS, ZONES, new_york, recorded

# Real minutes as another program stored them, and the sessions in which they really end early or begin late:
# Coinbase stopped at 16:47 on 2018-04-04; the others are the first and last day of a file, cut in mid-day.
REAL = {
    "stocks/AAPL": [],
    "stocks/AMZN": [],
    "stocks/JPM": [],
    "etfs/GLD": [],
    "etfs/SPY": [],
    "etfs/UGA": [],
    "crypto/BTC-USD": ["2018-04-04"],
    "crypto/ETH-USD": ["2018-04-04"],
    "crypto/BTC-PERP": ["2021-12-31", "2022-02-01"],
    "crypto/XRP-ETH": ["2019-10-13"],
}


async def stored(market, folder, name):
    """Store a file of real minutes as another program would; the symbol, its stamps and its dates."""
    coin = name.startswith("crypto")
    symbol = name.split("/")[1]
    await market.connection.execute(
        """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar) VALUES ($1, $2, $1, $3)
           ON CONFLICT (symbol) DO NOTHING""",
        symbol,
        "crypto" if coin else "stock",
        "24/7" if coin else "XNYS",
    )
    stamps = recorded(folder, name)
    zone = "UTC" if coin else "America/New_York"
    await market.foreign(symbol, "1m", stamps)
    first, last = local_date(stamps[0], zone), local_date(stamps[-1], zone)
    return symbol, stamps, (first.isoformat(), (last + timedelta(days=1)).isoformat())


async def suspects(market, symbol, dates):
    found = await market.find(symbol, "1m", *dates)
    assert {str(s.state) for s in found[symbol]} <= {"suspect", "unverified"}
    return [
        (s.start + timedelta(days=n)).isoformat()
        for s in found[symbol]
        if s.state == "suspect"
        for n in range((s.end - s.start).days)
    ]


@pytest.mark.parametrize("name", REAL)
async def test_real_sessions_raise_no_alarm_but_the_true_ones(market, shared_data, name):
    symbol, _, dates = await stored(market, shared_data, name)
    for zone in ZONES:
        await market.zone(zone)
        assert await suspects(market, symbol, dates) == REAL[name]


async def delete_between(market, symbol, start, end):
    await market.delete(symbol, "1m", from_ms(start), from_ms(end))


@pytest.mark.parametrize("name", ["stocks/JPM", "stocks/AMZN", "etfs/GLD", "etfs/SPY"])
async def test_a_deleted_hour_of_a_liquid_name_is_suspect(market, shared_data, name):
    symbol, _, dates = await stored(market, shared_data, name)
    table, chance = await market.sessions(symbol, *dates), random.Random(3)
    for number in range(len(table)):
        transaction = market.connection.transaction()
        await transaction.start()
        start = chance.randrange(int(table.open_ms[number]), int(table.close_ms[number]) - 60 * MINUTE_MS)
        await delete_between(market, symbol, start, start + 60 * MINUTE_MS)
        assert await suspects(market, symbol, dates) == [table.dates()[number].isoformat()]
        await transaction.rollback()


@pytest.mark.parametrize("name", ["stocks/JPM", "stocks/AMZN", "etfs/GLD", "etfs/SPY", "etfs/UGA"])
async def test_a_session_of_which_only_the_fringes_are_left_is_suspect(market, shared_data, name):
    symbol, _, dates = await stored(market, shared_data, name)
    table = await market.sessions(symbol, *dates)
    number = len(table) // 2
    await delete_between(market, symbol, int(table.open_ms[number]), int(table.close_ms[number]))
    await market.foreign(symbol, "1m", [int(table.close_ms[number]) + 5 * MINUTE_MS])
    assert await suspects(market, symbol, dates) == [table.dates()[number].isoformat()]


@pytest.mark.parametrize("cut_minutes", [5, 15, 30, 60])
async def test_the_last_minutes_of_a_liquid_name_are_missed(market, shared_data, cut_minutes):
    symbol, _, dates = await stored(market, shared_data, "stocks/JPM")
    table = await market.sessions(symbol, *dates)
    close = int(table.close_ms[2])
    await delete_between(market, symbol, close - cut_minutes * MINUTE_MS, close)
    assert await suspects(market, symbol, dates) == [table.dates()[2].isoformat()]


async def test_a_page_of_5000_rows_that_was_not_followed_is_the_one_true_alarm(market, shared_data):
    # As in a public repository: the download ended with a request's limit, in mid-session.
    symbol, stamps, dates = await stored(market, shared_data, "etfs/SPY")
    await delete_between(market, symbol, stamps[5000], stamps[-1] + 1)
    last = local_date(stamps[4999], "America/New_York")
    assert await suspects(market, symbol, (dates[0], (last + timedelta(days=1)).isoformat())) == [str(last)]


async def test_the_statistics_look_back_twenty_sessions_beyond_what_is_asked(market):
    # A name that trades every other minute: alone its session looks like that too, but for a quiet half hour.
    minutes = await market.minutes("KO", "2025-03-03", "2025-04-01")
    quiet = range(*(int(new_york(f"2025-03-31T{t}").timestamp() * 1000) for t in ("12:00", "12:30")))
    chance = random.Random(5)
    kept = [t for t in minutes if chance.random() < 0.5 and t not in quiet]
    await market.foreign("KO", "1m", kept)

    alone = await suspects(market, "KO", ("2025-03-31", "2025-04-01"))
    assert alone == await suspects(market, "KO", ("2025-03-03", "2025-04-01")) == ["2025-03-31"]
    await market.delete("KO", "1m", new_york("2025-03-03T00:00"), new_york("2025-03-31T00:00"))
    await market.foreign("KO", "1m", await market.minutes("KO", "2025-03-28", "2025-03-31"))
    # After sessions with every minute, half of them absent is suspect in itself.
    assert await suspects(market, "KO", ("2025-03-31", "2025-04-01")) == ["2025-03-31"]


async def test_minutes_off_the_grid_do_not_count(market):
    minutes = await market.minutes("KO", "2025-03-31", "2025-04-01")
    await market.foreign("KO", "1m", [*minutes[:100], *(t + 30_000 for t in minutes[100:])])
    assert await suspects(market, "KO", ("2025-03-31", "2025-04-01")) == ["2025-03-31"]


async def test_only_rows_without_a_ledger_are_put_to_the_statistics(market):
    few = (await market.minutes("KO", "2025-03-31", "2025-04-01"))[:200]
    await market.answered("KO", "1m", "2025-03-30", "2025-04-01", few)
    assert await market.state("KO", "1m", "2025-03-31") == "complete"
