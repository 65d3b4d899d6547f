"""``series_status``: one row a series, how far it is; kept in the transactions that write what it tells of.

Reading it costs no look at bars or audited counts, however many there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from lib import sql
from lib.bars import Bars, IntArray
from lib.clock import from_ms, to_ms
from lib.coverage import Range
from lib.freshness import Held
from lib.store.binary import instants_ms, of_array
from lib.symbols import AssetClass
from lib.timeframe import Timeframe
from lib.zones import day_number, local_date, midnight_ms


@dataclass(frozen=True, slots=True)
class Gain:
    """What an answer made of one series. *more*: by how much its audited counts grew; *stored*: its bars now in
    the days touched; *changed*: whether any was written."""

    more: int
    stored: Bars
    changed: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What the vendor answered: *span*, by the dates of *zone*, and whether there were bars in it."""

    span: Range
    zone: str
    with_bars: bool

    @property
    def last_day_start_ms(self) -> int:
        return midnight_ms(local_date(self.span[1] - 1, self.zone), self.zone)


async def note_written(
    connection: asyncpg.Connection,
    symbol: str,
    gains: Mapping[Timeframe, Gain],
    said: Said | None,
    now: datetime,
) -> None:
    """Bring the rows of the series an answer touched up to date. *said* None: nothing was asked."""
    stamps = [gain.stored.t for gain in gains.values()]
    instants = (*map(from_ms, said.span), said.with_bars, from_ms(said.last_day_start_ms)) if said else None
    await connection.execute(
        sql.load("note_written"),
        symbol,
        list(gains),
        [gain.more for gain in gains.values()],
        [from_ms(int(t[0])) if len(t) else None for t in stamps],
        [from_ms(int(t[-1])) if len(t) else None for t in stamps],
        [gain.changed for gain in gains.values()],
        *(instants or (None, None, False, None)),
        now,
    )


async def note_refused(
    connection: asyncpg.Connection, symbol: str, timeframe: Timeframe, refused: Range
) -> None:
    """Note that the plan does not include *refused* of a series."""
    await connection.execute(sql.load("note_refused"), symbol, timeframe, from_ms(refused[1]))


async def restate_series(connection: asyncpg.Connection, symbol: str, timeframe: Timeframe) -> None:
    """Make the row of a series anew, after bars of it went or came by another way than an answer."""
    await connection.execute(sql.load("restate_series"), symbol, timeframe)


_NOTE = [
    ("refused_ms", np.int64),
    ("empty", np.bool_),
    *((name, np.int64) for name in ("listed_from", "listed_until", "gaps", "gap_days")),
]


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """How far the series of one asset class and timeframe are; each column has a value for each of *symbols*.

    *bars*: by the audited counts, without those found to be gone. *gap_days*: sessions (weeks for 1w) in its
    open *gaps*. *attempted_ms*: when a run last ended that was to fetch it, 0: never. *failures*: attempts that
    failed in a row, up to now; *errors*: why the last one failed, None: it did not.
    """

    asset_class: AssetClass
    timeframe: Timeframe
    symbols: Sequence[str]
    held: Held
    bars: IntArray
    gaps: IntArray
    gap_days: IntArray
    attempted_ms: IntArray
    failures: IntArray
    errors: Sequence[str | None]


async def read_series(
    connection: asyncpg.Connection, symbols: Sequence[str] | None, timeframes: Sequence[Timeframe] | None
) -> list[SeriesColumns]:
    """How far the series of *symbols* are, by timeframe; None: every active one, the timeframes of each."""
    rows = await connection.fetch(
        sql.load("read_series_columns"),
        None if symbols is None else list(symbols),
        None if timeframes is None else list(timeframes),
    )
    return sorted(map(_columns, rows), key=lambda some: list(Timeframe).index(some.timeframe))


def _columns(row: asyncpg.Record) -> SeriesColumns:
    symbols = row["symbols"]
    notes = _notes(symbols, row["notes"] or ())

    def instants(name: str) -> IntArray:
        return instants_ms(of_array(row[name], ">i8"))

    def numbers(name: str) -> IntArray:
        return of_array(row[name], ">i8").astype(np.int64)

    return SeriesColumns(
        AssetClass(row["asset_class"]),
        Timeframe(row["timeframe"]),
        symbols,
        Held(
            instants("first_ts"),
            instants("last_ts"),
            instants("answered_until"),
            notes["refused_ms"],
            notes["empty"],
            notes["listed_from"],
            notes["listed_until"],
        ),
        numbers("n_bars"),
        notes["gaps"],
        notes["gap_days"],
        instants("attempted_at"),
        numbers("failures"),
        row["errors"],
    )


def _notes(symbols: Sequence[str], notes: Sequence[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """What only few series have to tell, of each of *symbols*: 0 where there is no note."""
    columns = np.zeros(len(symbols), _NOTE)
    at = {symbol: i for i, symbol in enumerate(symbols)} if notes else {}
    for symbol, refused_until, empty, first, last, gaps, gap_days in notes:
        refused_ms = to_ms(refused_until) if refused_until else 0
        listed = (day_number(first) if first else 0, day_number(last) if last else 0)
        columns[at[symbol]] = (refused_ms, empty, *listed, gaps, gap_days)
    return columns
