"""``feature_state``: which rows of ``market_data_v2`` are what their bars give.

A page of features is written under the lock of the write path: the bars it is made of cannot change
meanwhile, and of two runs at once one waits for the other. Whoever changes what features rest on does so
under that lock (``lock_series``) and calls ``mark_stale`` in the same transaction.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import asyncpg
import numpy as np

from lib import sql
from lib.bars import Bars, FloatArray, IntArray
from lib.clock import from_ms, to_ms
from lib.coverage import Range, clip
from lib.store import runs, symbols
from lib.store.adjusted import read_adjusted_bars
from lib.store.bars import Series, bars_of_arrays, copy_bars, merged
from lib.store.database import Database
from lib.store.feature_rows import FeaturesWritten, Page, read_rows, write_rows
from lib.store.locks import lock_series
from lib.store.outage import outlasting
from lib.symbols import Instrument
from lib.timeframe import Timeframe

EVER: Range = (0, 4_102_444_800_000)  # 1970 to 2100: all the stamps a bar can have
FEW_BARS = 5_000


@dataclass(frozen=True, slots=True)
class FeatureState:
    """How far the features of one series are.

    *computed*: stamps of the rows that are current, as a range set, provided that *version* and *basis*
    still hold. *last_bar_ms*: stamp of the newest bar; None: there is no bar. *changes*: a count that grows
    whenever what the features rest on is written; None as long as there are none. *eras*: ends of the spans
    between splits, and for each shares now for a share then; None for a week of two bases.
    """

    version: int | None
    basis: str | None
    computed: tuple[Range, ...]
    last_bar_ms: int | None
    changes: int | None
    eras: tuple[tuple[int, float | None], ...] = ()

    @property
    def mixed_weeks(self) -> list[Range]:
        """The weeks whose raw bars are of two bases."""
        return [
            (start, end)
            for (start, _), (end, factor) in pairwise([(EVER[0], None), *self.eras])
            if factor is None
        ]

    def shares(self, t_ms: IntArray) -> FloatArray:
        """Shares now for a share at each of *t_ms*; in a mixed week 1. Shape as given."""
        factors = np.array([*(factor or 1.0 for _, factor in self.eras), 1.0])
        return factors[np.searchsorted([end for end, _ in self.eras], t_ms, side="right")]


def _state(row: asyncpg.Record) -> FeatureState:
    ranges = tuple((to_ms(r.lower), to_ms(r.upper)) for r in row["computed"] or ())
    eras = zip(map(to_ms, row["era_ends"] or ()), row["factors"] or (), strict=True)
    return FeatureState(
        row["version"], row["basis"], ranges, _stamp(row["last_bar"]), row["changes"], tuple(eras)
    )


def _stamp(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


async def mark_stale(
    connection: asyncpg.Connection,
    symbol: str,
    timeframes: Iterable[Timeframe] | None = None,
    from_stamp_ms: int | None = None,
) -> None:
    """The features of *symbol* from a stamp on (None: all) no longer fit. *timeframes* None: all of them."""
    since = EVER[0] if from_stamp_ms is None else from_stamp_ms
    await mark_written(connection, symbol, dict.fromkeys(timeframes or Timeframe, since))


async def mark_written(connection: asyncpg.Connection, symbol: str, since: Mapping[Timeframe, int]) -> None:
    """Bars of *symbol* were written, in each timeframe from the stamp *since* on.

    A feature may rest on every bar before it: stale is all that follows, and when older history was added in
    front, the whole series. One statement, whether there are features or not.
    """
    if since:
        stamps = [from_ms(stamp) for stamp in since.values()]
        await connection.execute(sql.load("mark_features_stale"), symbol, list(since), stamps)


class SeriesFeatures:
    """The features of one series in a transaction, as seen at *moment*.

    *state*: how far they are. *known*: stamp and on-balance volume of the last current row that has one.
    """

    def __init__(
        self, connection: asyncpg.Connection, series: Series, moment: datetime, row: asyncpg.Record
    ) -> None:
        self._connection = connection
        self._series = series
        self._moment = moment
        self._last_row_ms = _stamp(row["last_row"])
        self.state = _state(row)
        self.known = None if row["obv_at"] is None else (to_ms(row["obv_at"]), float(row["obv"]))

    async def bars(self, span: Range, *, lookback: int, limit: int) -> Bars:
        """The first *limit* adjusted bars in *span*, and before them the last *lookback* with a price."""
        series, bounds = self._series, (from_ms(span[0]), from_ms(span[1]))
        arguments = (series.symbol, series.timeframe, *bounds, lookback, limit)
        if (span[1] - span[0]) // series.timeframe.step_ms < FEW_BARS:
            [row] = await self._connection.fetch(sql.load("read_feature_tail"), *arguments)
            raw = bars_of_arrays(row)
        else:
            raw = await copy_bars(self._connection, sql.load("read_feature_bars"), *arguments)
        return await self._adjusted(raw) if self.state.eras and len(raw) else raw

    async def _adjusted(self, raw: Bars) -> Bars:
        """*raw* adjusted for splits; weeks with a split inside are put together from their days."""
        shares = self.state.shares(raw.t)
        prices = {name: getattr(raw, name) / shares for name in ("open", "high", "low", "close", "vwap")}
        bars = replace(raw, volume=raw.volume * shares, **prices)
        for week in clip(self.state.mixed_weeks, int(raw.t[0]), int(raw.t[-1]) + 1):
            built = await read_adjusted_bars(self._connection, self._series, *week, self._moment)
            bars = merged(bars, built)
        return bars

    async def obv_before(self, stamp_ms: int) -> tuple[int, float] | None:
        """Stamp and stored on-balance volume of the last bar before *stamp_ms* that has one."""
        row = await self._connection.fetchrow(
            sql.load("read_last_obv"), self._series.symbol, self._series.timeframe, from_ms(stamp_ms)
        )
        return None if row is None else (to_ms(row["timestamp"]), row["obv"])

    async def rows(self, span: Range) -> Page:
        """The stored rows in *span*."""
        if self._last_row_ms is None or self._last_row_ms < span[0]:
            return Page.empty()
        return await read_rows(self._connection, self._series, span)

    async def write(self, page: Page, span: Range, at: datetime) -> FeaturesWritten:
        """Make the rows in *span* those of *page*: only what is new or differs is written."""
        return await write_rows(self._connection, self._series, page, await self.rows(span), at)

    async def conclude(self, version: int, basis: str, computed: Sequence[Range], at: datetime) -> None:
        """Record which rows are current now."""
        ranges = [asyncpg.Range(from_ms(start), from_ms(end)) for start, end in computed]
        await self._connection.execute(
            sql.load("write_feature_state"),
            self._series.symbol,
            self._series.timeframe,
            version,
            basis,
            ranges,
            at,
        )


@outlasting
class FeatureStore:
    """What the features job reads and writes of one database.

    *outlast* does work again that an outage broke off: what is done in ``writing`` and ``reading`` is not.
    """

    def __init__(self, database: Database) -> None:
        self._connection = database.connection
        self._outage = database.outage
        self.outlast = database.outage.outlast

    @asynccontextmanager
    async def writing(self, series: Series, moment: datetime) -> AsyncIterator[SeriesFeatures]:
        """*series* in a transaction of its own; writers of its bars wait until the block ends."""
        async with self._connection() as connection, connection.transaction():
            await lock_series(connection, series.symbol, series.timeframe.base)
            yield await _opened(connection, series, moment)

    @asynccontextmanager
    async def reading(self, series: Series, moment: datetime) -> AsyncIterator[SeriesFeatures]:
        """*series* as it was when the block began, bars and rows alike; nobody waits."""
        async with self._connection() as connection, connection.transaction(isolation="repeatable_read"):
            yield await _opened(connection, series, moment)

    async def states(self, all_series: Sequence[Series], moment: datetime) -> dict[Series, FeatureState]:
        """The states of many series, by one query."""
        names, timeframes = [s.symbol for s in all_series], [s.timeframe for s in all_series]
        async with self._connection() as connection:
            rows = await connection.fetch(sql.load("read_feature_states"), names, timeframes, moment)
        return {Series(row["symbol"], Timeframe(row["timeframe"])): _state(row) for row in rows}

    async def instruments(self, names: Sequence[str] | None) -> list[Instrument]:
        """The tracked instruments of these names; None: every active one."""
        async with self._connection() as connection:
            return await symbols.read_instruments(connection, names)

    async def start_run(
        self, run_id: str, script: str, started_at: datetime, arguments: Mapping[str, Any]
    ) -> None:
        """Record that a run began."""
        async with self._connection() as connection:
            await runs.start_run(connection, run_id, script, started_at, arguments)

    async def finish_run(self, run_id: str, end: runs.RunEnd) -> None:
        """Record how a run ended."""
        async with self._connection() as connection:
            await runs.finish_run(connection, run_id, end)


async def _opened(connection: asyncpg.Connection, series: Series, moment: datetime) -> SeriesFeatures:
    [row] = await connection.fetch(sql.load("read_feature_state"), series.symbol, series.timeframe, moment)
    return SeriesFeatures(connection, series, moment, row)
