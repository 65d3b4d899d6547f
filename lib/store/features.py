"""``feature_state``: which rows of ``market_data_v2`` are what their bars give.

A page of features is computed and written in one transaction under the lock of the write path: the bars it is
made of cannot change meanwhile, and of two runs at once one waits for the other. Whoever changes what features
rest on calls ``mark_stale`` in the transaction of the change.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import numpy as np

from lib import sql
from lib.bars import Bars
from lib.clock import Clock, from_ms, to_ms
from lib.coverage import Range
from lib.outcome import Busy
from lib.store import binary, runs, symbols
from lib.store.bars import READ_FIELDS, Series, differing, to_bars
from lib.store.database import Database
from lib.store.feature_rows import Page, Stored, Written, read_rows, write_rows
from lib.store.locks import lock_series
from lib.symbols import Instrument
from lib.timeframe import Timeframe

EVER: Range = (0, 4_102_444_800_000)  # 1970 to 2100: all the stamps a bar can have


@dataclass(frozen=True, slots=True)
class FeatureState:
    """How far the features of one series are.

    *computed*: stamps of the rows that are current, as a range set, provided that *version* and *basis* still
    hold. *last_bar_ms*: stamp of the newest bar; None: there is no bar.
    """

    version: int | None
    basis: str | None
    computed: tuple[Range, ...]
    last_bar_ms: int | None

    @staticmethod
    def of(row: asyncpg.Record) -> "FeatureState":
        """The state that a row of read_feature_states or lock_feature_state tells."""
        ranges = tuple((to_ms(r.lower), to_ms(r.upper)) for r in row["computed"] or ())
        last_bar = row["last_bar"]
        return FeatureState(row["version"], row["basis"], ranges, None if last_bar is None else to_ms(last_bar))


async def mark_stale(
    connection: asyncpg.Connection,
    symbol: str,
    timeframes: Sequence[Timeframe] | None = None,
    from_ms_: int | None = None,
) -> None:
    """The features of *symbol* from a stamp on (None: all) no longer fit. *timeframes* None: all of them."""
    since = EVER[0] if from_ms_ is None else from_ms_
    await mark_written(connection, symbol, dict.fromkeys(timeframes or Timeframe, since))


async def mark_written(connection: asyncpg.Connection, symbol: str, since: Mapping[Timeframe, int]) -> None:
    """Bars of *symbol* were written, the oldest of each timeframe at the stamp *since*.

    Every feature may rest on all bars before it: what is stale is the rest of the series, and when older history
    was added in front, all of it. One statement, whether there are features or not.
    """
    if since:
        stamps = [from_ms(stamp) for stamp in since.values()]
        await connection.execute(sql.load("mark_features_stale"), symbol, list(since), stamps)


def oldest_written(bars: Bars, stored: Bars) -> int:
    """The stamp of the first of *bars* that is new against *stored* or differs from it; there must be one."""
    if not len(stored):
        return int(bars.t[0])
    return min(int(part.t[0]) for part in differing(bars, stored) if len(part))


class SeriesFeatures:
    """One series in a transaction that nobody else can write it in."""

    def __init__(self, connection: asyncpg.Connection, series: Series, row: asyncpg.Record) -> None:
        self._connection = connection
        self._series = series
        self._last_row_ms = None if row["last_row"] is None else to_ms(row["last_row"])
        self.state = FeatureState.of(row)

    async def bars(self, start_ms: int, end_ms: int, *, lookback: int, limit: int) -> Bars:
        """The first *limit* bars in [start_ms, end_ms), and before them the *lookback* last ones with a price."""
        return await read_feature_bars(self._connection, self._series, start_ms, end_ms, lookback, limit)

    async def obv_before(self, ms: int) -> tuple[int, float] | None:
        """Stamp and stored on-balance volume of the last bar before *ms* that has one."""
        row = await self._connection.fetchrow(
            sql.load("read_last_obv"), self._series.symbol, self._series.timeframe, from_ms(ms)
        )
        return None if row is None else (to_ms(row["timestamp"]), row["obv"])

    async def write(self, page: Page, span: Range, computed_at: datetime) -> Written:
        """Make the rows in *span* those of *page*: only what is new or differs is written."""
        stored = Stored.empty()
        if self._last_row_ms is not None and self._last_row_ms >= span[0]:
            stored = await read_rows(self._connection, self._series, span)
        return await write_rows(self._connection, self._series, page, stored, computed_at)

    async def conclude(self, version: int, basis: str, computed: Sequence[Range], at: datetime) -> None:
        """Record which rows are current now."""
        ranges = [asyncpg.Range(from_ms(start), from_ms(end)) for start, end in computed]
        symbol, timeframe = self._series.symbol, self._series.timeframe
        await self._connection.execute(
            sql.load("write_feature_state"), symbol, timeframe, version, basis, ranges, at
        )
