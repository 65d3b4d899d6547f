"""Tickers, market status and holidays (protocol §5)."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lib.vendor.emulator import nyse, parameters
from lib.vendor.emulator.actions import paged
from lib.vendor.emulator.market import Listing
from lib.vendor.emulator.parameters import Query
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.windows import EASTERN
from lib.vendor.emulator.wire import Answer, Refusal, message

_EASTERN = ZoneInfo(EASTERN)
_EXCHANGES = ("NYSE", "NASDAQ")
_LOOK_AHEAD = timedelta(days=365)


def answer_ticker(question: Question) -> Answer:
    """Details of one ticker; 404 for one that is not known."""
    listing = question.market.listing(question.part("ticker"))
    if listing is None:
        raise Refusal(message(404, "NOT_FOUND", "Ticker not found."))
    answer = Answer()
    answer.body = {"request_id": answer.request_id, "results": _row(listing), "status": "OK"}
    return answer


def answer_tickers(question: Question) -> Answer:
    """The list of tickers, filtered, ordered by name, in pages."""
    query = parameters.with_cursor(question.query)
    active = parameters.flag(query, "active", default=True)
    rows = [_row(row) for row in _candidates(question, query) if row.active == active and _wanted(row, query)]
    parameters.choice(
        query, "sort", "ticker", "name", "market", "type", "primary_exchange", "last_updated_utc"
    )
    column = query.get("sort") or "ticker"
    descending = parameters.choice(query, "order", "asc", "desc") == "desc"
    rows.sort(key=lambda row: (row.get(column, ""), row["ticker"]), reverse=descending)
    limit = min(parameters.whole(query, "limit", 100, 1000), question.settings.page_cap)
    return paged(question, query, rows, limit, counted=True)


def _candidates(question: Question, query: Query) -> list[Listing]:
    if not query.get("ticker"):
        return list(question.market.listings())
    listing = question.market.listing(query["ticker"])
    return [listing] if listing else []


def _wanted(listing: Listing, query: Query) -> bool:
    fields = {"type": listing.kind, "market": listing.market, "exchange": listing.exchange}
    if any(query.get(name) and query[name] != value for name, value in fields.items()):
        return False
    text = query.get("search", "").lower()
    name = listing.ticker
    return (
        text in f"{name} {listing.name}".lower()
        and name > query.get("ticker.gt", "")
        and name >= query.get("ticker.gte", "")
        and name < (query.get("ticker.lt") or "\uffff")
        and name <= (query.get("ticker.lte") or "\uffff")
    )


def _row(listing: Listing) -> dict[str, Any]:
    row: dict[str, Any] = {
        "ticker": listing.ticker,
        "name": listing.name,
        "market": listing.market,
        "locale": "us" if listing.market in ("stocks", "otc", "indices") else "global",
    }
    row |= {"primary_exchange": listing.exchange} if listing.exchange else {}
    row |= {"type": listing.kind} if listing.kind else {}
    row |= {"active": listing.active}
    row |= _currencies(listing)
    row |= {"list_date": listing.list_date.isoformat()} if listing.list_date else {}
    row |= {"delisted_utc": f"{listing.delisted.isoformat()}T00:00:00Z"} if listing.delisted else {}
    return row


def _currencies(listing: Listing) -> dict[str, str]:
    if listing.market not in ("crypto", "fx"):
        return {"currency_name": "usd", "composite_figi": _figi(listing.ticker)}
    pair = listing.ticker.partition(":")[2]
    return {
        "currency_symbol": pair[-3:],
        "currency_name": pair[-3:],
        "base_currency_symbol": pair[:-3],
        "base_currency_name": pair[:-3],
    }


def _figi(ticker: str) -> str:
    digest = hashlib.sha256(ticker.encode()).digest()
    return "BBG" + base64.b32encode(digest).decode()[:9]


def answer_upcoming(question: Question) -> Answer:
    """Closed days and early closes of the year ahead: a bare array, a row for each exchange."""
    today = question.clock.now().astimezone(_EASTERN).date()
    rows = [_holiday(holiday, name) for holiday in _upcoming(today) for name in _EXCHANGES]
    return Answer(body=rows)


def _upcoming(today: date) -> Iterator[nyse.Holiday]:
    for year in (today.year, today.year + 1):
        for holiday in nyse.holidays(year):
            if today <= holiday.day <= today + _LOOK_AHEAD and holiday.day.weekday() < 5:
                yield holiday


def _holiday(holiday: nyse.Holiday, exchange: str) -> dict[str, str]:
    row = {"exchange": exchange, "name": holiday.name, "date": holiday.day.isoformat(), "status": "closed"}
    if holiday.early_close:
        row["status"] = "early-close"
        row["open"] = _utc(holiday.day, nyse.OPEN_MINUTE)
        row["close"] = _utc(holiday.day, nyse.EARLY_CLOSE_MINUTE)
    return row


def _utc(day: date, minute: int) -> str:
    local = datetime.combine(day, time(minute // 60, minute % 60), _EASTERN)
    return local.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def answer_now(question: Question) -> Answer:
    """Whether the exchanges trade now."""
    now = question.clock.now().astimezone(_EASTERN)
    state, minute = market_state(now), now.hour * 60 + now.minute
    extended = state == "extended-hours"
    body = {
        "afterHours": extended and minute >= nyse.EARLY_CLOSE_MINUTE,
        "currencies": {"crypto": "open", "fx": "open" if now.weekday() < 5 else "closed"},
        "earlyHours": extended and minute < nyse.OPEN_MINUTE,
        "exchanges": dict.fromkeys(("nasdaq", "nyse", "otc"), state),
        "market": state,
        "serverTime": now.isoformat(timespec="seconds"),
    }
    return Answer(body=body)


def market_state(now: datetime) -> str:
    """``open``, ``extended-hours`` or ``closed`` at *now*, which is New York time."""
    number = (now.date() - nyse.EPOCH).days
    _, early = nyse.sessions(number, number + 1)
    if not len(early):
        return "closed"
    minute, close = now.hour * 60 + now.minute, int(nyse.close_minutes(early)[0])
    if nyse.OPEN_MINUTE <= minute < close:
        return "open"
    extended = nyse.PRE_MARKET_MINUTE <= minute < close + nyse.AFTER_HOURS_MINUTES
    return "extended-hours" if extended else "closed"
