"""``tracked_symbols``: which instruments there are."""

from collections.abc import Sequence

import asyncpg

from lib import sql
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe


async def read_instruments(connection: asyncpg.Connection, symbols: Sequence[str] | None) -> list[Instrument]:
    """The tracked instruments of these names, active or not; None: every active one."""
    rows = await connection.fetch(sql.load("read_instruments"), None if symbols is None else list(symbols))
    return [
        Instrument(
            row["symbol"],
            AssetClass(row["asset_class"]),
            row["vendor_ticker"],
            tuple(tf for tf in Timeframe if tf in row["timeframes"]),
            row["active"],
            row["listed_from"],
            row["listed_until"],
            tuple(zip(map(Timeframe, row["pruned"]), row["kept_from"], strict=True)),
        )
        for row in rows
    ]


async def register(connection: asyncpg.Connection, instrument: Instrument) -> None:
    """Track *instrument*; one that is tracked already stays as it is."""
    await connection.execute(
        sql.load("register_instrument"),
        instrument.symbol,
        instrument.asset_class,
        instrument.vendor_ticker,
        instrument.calendar,
        instrument.listed_from,
        instrument.listed_until,
    )


async def set_active(connection: asyncpg.Connection, symbols: Sequence[str], *, active: bool) -> list[str]:
    """Pause or resume the tracked ones of *symbols*; which those are."""
    return [row["symbol"] for row in await connection.fetch(sql.load("set_symbol_active"), symbols, active)]


async def forget(connection: asyncpg.Connection, symbols: Sequence[str]) -> list[str]:
    """Track *symbols* no longer; which of them were. What is stored of them stays."""
    return [row["symbol"] for row in await connection.fetch(sql.load("delete_symbols"), symbols)]
