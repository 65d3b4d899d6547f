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
from lib.timeframe import MINUTE_MS, Timeframe
from lib.wiring import Toolkit, VendorTerms, open_toolkit
from lib.zones import day_number, midnights

PAGE = 50_000
FIRST, LAST = date(2023, 1, 1), date(2024, 12, 31)
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


async def measure(database_url: str | None = None, pairs: int = 5) -> list[Figure]:
    """Detection by counting every unit's bars, and by believing the audited counts, against one count(*)."""
    async with scratch_toolkit(database_url) as (toolkit, database):
        instruments = await toolkit.store.instruments(None)
        for seed, instrument in enumerate(instruments):
            await write_history(toolkit, instrument, seed)
        scopes = [Scope(i, Wanted(DateRange(FIRST, LAST), tuple(Timeframe))) for i in instruments]
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
