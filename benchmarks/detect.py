"""Gap detection over two years of 25 symbols in all timeframes: against one count of the table, same run."""

import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg
import numpy as np

from benchmarks.report import Figure, at_most, exactly, median_ratio, seconds, shown
from benchmarks.scratch import scratch
from lib.bars import Bars, IntArray
from lib.clock import ScaledClock
from lib.gaps import State
from lib.jobs.gaps import Scope, detect
from lib.jobs.ohlcv import Wanted, plan_symbol
from lib.plan import DateRange
from lib.sessions import SessionTable
from lib.settings import Settings
from lib.store.answers import Answer
from lib.store.database import Database, open_database
from lib.symbols import AssetClass, Instrument
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.wiring import Toolkit, VendorTerms, open_toolkit
from lib.zones import day_number, midnights

PAGE = 50_000
DATES = DateRange(date(2023, 1, 1), date(2024, 12, 31))
NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)
# How many minutes have trades. Coins and the extended hours are thinner than the regular session.
REGULAR, EXTENDED, COIN = 0.99, 0.08, 0.62


@asynccontextmanager
async def scratch_toolkit(database_url: str | None = None) -> AsyncIterator[tuple[Toolkit, Database]]:
    """A toolkit on a database of its own, as a user gets it; no vendor is asked anything."""
    async with scratch(database_url) as databases:
        settings = Settings(home=Path("/nonexistent"), database_url=await databases.database())
        clock = ScaledClock(NOW)
        async with (
            open_database(settings) as database,
            open_toolkit(settings, VendorTerms(), clock, database) as toolkit,
        ):
            yield toolkit, database


def traded_minutes(instrument: Instrument, sessions: SessionTable, dates: DateRange, seed: int) -> IntArray:
    """The minutes of *dates* in which this simulated instrument traded, ms, ascending."""
    part = sessions.between(dates.start, dates.end + timedelta(days=1))
    lengths = (part.extended_close_ms - part.extended_open_ms) // MINUTE_MS
    session = np.repeat(np.arange(len(part)), lengths)
    first = np.cumsum(lengths) - lengths
    t = part.extended_open_ms[session] + (np.arange(len(session)) - first[session]) * MINUTE_MS
    regular = (t >= part.open_ms[session]) & (t < part.close_ms[session])
    share = np.where(regular, COIN if instrument.asset_class is AssetClass.CRYPTO else REGULAR, EXTENDED)
    return np.asarray(t[np.random.default_rng(seed).random(len(t)) < share], np.int64)


def bars_at(t: IntArray, seed: int) -> Bars:
    """Bars at these stamps, of a price that wanders from 100."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 2e-4, len(t)))), 2)
    open_ = np.round(close * np.exp(rng.normal(0, 2e-4, len(t))), 2)
    high, low = np.maximum(open_, close) + 0.02, np.minimum(open_, close) - 0.02
    volume, trades = np.round(rng.exponential(1000, len(t))), rng.integers(1, 400, len(t))
    return Bars(t, open_, high, low, close, volume, (open_ + close) / 2, trades)


async def write_history(
    toolkit: Toolkit, instrument: Instrument, dates: DateRange, seed: int, days_past: int = 0
) -> None:
    """*dates* of one instrument, as a backfill leaves them: bars, derived bars, ledger, audit.

    *days_past*: how many days after them the vendor said have no bars, so that the last week ends.
    """
    sessions = toolkit.sessions[instrument.calendar]
    start, end = (
        int(ms)
        for ms in midnights(np.array([day_number(dates.start), day_number(dates.end) + 1]), instrument.zone)
    )
    minutes = traded_minutes(instrument, sessions, dates, seed)
    bars = bars_at(minutes, seed)
    for a, b in pairwise([start, *minutes[PAGE::PAGE].tolist(), end]):
        answer = Answer(instrument, Timeframe.M1, a, b, bars.between(a, b), (), NOW)
        await toolkit.store.write_answer(answer, sessions, derive=True)
    days = midnights(sessions.between(dates.start, dates.end + timedelta(days=1)).days, instrument.zone)
    past = end + days_past * DAY_MS
    answer = Answer(instrument, Timeframe.D1, start, past, bars_at(days, seed), (), NOW)
    await toolkit.store.write_answer(answer, sessions, derive=True)


async def measure(database_url: str | None = None, pairs: int = 5) -> list[Figure]:
    """Detection by counting every unit's bars, and by believing the audited counts, against one count(*)."""
    async with scratch_toolkit(database_url) as (toolkit, database):
        instruments = await toolkit.store.instruments(None)
        for seed, instrument in enumerate(instruments):
            await write_history(toolkit, instrument, DATES, seed, days_past=5)
        scopes = [Scope(i, Wanted(DATES, tuple(Timeframe))) for i in instruments]
        async with database.connection() as connection:
            await connection.execute("VACUUM ANALYZE")
            rows = await connection.fetchval("SELECT count(*) FROM market_data")
            counted, believed, whole = await _against_count(toolkit, connection, scopes, pairs)
            await connection.execute(DELETE_ONE)
        return [
            shown("rows", rows),
            shown("one count(*)", whole, "s"),
            at_most("detection that counts / count(*) (median of pairs)", counted, 2.0),
            at_most("detection that believes the audit / count(*)", believed, 0.15),
            exactly("gaps found after one bar was deleted", await _lost(toolkit, scopes), 1),
            exactly("requests that a second run plans for old ranges", await _planned(toolkit, scopes), 0),
        ]


# A bar in the middle of everything.
DELETE_ONE = """
    DELETE FROM market_data
    WHERE symbol = 'KO' AND timeframe = '1m'
      AND timestamp = (SELECT timestamp FROM market_data WHERE symbol = 'KO' AND timeframe = '1m'
                       ORDER BY timestamp OFFSET 50000 LIMIT 1)
"""


async def _against_count(
    toolkit: Toolkit, connection: asyncpg.Connection, scopes: Sequence[Scope], pairs: int
) -> tuple[float, float, float]:
    taken = []
    for _ in range(pairs + 1):  # the first warms up
        whole = await seconds(lambda: connection.fetchval("SELECT count(*) FROM market_data"))
        counted = await seconds(lambda: detect(toolkit, scopes))
        believed = await seconds(lambda: detect(toolkit, scopes, counted=False))
        taken.append((counted, believed, whole))
    counts = [whole for _, _, whole in taken[1:]]
    return (
        median_ratio([(counted, whole) for counted, _, whole in taken[1:]]),
        median_ratio([(believed, whole) for _, believed, whole in taken[1:]]),
        statistics.median(counts),
    )


async def _lost(toolkit: Toolkit, scopes: Sequence[Scope]) -> int:
    """Units in which stored bars are gone, all series together."""
    found = await detect(toolkit, scopes)
    return sum(
        s.units for series in found.values() for run in series.values() for s in run if s.state is State.LOST
    )


async def _planned(toolkit: Toolkit, scopes: Sequence[Scope]) -> int:
    """Requests for what was answered long ago: nothing is missing, whether bars were deleted or not."""
    plans = [await plan_symbol(toolkit, s.instrument, s.wanted) for s in scopes]
    return sum(len(series.windows) for plan in plans for series in plan)
