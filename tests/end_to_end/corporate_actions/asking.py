"""How the tests of corporate actions ask, what they ask, and how they look at the prices."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from aiohttp import web

from lib.bars import Bars
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.actions import Asking, Refresh
from lib.zones import NEW_YORK, midnight_ms
from tests.emulator import Emulator

PRICES = ("open", "high", "low", "close")
ALL = "1m,5m,15m,30m,1h,4h,1d,1w"


async def refreshed(bench, *symbols, full=False, asking=Asking.RECENT, **terms):
    async with bench.toolkit(rate_limit=0, **terms) as toolkit:
        instruments = await toolkit.store.instruments(symbols or None)
        outcome = ActionsOutcome()
        refresh = Refresh(toolkit, instruments, outcome, Asking.FULL if full else asking)
        await refresh.ask()
        await refresh.settle()
        return outcome


async def view(bench, symbol, timeframe, source="market_data_adjusted"):
    rows = await bench.fetch(
        f"""SELECT timestamp, open, high, low, close, volume, vwap, trades FROM {source}
            WHERE symbol = $1 AND timeframe = $2 ORDER BY timestamp""",
        symbol,
        timeframe,
    )
    frame = pd.DataFrame([tuple(row) for row in rows], columns=["t", *PRICES, "volume", "vwap", "trades"])
    return frame.set_index("t").astype(float)


def as_of(moment):
    return f"adjusted_as_of('{moment.isoformat()}')"


def before_splits(bars, splits):
    """The raw bars that adjust to *bars*: prices as they were traded before each of *splits*."""
    factor = np.ones(len(bars))
    for split in splits:
        factor[bars.t < midnight_ms(split.execution_date, NEW_YORK)] *= split.split_to / split.split_from
    return replace(
        bars,
        **{name: getattr(bars, name) * factor for name in (*PRICES, "vwap")},
        volume=bars.volume / factor,
    )


def flat(price=100.0, first=date(2025, 1, 2), days=60, jumps=()):
    """Day bars of New York, one price but for *jumps*: (date, what the price is divided by from then on)."""
    dates = [first + timedelta(days=n) for n in range(days)]
    dates = [day for day in dates if day.weekday() < 5]
    t = np.array([midnight_ms(day, NEW_YORK) for day in dates], np.int64)
    close = np.full(len(t), price)
    for day, ratio in jumps:
        close[t >= midnight_ms(day, NEW_YORK)] /= ratio
    volume, trades = np.full(len(t), 1000.0), np.full(len(t), 10, np.int64)
    return Bars(t, close, close * 1.01, close * 0.99, close, volume, close, trades)


class MovedBench:
    """A workbench of stocks with flat day bars, at a moment of the test's choice."""

    def __init__(self, workbench_of, market, clock):
        self.emulator = Emulator(market, clock=clock)
        self.bench = workbench_of(self.emulator, clock)
        self.market, self.clock = market, clock

    async def __aenter__(self):
        await self.emulator.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.emulator.__aexit__(*error)

    async def refresh(self, *symbols, later=timedelta(0), full=False):
        self.clock.moment += later
        return await refreshed(self.bench, *symbols, full=full)

    async def closes(self, symbol, moment=None, timeframe="1d"):
        frame = await view(self.bench, symbol, timeframe, as_of(moment or self.clock.now()))
        return frame.close.tolist()

    async def rows(self, table="splits"):
        return await self.bench.fetch(f"SELECT * FROM {table} ORDER BY symbol, id")


class ListVendor:
    """Serves lists of events as they are, however odd; asked for its splits and its dividends only."""

    def __init__(self):
        self.splits, self.dividends, self.asked = [], [], []
        self.url = ""

    async def __aenter__(self):
        self._runner = web.ServerRunner(web.Server(self.answer))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error):
        await self._runner.cleanup()

    async def answer(self, request):
        events = {"/stocks/v1/splits": self.splits, "/stocks/v1/dividends": self.dividends}[request.path]
        self.asked.append(dict(request.query))
        since = next((text for name, text in request.query.items() if name.endswith(".gte")), "")
        listed = [e for e in events if str(e.get("execution_date", e.get("ex_dividend_date", "9"))) >= since]
        return web.json_response({"status": "OK", "results": listed})


def split_row(event_id, ticker="KO", day="2025-02-24", old=1, new=2, **more):
    row = {"id": event_id, "ticker": ticker, "execution_date": day, "split_from": old, "split_to": new}
    return {name: value for name, value in (row | more).items() if value is not ...}


def dividend_row(event_id, ticker="KO", day="2025-02-10", amount=0.5, **more):
    row = {
        "id": event_id,
        "ticker": ticker,
        "ex_dividend_date": day,
        "cash_amount": amount,
        "currency": "USD",
    }
    return row | more
