"""Bars of ``market_data``: read as columns, written by what is new and what has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from lib import sql
from lib.bars import NO_TRADES, Bars
from lib.clock import from_ms, to_ms
from lib.store import binary
from lib.store.binary import Field
from lib.timeframe import Timeframe

VENDOR, DERIVED = "polygon", "derived"

_NUMBERS = ("open", "high", "low", "close", "volume", "vwap")
_READ = (Field("timestamp", ">i8"), *(Field(name, ">f8") for name in _NUMBERS), Field("trades", ">i8"))


@dataclass(frozen=True, slots=True)
class Series:
    """One symbol and timeframe."""

    symbol: str
    timeframe: Timeframe


@dataclass(slots=True)
class Written:
    """Bars of one series: *received*, and how many of those were new and how many had changed.

    *since_ms*: stamp of the oldest that was new or changed; None if there was none.
    """

    received: int = 0
    inserted: int = 0
    updated: int = 0
    since_ms: int | None = None

    def add(self, other: "Written") -> None:
        self.received += other.received
        self.inserted += other.inserted
        self.updated += other.updated
        self.since_ms = min((s for s in (self.since_ms, other.since_ms) if s is not None), default=None)


async def timeframes_with_rows(
    connection: asyncpg.Connection, symbol: str, timeframes: tuple[Timeframe, ...], start_ms: int, end_ms: int
) -> set[Timeframe]:
    """Which of *timeframes* have any bar in [start_ms, end_ms)."""
    rows = await connection.fetch(
        sql.load("series_with_rows"), symbol, list(timeframes), from_ms(start_ms), from_ms(end_ms)
    )
    return {Timeframe(row["timeframe"]) for row in rows}


async def read_bars(connection: asyncpg.Connection, series: Series, start_ms: int, end_ms: int) -> Bars:
    """The stored bars of *series* that start in [start_ms, end_ms), oldest first."""
    span = from_ms(start_ms), from_ms(end_ms)
    return await copy_bars(connection, sql.load("read_bars"), series.symbol, series.timeframe, *span)


async def copy_bars(connection: asyncpg.Connection, query: str, *arguments: object) -> Bars:
    """The bars that *query* gives in the columns of read_bars."""
    data = await binary.collect(
        lambda sink: connection.copy_from_query(query, *arguments, output=sink, format="binary")
    )
    return _bars(binary.decode(_READ, data))


def bars_of_arrays(arrays: asyncpg.Record) -> Bars:
    """Bars of columns that array_send made, named as those of read_bars; all null: no bars."""
    if arrays["timestamp"] is None:
        return Bars.empty()
    return _bars({field.name: binary.of_array(arrays[field.name], field.wire) for field in _READ})


def _bars(rows: Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any]) -> Bars:
    """The bars of columns as they stand on the wire."""
    return Bars(
        t=binary.instants_ms(rows["timestamp"]),
        trades=rows["trades"].astype(np.int64),
        **{name: rows[name].astype(np.float64) for name in _NUMBERS},
    )


def differing(new: Bars, stored: Bars) -> tuple[Bars, Bars]:
    """Of *new*, the bars that *stored* lacks and the bars that differ from it."""
    if _apart(new, stored):
        return new, Bars.empty()
    if np.array_equal(new.t, stored.t):
        return Bars.empty(), new.take(~_same(new, stored))
    at = np.minimum(np.searchsorted(stored.t, new.t), len(stored) - 1)
    known = stored.t[at] == new.t
    return new.take(~known), new.take(known & ~_same(new, stored.take(at)))


def _apart(one: Bars, other: Bars) -> bool:
    """Whether all of one lies before all of the other."""
    if not len(one) or not len(other):
        return True
    return bool(one.t[-1] < other.t[0] or other.t[-1] < one.t[0])


def _same(one: Bars, other: Bars) -> npt.NDArray[np.bool_]:
    """Row by row, whether all but the stamps is equal; unknown equals unknown."""
    same: npt.NDArray[np.bool_] = one.trades == other.trades
    same &= (one.vwap == other.vwap) | (np.isnan(one.vwap) & np.isnan(other.vwap))
    for name in _NUMBERS[:-1]:
        same &= getattr(one, name) == getattr(other, name)
    return same


def merged(stored: Bars, new: Bars) -> Bars:
    """*stored* with *new* put over it: what the table holds after both were written."""
    if not len(stored) or not len(new):
        return new if len(new) else stored
    if _apart(stored, new):
        return Bars.concat([stored, new] if stored.t[0] < new.t[0] else [new, stored])
    both = Bars.concat([new, stored])
    _, first = np.unique(both.t, return_index=True)
    return both.take(first)


async def write_bars(
    connection: asyncpg.Connection,
    series: Series,
    bars: Bars,
    stored: Bars,
    *,
    source: str,
    fetched_at: datetime,
) -> Written:
    """Write what of *bars* is new against *stored* or differs from it; equal bars are not touched.

    *stored*: the bars of the range as they are in the table, read in this transaction. New bars are copied
    straight into the table. Should another program have put the same keys there meanwhile, all are merged.
    """
    new, changed = differing(bars, stored)
    oldest = min((int(part.t[0]) for part in (new, changed) if len(part)), default=None)
    written = Written(len(bars), len(new), len(changed), oldest)
    if len(new):
        try:
            async with connection.transaction():  # a savepoint: a failed COPY aborts its transaction
                await _copy(connection, "market_data", series, new, source, fetched_at)
        except asyncpg.UniqueViolationError:
            inserted, updated = await _merge(connection, series, new, source, fetched_at)
            written.inserted, written.updated = inserted, updated + len(changed)
    if len(changed):
        await _merge(connection, series, changed, source, fetched_at)
    return written


async def _merge(
    connection: asyncpg.Connection, series: Series, bars: Bars, source: str, fetched_at: datetime
) -> tuple[int, int]:
    """Bring *bars* into the table whatever is there: counts of inserted and updated rows."""
    await connection.execute(sql.load("create_bar_stage"))
    await _copy(connection, "bar_stage", series, bars, source, fetched_at)
    rows = await connection.fetch(sql.load("merge_bar_stage"))
    await connection.execute(sql.load("truncate_bar_stage"))
    inserted = sum(row["inserted"] for row in rows)
    return inserted, len(rows) - inserted


async def _copy(
    connection: asyncpg.Connection, table: str, series: Series, bars: Bars, source: str, fetched_at: datetime
) -> None:
    fields = _write_fields(series, source)
    columns = {
        "timestamp": binary.timestamps(bars.t),
        "fetched_at": (to_ms(fetched_at) - binary.EPOCH_MS) * 1000,
        **{name: getattr(bars, name) for name in _NUMBERS},
        "trades": bars.trades,
        "symbol": series.symbol.encode(),
        "timeframe": series.timeframe.encode(),
        "source": source.encode(),
    }
    nulls = {"vwap": np.isnan(bars.vwap), "trades": bars.trades == NO_TRADES}
    parts = binary.encode(fields, columns, nulls, len(bars))
    await connection.copy_to_table(
        table, source=binary.stream(parts), columns=[f.name for f in fields], format="binary"
    )


def _write_fields(series: Series, source: str) -> tuple[Field, ...]:
    texts = {"symbol": series.symbol, "timeframe": series.timeframe, "source": source}
    return (
        Field("timestamp", ">i8"),
        Field("fetched_at", ">i8"),
        *(Field(name, ">f8") for name in _NUMBERS),
        Field("trades", ">i8"),
        *(Field(name, f"S{len(text.encode())}") for name, text in texts.items()),
    )
