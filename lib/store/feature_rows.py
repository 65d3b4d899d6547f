"""Rows of ``market_data_v2``: written by what is new and what has changed, as the bars are."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from lib import sql
from lib.bars import NO_TRADES, Bars, FloatArray, IntArray
from lib.clock import from_ms, to_ms
from lib.coverage import Range
from lib.indicators import FEATURES, Feature
from lib.store import binary
from lib.store.bars import Series
from lib.store.binary import Field

BoolArray = npt.NDArray[np.bool_]

NUMBERS = ("open", "high", "low", "close", "volume", "vwap")
NAMES = tuple(feature.name for feature in FEATURES)
SMALL = 2_000  # rows: so few are encoded sooner than a thread is asked
SAME = 1e-11  # relatively: what a recursive feature may owe to the bar at which its computation began

_READ = (
    Field("timestamp", ">i8"),
    *(Field(name, ">f8") for name in NUMBERS),
    Field("trades", ">i8"),
    *(Field(name, ">f8") for name in NAMES),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some bars of a series, adjusted for splits, oldest first, and their features by name, NaN for none."""

    bars: Bars
    values: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.bars)

    @staticmethod
    def empty() -> "Page":
        """No rows."""
        return Page(Bars.empty(), {name: np.empty(0) for name in NAMES})

    def take(self, which: BoolArray | IntArray | slice) -> "Page":
        """The bars chosen by a slice, a mask or indices, with their features."""
        return Page(self.bars.take(which), {name: column[which] for name, column in self.values.items()})


@dataclass(slots=True)
class FeaturesWritten:
    """Rows that were new, that have changed, and that had lost their bar."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def add(self, other: "FeaturesWritten") -> None:
        self.inserted += other.inserted
        self.updated += other.updated
        self.deleted += other.deleted


async def read_rows(connection: asyncpg.Connection, series: Series, span: Range) -> Page:
    """The stored rows of *series* with stamps in *span*, oldest first."""
    arguments = (series.symbol, series.timeframe, from_ms(span[0]), from_ms(span[1]))
    query = sql.load("read_features")
    data = await binary.collect(
        lambda sink: connection.copy_from_query(query, *arguments, output=sink, format="binary")
    )
    return await asyncio.to_thread(_decoded, data)


def _decoded(data: bytes) -> Page:
    rows = binary.decode(_READ, data)
    bars = Bars(
        t=rows["timestamp"].astype(np.int64) // 1000 + binary.EPOCH_MS,
        trades=rows["trades"].astype(np.int64),
        **{name: rows[name].astype(np.float64) for name in NUMBERS},
    )
    return Page(bars, {name: rows[name].astype(np.float64) for name in NAMES})


@dataclass(frozen=True, slots=True)
class Differences:
    """How what is stored differs from what the bars give.

    *new*, *changed*: of the rows that should be, shape (n,). *orphans*: stamps of stored rows that should not
    be, for there is no such bar. *columns*: those in which rows have changed.
    """

    new: BoolArray
    changed: BoolArray
    orphans: IntArray
    columns: tuple[str, ...] = ()


def compare(page: Page, stored: Page, within: float = SAME) -> Differences:
    """What of *page* is not in *stored*; values closer than *within*, relatively, are one."""
    if not len(stored):
        return Differences(np.ones(len(page), np.bool_), np.zeros(len(page), np.bool_), stored.bars.t)
    orphans = np.setdiff1d(stored.bars.t, page.bars.t, assume_unique=True)
    at = np.minimum(np.searchsorted(stored.bars.t, page.bars.t), len(stored) - 1)
    known = stored.bars.t[at] == page.bars.t
    changed, columns = np.zeros(len(page), np.bool_), []
    for name, differs in _differing(page, stored.take(at), within):
        differs &= known
        if differs.any():
            columns.append(name)
            changed |= differs
    return Differences(~known, changed, orphans, tuple(columns))


def _differing(page: Page, old: Page, within: float) -> Iterator[tuple[str, BoolArray]]:
    """Each column's name, and in which rows it differs. *old*: row by row what is stored."""
    yield "trades", page.bars.trades != old.bars.trades
    for name in NUMBERS:
        yield name, _unequal(getattr(page.bars, name), getattr(old.bars, name), 0.0)
    for feature in FEATURES:
        new, stored = page.values[feature.name], old.values[feature.name]
        yield feature.name, _unequal(new, stored, within * _scale(feature, page))


def _scale(feature: Feature, page: Page) -> FloatArray | float:
    """How large a value of *feature* usually is: one that swings about zero is not measured by itself."""
    if feature.scales_with == "price":
        return page.bars.close
    return 100.0 if feature.recursive and feature.name != "obv" else np.abs(page.values[feature.name])


def _unequal(new: FloatArray, old: FloatArray, allowed: FloatArray | float) -> BoolArray:
    return ~((np.abs(new - old) <= allowed) | (np.isnan(new) & np.isnan(old)))


async def write_rows(
    connection: asyncpg.Connection, series: Series, page: Page, stored: Page, computed_at: datetime
) -> FeaturesWritten:
    """Write what of *page* is new against *stored* or differs from it, remove what has lost its bar.

    *stored*: the rows of the range as they are in the table, read in this transaction.
    """
    found = await asyncio.to_thread(compare, page, stored) if len(stored) else compare(page, stored)
    gone = np.concatenate((found.orphans, page.bars.t[found.changed]))
    if len(gone):
        stamps = [from_ms(stamp) for stamp in gone.tolist()]
        await connection.execute(sql.load("delete_features"), series.symbol, series.timeframe, stamps)
    fresh = found.new | found.changed
    if fresh.any():
        await _copy(connection, series, page if fresh.all() else page.take(fresh), computed_at)
    return FeaturesWritten(
        int(np.count_nonzero(found.new)), int(np.count_nonzero(found.changed)), len(found.orphans)
    )


async def _copy(connection: asyncpg.Connection, series: Series, page: Page, computed_at: datetime) -> None:
    fields = _write_fields(series)
    encode = partial(_encoded, fields, series, page, computed_at)
    parts = await asyncio.to_thread(encode) if len(page) > SMALL else encode()
    await connection.copy_to_table(
        "market_data_v2",
        source=binary.stream(parts),
        columns=[field.name for field in fields],
        format="binary",
    )


def _encoded(fields: Sequence[Field], series: Series, page: Page, computed_at: datetime) -> list[memoryview]:
    bars = page.bars
    columns: dict[str, Any] = {
        "timestamp": binary.timestamps(bars.t),
        "computed_at": (to_ms(computed_at) - binary.EPOCH_MS) * 1000,
        **{name: getattr(bars, name) for name in NUMBERS},
        "trades": bars.trades,
        **page.values,
        "symbol": series.symbol.encode(),
        "timeframe": series.timeframe.encode(),
    }
    nulls = {name: np.isnan(columns[name]) for name in (*NUMBERS, *NAMES)}
    return binary.encode(fields, columns, nulls | {"trades": bars.trades == NO_TRADES}, len(page))


def _write_fields(series: Series) -> tuple[Field, ...]:
    texts = {"symbol": series.symbol, "timeframe": series.timeframe}
    return (
        Field("timestamp", ">i8"),
        Field("computed_at", ">i8"),
        *(Field(name, ">f8") for name in NUMBERS),
        Field("trades", ">i8"),
        *(Field(name, ">f8") for name in NAMES),
        *(Field(name, f"S{len(text.encode())}") for name, text in texts.items()),
    )
