"""Rows of ``market_data_v2``: written by what is new and what has changed, as the bars are."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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

PRICES = ("open", "high", "low", "close", "volume", "vwap")
NAMES = tuple(feature.name for feature in FEATURES)
SAME = 1e-11  # relatively: what a recursive feature may owe to the bar at which its computation began

_READ = (
    Field("timestamp", ">i8"),
    *(Field(name, ">f8") for name in PRICES),
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

    def take(self, which: BoolArray) -> "Page":
        """The bars chosen by a mask, with their features."""
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
        **{name: rows[name].astype(np.float64) for name in PRICES},
    )
    return Page(bars, {name: rows[name].astype(np.float64) for name in NAMES})


@dataclass(frozen=True, slots=True)
class Differences:
    """How rows that are stored differ from what their bars give.

    *new*, *changed*: of the page, shape (rows of the page,); *orphans*: stamps of stored rows without a bar.
    *columns*: in which columns rows differ.
    """

    new: BoolArray
    changed: BoolArray
    orphans: IntArray
    columns: tuple[str, ...]


def compare(page: Page, stored: Page, within: float = SAME) -> Differences:
    """What of *page* differs from *stored*; values are one if they differ by less than *within*, relatively."""
    at = np.minimum(np.searchsorted(stored.bars.t, page.bars.t), max(0, len(stored) - 1))
    known = stored.bars.t[at] == page.bars.t if len(stored) else np.zeros(len(page), np.bool_)
    both, rows = page.take(known), at[known]
    differs = np.zeros(len(both), np.bool_)
    columns = []
    for name, one in _unequal(both, stored, rows, within):
        if one.any():
            columns.append(name)
            differs |= one
    changed = known.copy()
    changed[known] = differs
    orphans = np.setdiff1d(stored.bars.t, page.bars.t, assume_unique=True)
    return Differences(~known, changed, orphans, tuple(columns))
