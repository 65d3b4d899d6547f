"""Gap detection over two years of 25 symbols in all timeframes: against one count of the table, same run."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from lib.bars import Bars, IntArray
from lib.clock import ScaledClock
from lib.sessions import SessionTable
from lib.settings import Settings
from lib.store.answers import Answer
from lib.store.database import Database, open_database
from lib.symbols import AssetClass, Instrument
from lib.timeframe import MINUTE_MS, Timeframe
from lib.wiring import Toolkit, VendorTerms, open_toolkit
from lib.zones import day_number, midnights

PAGE = 50_000
FIRST, LAST = date(2023, 1, 1), date(2024, 12, 31)
NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)
# How many minutes have trades. Coins and the extended hours are thinner than the regular session.
REGULAR, EXTENDED, COIN = 0.99, 0.08, 0.62


@asynccontextmanager
async def scratch_toolkit(home: Path | None = None) -> AsyncIterator[tuple[Toolkit, Database]]:
    """A toolkit on an embedded database of its own, as a user gets it; no vendor is asked anything."""
    async with AsyncExitStack() as stack:
        if home is None:
            home = Path(mkdtemp(prefix="backfill-bench-"))
            home.chmod(0o755)  # PostgreSQL, which does not run as root, must be able to enter
            stack.callback(shutil.rmtree, home)
        settings = Settings(home=home)
        clock = ScaledClock(NOW)
        database = await stack.enter_async_context(open_database(settings))
        toolkit = await stack.enter_async_context(open_toolkit(settings, VendorTerms(), clock, database))
        yield toolkit, database


def traded_minutes(instrument: Instrument, sessions: SessionTable, seed: int) -> IntArray:
    """The minutes of two years in which this simulated instrument traded, ms, ascending."""
    part = sessions.between(FIRST, LAST + timedelta(days=1))
    lengths = (part.extended_close_ms - part.extended_open_ms) // MINUTE_MS
    session = np.repeat(np.arange(len(part)), lengths)
    first = np.cumsum(lengths) - lengths
    t = part.extended_open_ms[session] + (np.arange(len(session)) - first[session]) * MINUTE_MS
    regular = (t >= part.open_ms[session]) & (t < part.close_ms[session])
    share = np.where(regular, COIN if instrument.asset_class is AssetClass.CRYPTO else REGULAR, EXTENDED)
    return np.asarray(t[np.random.default_rng(seed).random(len(t)) < share], np.int64)


def bars_at(t: IntArray) -> Bars:
    """Bars at these stamps; what they say is of no importance here."""
    price = np.full(len(t), 100.0)
    return Bars(t, price, price, price, price, np.full(len(t), 10.0), price, np.full(len(t), 3))


async def write_history(toolkit: Toolkit, instrument: Instrument, seed: int) -> None:
    """Two years of one instrument, as a backfill leaves them: bars, derived bars, ledger, audit."""
    sessions = toolkit.sessions[instrument.calendar]
    start, end = (
        int(ms) for ms in midnights(np.array([day_number(FIRST), day_number(LAST) + 1]), instrument.zone)
    )
    minutes = traded_minutes(instrument, sessions, seed)
    edges = [start, *minutes[PAGE::PAGE].tolist(), end]
    for a, b in pairwise(edges):
        answer = Answer(instrument, Timeframe.M1, a, b, bars_at(minutes).between(a, b), (), NOW)
        await toolkit.store.write_answer(answer, sessions, derive=True)
    days = midnights(sessions.between(FIRST, LAST + timedelta(days=1)).days, instrument.zone)
    # Weeks reach over both ends of the range.
    answer = Answer(instrument, Timeframe.D1, start, end + 5 * 86_400_000, bars_at(days), (), NOW)
    await toolkit.store.write_answer(answer, sessions, derive=True)
