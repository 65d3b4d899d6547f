"""The port to a market: what the emulator serves bars from; and a market kept in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from lib.bars import Bars
from lib.vendor.emulator.windows import EASTERN, UTC_ZONE

_MARKET_OF_PREFIX = {"X": "crypto", "C": "fx", "O": "options", "I": "indices"}


@dataclass(frozen=True, slots=True)
class Split:
    """*split_to* new shares for *split_from* old ones, before the open of *execution_date*."""

    ticker: str
    execution_date: date
    split_from: float
    split_to: float


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend; *cash_amount* as paid, per share of that day."""

    ticker: str
    ex_dividend_date: date
    cash_amount: float
    currency: str = "USD"
    frequency: int = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """One ticker as the vendor's reference knows it.

    *market*: stocks, crypto, fx, otc or indices. *kind*: CS, ETF, ..., empty where the vendor has none.
    """

    ticker: str
    name: str
    market: str = "stocks"
    kind: str = "CS"
    exchange: str = "XNAS"
    active: bool = True
    list_date: date | None = None
    delisted: date | None = None


class Market(Protocol):
    """Raw bars of any ticker, and what is known about it.

    *minutes* and *days* answer at most *most* bars that start in [start_ms, end_ms), the oldest of them or,
    with *newest*, the last; always oldest first. A ticker without bars, also an unknown one, has none.
    """

    def minutes(
        self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False
    ) -> Bars: ...

    def days(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars: ...

    def splits(self, ticker: str) -> Sequence[Split]: ...

    def dividends(self, ticker: str) -> Sequence[Dividend]: ...

    def listing(self, ticker: str) -> Listing | None:
        """What is known about *ticker*; None if nothing is."""
        ...

    def listings(self) -> Sequence[Listing]:
        """The tickers that lists and grouped bars show."""
        ...


def market_of(ticker: str) -> str:
    """The market a ticker's prefix names: stocks, crypto, fx, options or indices."""
    prefix, colon, _ = ticker.partition(":")
    return _MARKET_OF_PREFIX.get(prefix, "stocks") if colon else "stocks"


def zone_of(market: str) -> str:
    """The zone whose midnights begin the days of a market."""
    return UTC_ZONE if market in ("crypto", "fx") else EASTERN


def clip(bars: Bars, start_ms: int, end_ms: int, most: int, newest: bool) -> Bars:
    """At most *most* of the bars that start in [start_ms, end_ms), from the chosen end."""
    inside = bars.between(start_ms, end_ms)
    if len(inside) <= most:
        return inside
    return inside.take(slice(-most, None) if newest else slice(most))


@dataclass(slots=True)
class MemoryMarket:
    """Bars given by the caller, by ticker; the mappings may be changed between requests (a vendor revises).

    Every ticker with bars is known; *known* adds to or describes them better.
    """

    minute_bars: Mapping[str, Bars] = field(default_factory=dict)
    day_bars: Mapping[str, Bars] = field(default_factory=dict)
    split_list: Sequence[Split] = ()
    dividend_list: Sequence[Dividend] = ()
    known: Mapping[str, Listing] = field(default_factory=dict)

    def minutes(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        return clip(self.minute_bars.get(ticker, Bars.empty()), start_ms, end_ms, most, newest)

    def days(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        return clip(self.day_bars.get(ticker, Bars.empty()), start_ms, end_ms, most, newest)

    def splits(self, ticker: str) -> Sequence[Split]:
        return [split for split in self.split_list if split.ticker == ticker]

    def dividends(self, ticker: str) -> Sequence[Dividend]:
        return [dividend for dividend in self.dividend_list if dividend.ticker == ticker]

    def listing(self, ticker: str) -> Listing | None:
        if ticker in self.known:
            return self.known[ticker]
        if ticker in self.minute_bars or ticker in self.day_bars:
            return plain_listing(ticker)
        return None

    def listings(self) -> Sequence[Listing]:
        names = sorted({*self.minute_bars, *self.day_bars, *self.known})
        return [listing for name in names if (listing := self.listing(name))]


def plain_listing(ticker: str, *, etf: bool = False) -> Listing:
    """What can be said of a ticker by its form alone."""
    market = market_of(ticker)
    if market != "stocks":
        return Listing(ticker, ticker.partition(":")[2], market=market, kind="", exchange="")
    if etf:
        return Listing(ticker, f"{ticker} Trust", kind="ETF", exchange="ARCX")
    return Listing(ticker, f"{ticker} Inc.")
