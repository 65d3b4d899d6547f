"""``series_status``: one row a series, how far it is; kept in the transactions that write what it tells of.

Reading it costs no look at bars or audited counts, however many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lib import sql
from lib.bars import Bars
from lib.clock import from_ms
from lib.coverage import Range
from lib.timeframe import Timeframe
from lib.zones import local_date, midnight_ms


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
