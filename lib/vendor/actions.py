"""Splits and dividends as the vendor lists them, in both generations of its endpoints. (protocol §4)"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import Any, ClassVar, Generic

import msgspec
from yarl import URL

from lib.actions import Dividend, E, RefusedEvent, Split
from lib.symbols import AssetClass, Instrument
from lib.vendor.answers import Answer
from lib.vendor.paging import carried_by, own_url
from lib.vendor.redact import Redactor

HISTORY_DAYS = 365 * 25
ANNOUNCED_DAYS = 60  # ahead of their day
_LONGEST_LIST = 4000  # characters of a ticker list in a URL, of which servers take about 8,000 in all
_LARGEST_PAGE = 5000
_LEAST, _MOST = Decimal("1e-12"), Decimal("1e12")  # no share is split so, and nothing else is paid for one
_LONGEST_NUMBER, _LONGEST_WORD = 40, 200  # characters
_MOST_A_YEAR = 366
_YEARS = range(1970, 2100)  # those whose days the zones are laid out for


class VendorAction(msgspec.Struct):
    """A split or a dividend by the vendor's names, of either generation; any field may be missing or odd."""

    id: Any = None
    ticker: Any = None
    execution_date: Any = None
    split_from: Any = None
    split_to: Any = None
    adjustment_type: Any = None
    ex_dividend_date: Any = None
    cash_amount: Any = None
    currency: Any = None
    distribution_type: Any = None
    dividend_type: Any = None
    frequency: Any = None
    declaration_date: Any = None
    record_date: Any = None
    pay_date: Any = None


class ActionsAnswer(msgspec.Struct):
    """The envelope of the splits and dividends endpoints; it does not say how many there are.

    *longest_body*: twice what a full page takes. An event of no fields takes fifty times its length in memory.
    """

    longest_body: ClassVar[int] = 4 * 2**20
    status: str | None = None
    next_url: str | None = None
    results: list[VendorAction] | None = None


@dataclass(frozen=True, slots=True)
class ActionPage(Generic[E]):
    """Events of the instruments asked about. *ignored*: how many of others the page held.

    *complete*: symbols of which this page, with those before it, has brought all there is.
    """

    events: tuple[E, ...]
    refused: tuple[RefusedEvent, ...]
    ignored: int = 0
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """*limit*: the most rows of a page. *lists*: whether several tickers may be named in one request."""

    path: str
    limit: int
    lists: bool
    order: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind(Generic[E]):
    """What differs between splits and dividends.

    *of_market*, *of_ticker*: about how many a day there are of all US tickers and of one.
    """

    name: str
    date_field: str
    read: Callable[["_Row"], E]
    endpoints: tuple[_Endpoint, _Endpoint]
    of_market: float
    of_ticker: float


@dataclass(frozen=True, slots=True)
class ActionRequest(Generic[E]):
    """One request. *symbols*: by vendor ticker, what its answer is read for; events begin on *since*."""

    kind: Kind[E]
    path: str
    query: Mapping[str, str]
    symbols: Mapping[str, str] = field(repr=False)
    since: date | None


def action_requests(
    kind: Kind[E], instruments: Sequence[Instrument], since: date | None, today: date, *, old: bool
) -> list[ActionRequest[E]]:
    """The requests for all events of *instruments* with dates from *since* (None: ever), announced ones too.

    By ticker, or of the whole market by date, whichever takes fewer pages. *old*: of the endpoints of v3.
    Coins have neither splits nor dividends.
    """
    symbols = _symbols(instruments)
    if not symbols:
        return []
    endpoint = kind.endpoints[old]
    by_ticker, by_date = _pages(kind, endpoint, symbols, since, today)
    chosen: list[list[str]] = _ticker_lists(symbols, endpoint) if by_ticker <= by_date else [[]]
    common = {**endpoint.order, "limit": str(endpoint.limit)}
    if since:
        common[f"{kind.date_field}.gte"] = since.isoformat()
    by_name = "ticker.any_of" if endpoint.lists else "ticker"
    return [
        ActionRequest(
            kind,
            endpoint.path,
            ({by_name: ",".join(tickers)} if tickers else {}) | common,
            {ticker: symbols[ticker] for ticker in tickers or symbols},
            since,
        )
        for tickers in chosen
    ]


def expected_pages(kind: Kind[E], instruments: Sequence[Instrument], since: date | None, today: date) -> int:
    """About how many pages the answers will have, of the newer endpoints; each is a request."""
    symbols = _symbols(instruments)
    return ceil(min(_pages(kind, kind.endpoints[0], symbols, since, today))) if symbols else 0


def _symbols(instruments: Sequence[Instrument]) -> dict[str, str]:
    return {i.vendor_ticker: i.symbol for i in instruments if i.asset_class is not AssetClass.CRYPTO}


def _pages(
    kind: Kind[E], endpoint: _Endpoint, symbols: Mapping[str, str], since: date | None, today: date
) -> tuple[float, float]:
    """About how many pages: asked by ticker, and of the whole market by date."""
    lists = _ticker_lists(symbols, endpoint)
    days = ((today - since).days if since else HISTORY_DAYS) + ANNOUNCED_DAYS
    by_ticker = max(len(lists), len(symbols) * days * kind.of_ticker / endpoint.limit)
    return by_ticker, max(1.0, days * kind.of_market / endpoint.limit)


def _ticker_lists(tickers: Iterable[str], endpoint: _Endpoint) -> list[list[str]]:
    """All *tickers* in as few requests as the endpoint and the length of URLs allow."""
    if not endpoint.lists:
        return [[ticker] for ticker in tickers]
    lists, length = list[list[str]](), _LONGEST_LIST
    for ticker in tickers:
        length += len(ticker) + 1
        if length > _LONGEST_LIST:
            lists.append([])
            length = len(ticker)
        lists[-1].append(ticker)
    return lists


def read_actions(
    request: ActionRequest[E], answer: Answer, document: ActionsAnswer, origin: URL
) -> tuple[ActionPage[E], ActionRequest[E] | None]:
    """The page that *document* holds, and what to ask next; None after the last page.

    An event that cannot be used is refused, the others are kept. Raises AnswerInvalid if the page is not an
    answer to *request*.
    """
    if len(document.results or []) > _LARGEST_PAGE:
        raise answer.invalid(f"it holds more than the {_LARGEST_PAGE:,} events of a page")
    events, refused, ignored = list[E](), list[RefusedEvent](), 0
    clean = answer.redactor.clean
    for row in (_Row(action, answer.redactor) for action in document.results or []):
        if row.ticker is not None and row.ticker not in request.symbols:
            ignored += 1
            continue
        try:
            event = request.kind.read(row)
        except _Unusable as why:
            symbol, day = request.symbols.get(row.ticker or ""), row.date_if_any(request.kind.date_field)
            refused.append(RefusedEvent(symbol, clean(row.name), clean(str(why)), day))
            continue
        if request.since and event.day < request.since:
            raise answer.invalid(f"it holds an event of {event.day}, from {request.since} on were asked for")
        events.append(replace(event, symbol=request.symbols[event.symbol]))
    following = _following(request, answer, document, origin)
    complete = () if following else tuple(request.symbols.values())
    return ActionPage(tuple(events), tuple(refused), ignored, complete), following


def _following(
    request: ActionRequest[E], answer: Answer, document: ActionsAnswer, origin: URL
) -> ActionRequest[E] | None:
    """The cursor is the vendor's own business, filters included: it is followed as it is."""
    if not document.next_url:
        return None
    url = own_url(answer, document.next_url, origin)
    query = carried_by(answer, url)
    if query == request.query:
        raise answer.invalid("its next page is itself")
    return replace(request, query=query)


class _Unusable(ValueError):
    """Why an event cannot be used."""


class _Row:
    """The fields of an event, read strictly where they count."""

    def __init__(self, action: VendorAction, redactor: Redactor) -> None:
        self._action = action
        self._redactor = redactor

    @property
    def ticker(self) -> str | None:
        ticker = self._action.ticker
        return ticker if isinstance(ticker, str) and ticker else None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.word("id") or f"{self.ticker} {self.word('execution_date', 'ex_dividend_date')}"

    def word(self, *names: str) -> str | None:
        """The first of the fields that holds a text."""
        found = (getattr(self._action, name) for name in names)
        return next((text for text in found if isinstance(text, str) and text), None)

    def plain(self, *names: str) -> str | None:
        """The same; it has to be one that may be stored and shown."""
        text = self.word(*names)
        if text is None:
            return None
        if not text.isprintable() or len(text) > _LONGEST_WORD or self._redactor.finds(text):
            raise _Unusable(f"its {names[0]} {text!r} is no plain word")
        return text

    def named(self) -> str:
        if self.ticker is None:
            raise _Unusable("it names no ticker")
        return self.ticker

    def day(self, name: str) -> date:
        text = getattr(self._action, name)
        if text is None:
            raise _Unusable(f"it has no {name}")
        found = self.date_if_any(name)
        if found is None:
            raise _Unusable(f"its {name} {text if isinstance(text, str) else 'of no text'!r} is not a date")
        if found.year not in _YEARS:
            raise _Unusable(f"its {name} {found} lies where no bars are")
        return found

    def date_if_any(self, name: str) -> date | None:
        text = getattr(self._action, name)
        try:
            return date.fromisoformat(text[:10]) if isinstance(text, str) else None
        except ValueError:
            return None

    def number(self, name: str) -> Decimal:
        """A number above 0, as it was written: the shortest text of a float is what the vendor wrote."""
        given = getattr(self._action, name)
        if given is None:
            raise _Unusable(f"it has no {name}")
        text = str(given) if isinstance(given, int | float | str) else "none"
        try:
            number = Decimal(text if len(text) <= _LONGEST_NUMBER else "NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if isinstance(given, bool) or not number.is_finite() or not _LEAST <= number <= _MOST:
            raise _Unusable(f"its {name} is {text if text != given else repr(text)}")
        return number

    def times_a_year(self) -> int | None:
        """The frequency, where it can be one."""
        given = self._action.frequency
        return given if type(given) is int and 0 <= given <= _MOST_A_YEAR else None

    def own_id(self, *what: object) -> str:
        """The vendor's id, or what stands for it."""
        return self.plain("id") or f"own:{':'.join(map(str, what))}"


def _split(row: _Row) -> Split:
    ticker, day = row.named(), row.day("execution_date")
    old, new = row.number("split_from"), row.number("split_to")
    return Split(
        row.own_id("split", ticker, day, old, new), ticker, day, old, new, row.plain("adjustment_type")
    )


def _dividend(row: _Row) -> Dividend:
    ticker, day, amount = row.named(), row.day("ex_dividend_date"), row.number("cash_amount")
    return Dividend(
        event_id=row.own_id("dividend", ticker, day, amount),
        symbol=ticker,
        day=day,
        cash_amount=amount,
        currency=row.plain("currency") or "USD",
        kind=row.plain("distribution_type", "dividend_type"),
        frequency=row.times_a_year(),
        declaration_date=row.date_if_any("declaration_date"),
        record_date=row.date_if_any("record_date"),
        pay_date=row.date_if_any("pay_date"),
    )


SPLITS: Kind[Split] = Kind(
    "splits",
    "execution_date",
    _split,
    (
        _Endpoint("/stocks/v1/splits", _LARGEST_PAGE, True, {"sort": "execution_date.asc"}),
        _Endpoint("/v3/reference/splits", 1000, False, {"sort": "execution_date", "order": "asc"}),
    ),
    of_market=6.0,
    of_ticker=0.0003,
)
DIVIDENDS: Kind[Dividend] = Kind(
    "dividends",
    "ex_dividend_date",
    _dividend,
    (
        _Endpoint("/stocks/v1/dividends", _LARGEST_PAGE, True, {"sort": "ex_dividend_date.asc"}),
        _Endpoint("/v3/reference/dividends", 1000, False, {"sort": "ex_dividend_date", "order": "asc"}),
    ),
    of_market=200.0,
    of_ticker=0.008,
)
