"""Instruments: what the user types, what the vendor calls it, and by which clock it trades."""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from lib.errors import UsageError
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, UTC_ZONE

NYSE = "XNYS"
ALWAYS_OPEN = "24/7"

# Vendor tickers are case-sensitive: KIMpL is a preferred share of KIM.
_STOCK = re.compile(r"[A-Za-z][A-Za-z0-9]{0,11}([.\-/][A-Za-z0-9]{1,6}){0,2}")
_COIN = re.compile(r"X:[A-Z0-9]{2,12}[A-Z]{3,4}")


class AssetClass(StrEnum):
    """What is traded; it decides calendar and zone."""

    STOCK = "stock"
    ETF = "etf"
    CRYPTO = "crypto"

    @property
    def calendar(self) -> str:
        """``XNYS`` for stocks and ETFs, ``24/7`` for coins."""
        return ALWAYS_OPEN if self is AssetClass.CRYPTO else NYSE


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tracked symbol.

    *symbol*: as typed and stored; *vendor_ticker*: as asked for, e.g. ``X:BTCUSD``.
    *listed_from*, *listed_until*: first and last date on which bars may exist, where known.
    *pruned*: series whose old bars were dropped on purpose, each with the first date that is kept.
    """

    symbol: str
    asset_class: AssetClass
    vendor_ticker: str
    timeframes: tuple[Timeframe, ...] = tuple(Timeframe)
    active: bool = True
    listed_from: date | None = None
    listed_until: date | None = None
    pruned: tuple[tuple[Timeframe, date], ...] = ()

    def kept_from(self, timeframe: Timeframe) -> date | None:
        """The first date of which bars of *timeframe* are wanted; None: no limit."""
        return dict(self.pruned).get(timeframe)

    @property
    def calendar(self) -> str:
        """Of its asset class."""
        return self.asset_class.calendar

    @property
    def zone(self) -> str:
        """The zone whose dates name its sessions."""
        return UTC_ZONE if self.asset_class is AssetClass.CRYPTO else NEW_YORK


def is_coin_ticker(symbol: str) -> bool:
    """True for a coin in the vendor's form, ``X:LTCUSD``."""
    return _COIN.fullmatch(symbol) is not None


def check_symbol(symbol: str) -> str:
    """Return *symbol* if it has the form of a ticker.

    Raises UsageError otherwise: a symbol goes into request paths and must hold nothing else.
    """
    if is_coin_ticker(symbol) or _STOCK.fullmatch(symbol):
        return symbol
    raise UsageError(
        f"{symbol[:40]!r} is not a symbol", hint="symbols look like AAPL, BRK.B, BTC or X:LTCUSD"
    )
