"""Bars on an adjusted basis, and the factors that lead to it. Raw bars are never changed."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import numpy as np

from lib import sql
from lib.adjustment import EVER, Era, Factors
from lib.bars import Bars
from lib.clock import from_ms, to_ms
from lib.store.bars import Series, copy_bars
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, midnight_ms


async def read_adjusted_bars(
    connection: asyncpg.Connection,
    series: Series,
    start_ms: int,
    end_ms: int,
    moment: datetime,
    *,
    limit: int | None = None,
) -> Bars:
    """The bars of *series* that start in [start_ms, end_ms), adjusted for the splits executed up to *moment*.

    A 1w bar of a week with a split inside is rolled up from its adjusted days, NaN if they are not stored.
    """
    span = (from_ms(start_ms), from_ms(end_ms))
    query = sql.load("read_adjusted_bars")
    return await copy_bars(connection, query, series.symbol, series.timeframe, *span, moment, limit)


async def dividend_factors(connection: asyncpg.Connection, symbol: str, moment: datetime) -> Factors:
    """By what split-adjusted prices are multiplied for total returns, as seen at *moment*."""
    rows = await connection.fetch(sql.load("read_dividend_factors"), symbol, moment)
    starts = [EVER, *(to_ms(row["ex_time"]) for row in rows)]
    return Factors(np.array(starts, np.int64), np.array([*(row["era_factor"] for row in rows), 1.0]))


async def write_eras(connection: asyncpg.Connection, symbol: str, eras: Sequence[Era]) -> None:
    """Put *eras* in the place of those of *symbol*. Their dates are of New York."""
    await connection.execute(sql.load("delete_split_eras"), symbol)
    bounds = ("start", "end", "as_of_start", "as_of_end")
    start, end, as_of_start, as_of_end = (
        [None if (day := getattr(era, name)) is None else from_ms(midnight_ms(day, NEW_YORK)) for era in eras]
        for name in bounds
    )
    await connection.execute(
        sql.load("insert_split_eras"),
        symbol,
        start,
        end,
        [None if era.factor is None else float(era.factor) for era in eras],
        as_of_start,
        as_of_end,
        [era.weekly for era in eras],
        list(Timeframe),
    )
