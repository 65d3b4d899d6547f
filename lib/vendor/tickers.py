"""What the vendor knows of one ticker."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from lib.symbols import AssetClass
from lib.vendor.answers import Answer
from lib.vendor.decode import TickerAnswer

_FUNDS = ("ETF", "ETN", "ETV", "ETS")
_EQUITY_MARKETS = ("stocks", "otc")


@dataclass(frozen=True, slots=True)
class TickerDetails:
    """One ticker as the vendor lists it.

    *market*: ``stocks``, ``otc``, ``crypto``, ``fx`` or ``indices``; *type*: the vendor's code, e.g. ``CS``.
    *listed_from*, *listed_until*: first and last date of trading, where the vendor says them.
    """

    vendor_ticker: str
    name: str
    market: str
    type: str
    active: bool
    listed_from: date | None
    listed_until: date | None

    @property
    def asset_class(self) -> AssetClass | None:
        """What the toolkit takes it for; None for a market it does not keep."""
        if self.market == "crypto":
            return AssetClass.CRYPTO
        if self.market not in _EQUITY_MARKETS:
            return None
        return AssetClass.ETF if self.type in _FUNDS else AssetClass.STOCK


def ticker_path(vendor_ticker: str) -> str:
    """The path of the details of *vendor_ticker*, which is case-sensitive."""
    return f"/v3/reference/tickers/{quote(vendor_ticker, safe=':')}"


def read_ticker(vendor_ticker: str, answer: Answer, document: TickerAnswer) -> TickerDetails:
    """The details in *document*.

    Raises AnswerInvalid if it holds none, those of another ticker, or dates that are none.
    """
    found = document.results
    if found is None:
        raise answer.invalid("it holds no results")
    if found.ticker != vendor_ticker:
        raise answer.invalid(f"it is about {found.ticker}, not {vendor_ticker}")
    return TickerDetails(
        vendor_ticker=found.ticker,
        name=found.name,
        market=found.market,
        type=found.type,
        active=found.active,
        listed_from=_date(answer, found.list_date),
        listed_until=_date(answer, found.delisted_utc),
    )


def _date(answer: Answer, text: str | None) -> date | None:
    if not text:
        return None
    with suppress(ValueError):
        return date.fromisoformat(text[:10])
    raise answer.invalid(f"{text!r} is not a date")
