"""The made-up market: the same bars whatever is asked, in the hours of a real one."""

import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.bars import Bars
from lib.vendor.emulator import nyse
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.vendor.emulator.windows import DAY_MS, EASTERN, MINUTE_MS, local_day, midnight
from lib.vendor.emulator.wire import bars_answer, wire_bars

MANY = 10**6
TICKERS = ("AAPL", "UGA", "NOSUCHYET", "BRK.B", "KIMpL", "X:BTCUSD", "X:NEWUSD")


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


def same(a: Bars, b: Bars) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Bars.__dataclass_fields__)


@pytest.fixture(scope="module")
def whole() -> dict[str, Bars]:
    market = SimulatedMarket(7)
    return {ticker: market.minutes(ticker, ms(2020, 8, 1), ms(2020, 12, 1), MANY) for ticker in TICKERS}


@settings(max_examples=60, deadline=None)
@given(
    ticker=st.sampled_from(TICKERS),
    start=st.integers(ms(2020, 8, 1), ms(2020, 11, 30)),
    span=st.integers(1, 122 * DAY_MS),
    most=st.one_of(st.just(MANY), st.integers(1, 100_000)),
    newest=st.booleans(),
)
@example(ticker="X:BTCUSD", start=ms(2020, 8, 1), span=122 * DAY_MS, most=150_000, newest=True)
@example(ticker="X:BTCUSD", start=ms(2020, 8, 1), span=122 * DAY_MS, most=150_000, newest=False)
def test_a_part_is_a_part_of_the_whole(whole, ticker, start, span, most, newest):
    end = min(start + span, ms(2020, 12, 1))
    part = SimulatedMarket(7).minutes(ticker, start, end, most, newest=newest)
    expected = whole[ticker].between(start, end)

    assert same(part, expected.take(slice(-most, None) if newest else slice(most)))


def test_days_are_the_same_one_by_one_and_years_at_once():
    for ticker in ("AAPL", "X:ETHUSD"):
        years = SimulatedMarket(7).days(ticker, ms(2003, 1, 1), ms(2006, 1, 1), MANY)
        pieces = [
            SimulatedMarket(7).days(ticker, ms(2005, month, 1), ms(2005, month + 1, 1), MANY)
            for month in range(1, 12)
        ]
        assert same(Bars.concat(pieces), years.between(ms(2005, 1, 1), ms(2005, 12, 1)))


def test_another_seed_or_ticker_is_another_market():
    span = (ms(2024, 1, 2), ms(2024, 1, 4), MANY)
    bars = SimulatedMarket(7).minutes("ABCD", *span)

    assert not same(bars, SimulatedMarket(8).minutes("ABCD", *span))
    assert not same(bars, SimulatedMarket(7).minutes("ABCE", *span))


@pytest.mark.parametrize("ticker", TICKERS)
def test_no_bar_is_impossible(ticker, whole):
    bars = whole[ticker]

    assert len(bars) > 1000
    assert np.all(np.diff(bars.t) > 0) and np.all(bars.t % MINUTE_MS == 0)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close)) and np.all(bars.low > 0)
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all((bars.low <= bars.vwap) & (bars.vwap <= bars.high))
    assert np.all(bars.volume > 0) and np.all(bars.trades >= 1)


@pytest.mark.parametrize("ticker", ["AAPL", "UGA", "NOSUCHYET"])
def test_minutes_lie_in_sessions_from_four_to_the_close_and_four_hours(ticker, whole):
    bars = whole[ticker]
    first, end = ((day - nyse.EPOCH).days for day in (date(2020, 8, 1), date(2020, 12, 1)))
    days, early = nyse.sessions(first, end)
    at = np.searchsorted(days, local_day(bars.t, EASTERN))
    minute = (bars.t - midnight(days, EASTERN)[at]) // MINUTE_MS

    assert np.array_equal(days[at], local_day(bars.t, EASTERN)), "a bar on a closed day"
    assert np.all(minute >= 4 * 60)
    assert np.all(minute < np.where(early[at], 17 * 60, 20 * 60))
    regular = (minute >= 9 * 60 + 30) & (minute < np.where(early[at], 13 * 60, 16 * 60))
    assert set(days[at[regular]].tolist()) == set(days.tolist()), "a session without a regular minute"


def test_a_liquid_name_trades_every_regular_minute_and_few_others():
    bars = SimulatedMarket(7).minutes("SPY", ms(2024, 11, 29), ms(2024, 11, 30), MANY)  # closes at 13:00
    minute = (bars.t - ms(2024, 11, 29, 5)) // MINUTE_MS

    assert ((minute >= 570) & (minute < 780)).sum() == 210
    assert 780 in minute.tolist()  # the closing auction
    assert 100 < len(bars) - 211 < 500
    assert minute.max() < 17 * 60


def test_a_thin_name_misses_most_minutes(whole):
    per_session = len(whole["UGA"]) / 84

    assert 0.3 * 390 > per_session > 0.1 * 390


def test_hours_move_with_the_clocks():
    for day, opens in ((date(2024, 3, 8), 14), (date(2024, 3, 11), 13)):
        start = ms(day.year, day.month, day.day, opens, 30)
        bars = SimulatedMarket(7).minutes("SPY", start, start + 390 * MINUTE_MS, MANY)
        busy = bars.volume[[0, 195]]
        assert len(bars) == 390
        assert SimulatedMarket(7).minutes("SPY", start - MINUTE_MS, start, 1).volume.sum() < busy.min()


def test_coins_trade_around_the_clock_in_utc_days():
    days = SimulatedMarket(7).days("X:BTCUSD", ms(2024, 3, 8), ms(2024, 3, 13), MANY)
    minutes = SimulatedMarket(7).minutes("X:BTCUSD", ms(2024, 3, 8), ms(2024, 3, 13), MANY)

    assert days.t.tolist() == [ms(2024, 3, day) for day in range(8, 13)]
    assert len(minutes) > 0.99 * 5 * 1440
    for day, t in enumerate(days.t):
        inside = minutes.between(int(t), int(t) + DAY_MS)
        assert days.open[day] == inside.open[0] and days.close[day] == inside.close[-1]
        assert days.volume[day] == pytest.approx(inside.volume.sum(), rel=1e-12)


def test_a_day_begins_where_the_last_one_ended():
    bars = SimulatedMarket(7).minutes("X:BTCUSD", ms(2024, 3, 8), ms(2024, 4, 8), MANY)
    last = np.flatnonzero(np.diff(bars.t // DAY_MS))
    joined = bars.t[last + 1] - bars.t[last] == MINUTE_MS

    assert joined.sum() > 20
    assert np.array_equal(bars.close[last][joined], bars.open[last + 1][joined])


def test_a_day_bar_has_the_prices_of_the_regular_minutes_and_more_volume():
    start, end = ms(2024, 5, 6), ms(2024, 5, 11)
    days = SimulatedMarket(7).days("AAPL", start, end, MANY)
    minutes = SimulatedMarket(7).minutes("AAPL", start, end, MANY)

    assert len(days) == 5
    for day, t in enumerate(days.t):
        regular = minutes.between(int(t) + 570 * MINUTE_MS, int(t) + 960 * MINUTE_MS)
        assert (days.open[day], days.close[day]) == (regular.open[0], regular.close[-1])
        assert (days.high[day], days.low[day]) == (regular.high.max(), regular.low.min())
        assert days.volume[day] > minutes.between(int(t), int(t) + DAY_MS).volume.sum()
        assert days.low[day] <= days.vwap[day] <= days.high[day]


def test_a_split_is_a_jump_of_the_raw_price_and_of_the_volume():
    market = SimulatedMarket(7)
    (split,) = [row for row in market.splits("AAPL") if row.execution_date == date(2020, 8, 31)]
    days = market.days("AAPL", ms(2020, 8, 1), ms(2020, 10, 1), MANY)
    after = days.t >= ms(2020, 8, 31)

    assert (split.split_from, split.split_to) == (1, 4)
    assert days.open[after][0] * 4 == pytest.approx(days.close[~after][-1], rel=0.03)
    assert 2 < np.median(days.volume[after]) / np.median(days.volume[~after]) < 8


def test_unknown_tickers_and_years_have_nothing():
    market = SimulatedMarket(7)

    assert [market.listing(name) for name in ("UNKNOWN", "UNKNOWN7", "X:UNKNOWNUSD", "lower", "A B")] == [
        None
    ] * 5
    assert len(market.minutes("UNKNOWN", 0, ms(2024, 1, 1), 10)) == 0
    assert len(market.days("AAPL", 0, ms(2003, 1, 1), 10)) == 0
    assert market.listing("SPY").kind == "ETF" and market.listing("AAPL").kind == "CS"
    assert market.listing("X:BTCUSD").market == "crypto"


def test_lists_hold_many_tickers_once_some_in_mixed_case_and_with_a_suffix():
    names = [row.ticker for row in SimulatedMarket(7, size=500).listings()]

    assert len(set(names)) == 500
    assert any("." in name for name in names) and any(name != name.upper() for name in names)


def test_quarterly_dividends_are_in_shares_of_their_day():
    market = SimulatedMarket(7)
    payer = next(t for t in ("AAPL", "NVDA", "TSLA", "GOOG", "AMZN", "WMT") if market.dividends(t))
    split = market.splits(payer)[-1]
    before, after = (
        [d.cash_amount for d in market.dividends(payer) if low <= d.ex_dividend_date < high][pick]
        for low, high, pick in (
            (split.execution_date - timedelta(days=200), split.execution_date, -1),
            (split.execution_date, split.execution_date + timedelta(days=200), 0),
        )
    )

    assert before / after == pytest.approx(split.split_to / split.split_from, rel=0.1)


def test_a_full_page_takes_milliseconds():
    market = SimulatedMarket(7)
    market.minutes("MSFT", ms(2024, 1, 2), ms(2024, 1, 3), 10)  # tables are made once
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        bars = market.minutes("MSFT", ms(2023, 1, 1), ms(2024, 6, 1), 50_000)
        rows = wire_bars(bars, exponents=True)
        body = bars_answer({}, rows, n_base=len(bars), adjusted=False, status="OK").rendered()
        seconds.append(time.perf_counter() - begin)

    assert len(bars) == 50_000 and len(body) > 4_000_000
    assert min(seconds) < 0.3  # 0.06 on an idle machine
