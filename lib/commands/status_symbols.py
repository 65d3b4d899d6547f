"""``backfill_status.py symbols``: what is tracked, and changing that."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from lib.audit import rfc3339
from lib.commands.status_reading import Place, minute, reading
from lib.commands.tables import fitted_table, result_console
from lib.errors import NotFound, SymbolUnknown, UsageError, VendorError
from lib.jobs.symbols import look_up
from lib.store import symbols as tracked
from lib.store.database import open_database
from lib.symbols import AssetClass, Instrument, check_symbol, is_coin_ticker
from lib.timeframe import Timeframe
from lib.wiring import Toolkit, VendorTerms, open_toolkit

Row = Mapping[str, Any]

COLUMNS = ("symbol", "class", "ticker", "state", "records", "from", "newest (UTC)", "gaps", "timeframes")
LEFT = ("symbol", "class", "ticker", "state", "from", "newest (UTC)", "timeframes")
LEAST_MISSED = ("timeframes", "ticker", "from", "class")


async def list_symbols(names: Sequence[str] | None, place: Place) -> int:
    """Print the tracked symbols on stdout, as a table or with --json as a document."""
    async with reading(place) as opened:
        rows = await opened.records.symbols(names)
    place.output.result({"symbols": [_document(row) for row in rows]})
    if not place.output.as_json:
        _show(result_console(), rows)
    return 0


def _document(row: Row) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "asset_class": row["asset_class"],
        "vendor_ticker": row["vendor_ticker"],
        "active": row["active"],
        "timeframes": row["timeframes"],
        "records": row["n_bars"],
        "first": rfc3339(row["first_ts"]) if row["first_ts"] else None,
        "last": rfc3339(row["last_ts"]) if row["last_ts"] else None,
        "gaps": row["open_gaps"],
        "gap_days": row["open_gap_days"],
    }


def _show(console: Console, rows: Sequence[Row]) -> None:
    cells = [_cells(row) for row in rows]
    console.print(fitted_table(console, COLUMNS, cells, left=LEFT, least_missed=LEAST_MISSED))
    active = sum(row["active"] for row in rows)
    console.print(f"{len(rows)} symbols, {active} active, {sum(row['n_bars'] for row in rows):,} records")


def _cells(row: Row) -> dict[str, str]:
    every = set(row["timeframes"]) == {str(tf) for tf in Timeframe}
    return {
        "symbol": escape(row["symbol"]),
        "class": row["asset_class"],
        "ticker": escape(row["vendor_ticker"]),
        "state": "active" if row["active"] else "[yellow]paused[/]",
        "records": f"{row['n_bars']:,}",
        "from": f"{row['first_ts']:%Y-%m-%d}" if row["first_ts"] else "",
        "newest (UTC)": minute(row["last_ts"]),
        "gaps": str(row["open_gaps"]) if row["open_gaps"] else "",
        "timeframes": "all" if every else ",".join(row["timeframes"]),
    }


async def set_active(names: Sequence[str], place: Place, *, active: bool) -> int:
    """Pause or resume symbols. Raises UsageError for one that is not tracked; then none is changed."""
    async with reading(place) as opened, opened.database.connection() as connection, connection.transaction():
        _all_tracked(names, await tracked.set_active(connection, names, active=active))
    word = "fetched again from the next run on" if active else "paused: no run fetches it unless it is named"
    _tell(place, {"symbols": list(names), "active": active}, f"{', '.join(names)}: {word}")
    return 0


async def remove(names: Sequence[str], place: Place) -> int:
    """Track symbols no longer. Raises UsageError for one that is not tracked; then none is removed."""
    async with reading(place) as opened, opened.database.connection() as connection, connection.transaction():
        _all_tracked(names, await tracked.forget(connection, names))
    text = f"{', '.join(names)}: tracked no longer; what is stored stays, and a run that names it tracks it again"
    _tell(place, {"symbols": list(names), "removed": True}, text)
    return 0


def _all_tracked(names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"{', '.join(unknown)} is not tracked", hint="python scripts/backfill_status.py symbols list"
        )


def _tell(place: Place, document: dict[str, Any], text: str) -> None:
    place.output.result(document)
    place.output.console().print(escape(text), soft_wrap=True)


async def add(symbol: str, ticker: str | None, asset_class: str | None, place: Place) -> int:
    """Track *symbol*. Without *asset_class* the vendor is asked what it is, which needs the key."""
    check_symbol(symbol)
    kind = _class_of(asset_class, ticker or symbol)
    async with reading(place) as opened:
        if await opened.records.symbols([symbol]):
            raise UsageError(f"{symbol} is tracked already", hint="remove it first, to track it as another")
        if kind is not None:
            instrument = Instrument(symbol, kind, ticker or symbol)
            async with opened.database.connection() as connection:
                await tracked.register(connection, instrument)
    if kind is None:
        instrument = await _looked_up(symbol, ticker, place)
    told = f"{symbol}: {instrument.asset_class} {instrument.vendor_ticker} is tracked from now on"
    _tell(place, {"symbol": symbol, "asset_class": str(instrument.asset_class)}, told)
    return 0


def _class_of(asset_class: str | None, ticker: str) -> AssetClass | None:
    """Raises UsageError for a class that is none, or that the ticker cannot be of."""
    if asset_class is None:
        return None
    if asset_class not in set(AssetClass):
        raise UsageError(f"{asset_class!r} is not an asset class", hint=f"one of {', '.join(AssetClass)}")
    if is_coin_ticker(ticker) != (asset_class == AssetClass.CRYPTO):
        raise UsageError(
            f"{ticker} is not the vendor's ticker of a {asset_class}",
            hint="coins are X:LTCUSD to the vendor, stocks and ETFs AAPL: --vendor-ticker",
        )
    return AssetClass(asset_class)


async def _looked_up(symbol: str, ticker: str | None, place: Place) -> Instrument:
    settings = place.settings()
    if not settings.api_key:
        raise UsageError(
            "no API key is set, so the vendor cannot be asked what it is",
            hint="set POLYGON_API_KEY, or name --asset-class",
        )
    from lib.clock import SystemClock

    clock = SystemClock()
    async with (
        open_database(settings, clock=clock) as database,
        open_toolkit(settings, VendorTerms(insecure_http=place.insecure_http), clock, database) as toolkit,
    ):
        instrument = await look_up(toolkit, symbol, ticker)
        if symbol != instrument.vendor_ticker:
            await _warn_of_another(toolkit, symbol, place)
    return instrument


async def _warn_of_another(toolkit: Toolkit, symbol: str, place: Place) -> None:
    """A name that also is a US security's will be taken for it by who reads it."""
    try:
        other = await toolkit.vendor.ticker_details(symbol)
    except (NotFound, SymbolUnknown):
        return
    except VendorError as error:
        place.output.warning(f"whether {symbol} is the name of something else was not learnt: {error}")
        return
    place.output.warning(
        f"{other.vendor_ticker} is also a {other.asset_class or other.market} of the vendor's",
        "track it under another name if you want it too",
    )
