"""Stored bars for those who take them elsewhere: on any basis, with their features, page by page."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg
import numpy as np

from lib import sql
from lib.actions import Basis
from lib.adjustment import Factors, total_return
from lib.bars import Bars, FloatArray
from lib.clock import from_ms
from lib.coverage import Range
from lib.rollup import roll_up
from lib.store.adjusted import dividend_factors, read_adjusted_bars
from lib.store.bars import Series, copy_bars
from lib.store.database import Database
from lib.store.feature_rows import NAMES, read_rows
from lib.symbols import Instrument
from lib.timeframe import DAY_MS, Timeframe
from lib.zones import ceil_to_window, floor_to_window

PAGE_BARS = 50_000
_INTO_SATURDAY_MS = 13 * DAY_MS // 2  # from the Sunday that begins a week: after every ex date in it


@dataclass(frozen=True, slots=True)
class Rows:
    """Bars of one series, oldest first, and their features by name, NaN for none; empty if not asked for."""

    bars: Bars
    features: dict[str, FloatArray]

    def take(self, which: slice) -> "Rows":
        return Rows(self.bars.take(which), {name: column[which] for name, column in self.features.items()})


class BarReader:
    """Reads as of *moment*, all of one state of the database. Made by ``reading``."""

    def __init__(self, connection: asyncpg.Connection, moment: datetime) -> None:
        self._connection = connection
        self._moment = moment

    async def pages(
        self,
        instrument: Instrument,
        timeframe: Timeframe,
        basis: Basis,
        span: Range,
        *,
        features: bool = False,
    ) -> AsyncGenerator[Rows, None]:
        """The bars that start in *span*, in pages of at most PAGE_BARS.

        The features are those computed, on split-adjusted bars, whatever the *basis* of the bars.
        """
        series, factors = Series(instrument.symbol, timeframe), None
        if basis is Basis.TOTAL_RETURN:
            factors = await dividend_factors(self._connection, instrument.symbol, self._moment)
        while len(bars := await self._bars(series, basis, span)):
            span = (int(bars.t[-1]) + 1, span[1])
            if factors is not None:
                bars = await self._with_dividends(bars, instrument, timeframe, factors)
            yield Rows(bars, await self._features(series, bars) if features else {})

    async def _bars(self, series: Series, basis: Basis, span: Range) -> Bars:
        if basis is not Basis.RAW:
            return await read_adjusted_bars(self._connection, series, *span, self._moment, limit=PAGE_BARS)
        arguments = (series.symbol, series.timeframe, *map(from_ms, span), PAGE_BARS)
        return await copy_bars(self._connection, sql.load("read_bar_page"), *arguments)

    async def _with_dividends(
        self, bars: Bars, instrument: Instrument, timeframe: Timeframe, factors: Factors
    ) -> Bars:
        adjusted = total_return(bars, factors)
        if timeframe is not Timeframe.W1:
            return adjusted
        mixed = factors.at(bars.t) != factors.at(bars.t + _INTO_SATURDAY_MS)
        return (
            _replaced(adjusted, mixed, await self._weeks(bars, instrument, factors))
            if mixed.any()
            else adjusted
        )

    async def _weeks(self, bars: Bars, instrument: Instrument, factors: Factors) -> Bars:
        """The weeks of *bars* from their days: those with an ex date inside are of two bases."""
        span = (int(bars.t[0]), ceil_to_window(int(bars.t[-1]) + 1, Timeframe.W1, instrument.zone))
        series = Series(instrument.symbol, Timeframe.D1)
        days = await read_adjusted_bars(self._connection, series, *span, self._moment)
        start = floor_to_window(span[0], Timeframe.W1, instrument.zone)
        return roll_up(total_return(days, factors), Timeframe.W1, instrument.zone, [(start, span[1])])

    async def _features(self, series: Series, bars: Bars) -> dict[str, FloatArray]:
        page = await read_rows(self._connection, series, (int(bars.t[0]), int(bars.t[-1]) + 1))
        if not len(page):
            return {name: np.full(len(bars), np.nan) for name in NAMES}
        at = np.minimum(np.searchsorted(page.bars.t, bars.t), len(page) - 1)
        known = page.bars.t[at] == bars.t
        return {name: np.where(known, page.values[name][at], np.nan) for name in NAMES}


def _replaced(bars: Bars, which: np.ndarray[tuple[int], np.dtype[np.bool_]], by: Bars) -> Bars:
    """*bars* with the prices of some from the bars of *by* of the same stamp; NaN where it has none."""
    at = np.searchsorted(by.t, bars.t)
    known = np.isin(bars.t, by.t)
    changes = {}
    for name in ("open", "high", "low", "close", "vwap"):
        found = np.full(len(bars), np.nan)
        found[known] = getattr(by, name)[at[known]]
        changes[name] = np.where(which, found, getattr(bars, name))
    return replace(bars, **changes)


@asynccontextmanager
async def reading(database: Database, moment: datetime) -> AsyncIterator[BarReader]:
    """A reader for the block. *moment*: the splits and dividends up to then count."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield BarReader(connection, moment)
