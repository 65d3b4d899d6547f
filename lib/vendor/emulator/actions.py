"""Splits and dividends, in both generations of the protocol (§4): filters, order, paging, factors."""

import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from lib.vendor.emulator import parameters
from lib.vendor.emulator.market import Dividend, Split
from lib.vendor.emulator.parameters import Query
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.wire import Answer, refuse

Row = dict[str, Any]

_ANNOUNCED_AHEAD = timedelta(days=60)
_RANGES: Mapping[str, Callable[[Any, Any], bool]] = {
    "": operator.eq,
    ".gt": operator.gt,
    ".gte": operator.ge,
    ".lt": operator.lt,
    ".lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class _Generation:
    """What differs between the endpoints: filters, limits and the default order."""

    dates: tuple[str, ...]
    words: tuple[str, ...]
    default_limit: int
    most: int
    sort: str


_SPLITS_V3 = _Generation(("execution_date",), (), 10, 1000, "execution_date.desc")
_DIVIDENDS_V3 = _Generation(
    ("ex_dividend_date", "record_date", "declaration_date", "pay_date"),
    ("dividend_type", "frequency"),
    10,
    1000,
    "ex_dividend_date.desc",
)
_SPLITS_V1 = _Generation(("execution_date",), ("adjustment_type",), 100, 5000, "execution_date.desc")
_DIVIDENDS_V1 = _Generation(
    ("ex_dividend_date",), ("distribution_type", "frequency"), 100, 5000, "ticker.asc"
)


def answer_splits_v3(question: Question) -> Answer:
    """``/v3/reference/splits``"""
    query = parameters.with_cursor(question.query)
    rows = [_split_v3(split) for split in _splits(question, query)]
    if query.get("reverse_split"):
        reverse = parameters.flag(query, "reverse_split", default=False)
        rows = [row for row in rows if (row["split_from"] > row["split_to"]) == reverse]
    return _answer(question, query, rows, _SPLITS_V3)


def answer_dividends_v3(question: Question) -> Answer:
    """``/v3/reference/dividends``"""
    query = parameters.with_cursor(question.query)
    return _answer(question, query, [_dividend_v3(row) for row in _dividends(question, query)], _DIVIDENDS_V3)


def answer_splits_v1(question: Question) -> Answer:
    """``/stocks/v1/splits``"""
    query = parameters.with_cursor(question.query)
    rows = [_split_v1(split, question.market.splits(split.ticker)) for split in _splits(question, query)]
    return _answer(question, query, rows, _SPLITS_V1)


def answer_dividends_v1(question: Question) -> Answer:
    """``/stocks/v1/dividends``"""
    query = parameters.with_cursor(question.query)
    rows = [_dividend_v1(row, question.market.splits(row.ticker)) for row in _dividends(question, query)]
    return _answer(question, query, rows, _DIVIDENDS_V1)


def _splits(question: Question, query: Query) -> list[Split]:
    last = question.clock.now().date() + _ANNOUNCED_AHEAD
    found = (split for ticker in _tickers(question, query) for split in question.market.splits(ticker))
    return [split for split in found if split.execution_date <= last]


def _dividends(question: Question, query: Query) -> list[Dividend]:
    last = question.clock.now().date() + _ANNOUNCED_AHEAD
    found = (row for ticker in _tickers(question, query) for row in question.market.dividends(ticker))
    return [row for row in found if row.ex_dividend_date <= last]


def _tickers(question: Question, query: Query) -> Iterable[str]:
    """The tickers asked for by name, else all listed ones; ranges are applied to the rows."""
    if "ticker" in query:
        return [query["ticker"]]
    if "ticker.any_of" in query:
        return [name.strip() for name in query["ticker.any_of"].split(",")]
    return [listing.ticker for listing in question.market.listings() if listing.market == "stocks"]


def _answer(question: Question, query: Query, rows: list[Row], generation: _Generation) -> Answer:
    matching = [row for row in rows if _matches(row, query, generation)]
    for column, descending in reversed(_order(query, generation)):
        matching.sort(key=lambda row: (row.get(column) is not None, row.get(column)), reverse=descending)
    limit = parameters.whole(query, "limit", generation.default_limit, generation.most)
    return paged(question, query, matching, min(limit, question.settings.page_cap))


def paged(question: Question, query: Query, rows: list[Row], limit: int, *, counted: bool = False) -> Answer:
    """One page of *rows*; the cursor of its next_url holds the whole question and where to go on.

    *counted*: the envelope holds the number of rows of the page.
    """
    begin = parameters.whole(query, "page_marker", 0, 10**9)
    page = rows[begin : begin + limit]
    answer = Answer()
    answer.body = {"results": page, "status": "OK", "request_id": answer.request_id}
    if counted:
        answer.body["count"] = len(page)
    if begin + limit < len(rows):
        hidden = {**query, "limit": str(limit), "page_marker": str(begin + limit)}
        answer.body["next_url"] = f"{question.base_url}{question.path}?cursor={parameters.cursor_of(hidden)}"
    return answer


def _matches(row: Row, query: Query, generation: _Generation) -> bool:
    tests = [("ticker", suffix) for suffix in _RANGES]
    tests += [(name, suffix) for name in generation.dates for suffix in _RANGES]
    for name, suffix in tests:
        wanted = query.get(name + suffix)
        if wanted and not (row.get(name) and _RANGES[suffix](row[name], wanted)):
            return False
    return all(_one_of(row, name, query) for name in generation.words)


def _one_of(row: Row, name: str, query: Query) -> bool:
    wanted = query.get(name) or query.get(f"{name}.any_of")
    return not wanted or str(row.get(name)) in wanted.split(",")


def _order(query: Query, generation: _Generation) -> list[tuple[str, bool]]:
    """Columns and whether each descends: ``sort=a.asc,b.desc``, or ``sort=a&order=desc`` as v3 has it."""
    default_order = "asc" if "sort" in query else generation.sort.rpartition(".")[2]
    order = parameters.choice(query, "order", default_order, "asc", "desc")
    columns = []
    for text in (query.get("sort") or generation.sort.rpartition(".")[0]).split(","):
        column, _, direction = text.partition(".")
        if column not in ("ticker", *generation.dates, *generation.words):
            raise refuse(f"The parameter 'sort' has an unknown column: {column}")
        columns.append((column, (direction or order) == "desc"))
    return columns


def _split_v3(split: Split) -> Row:
    return {
        "execution_date": split.execution_date.isoformat(),
        "id": _id(split.ticker, split.execution_date, split.split_from, split.split_to),
        "split_from": _number(split.split_from),
        "split_to": _number(split.split_to),
        "ticker": split.ticker,
    }


def _split_v1(split: Split, all_splits: Iterable[Split]) -> Row:
    kind = "forward_split" if split.split_to >= split.split_from else "reverse_split"
    return {
        "id": _id(split.ticker, split.execution_date, split.split_from, split.split_to),
        "ticker": split.ticker,
        "execution_date": split.execution_date.isoformat(),
        "split_from": _number(split.split_from),
        "split_to": _number(split.split_to),
        "adjustment_type": kind,
        "historical_adjustment_factor": round(_factor(split.execution_date, all_splits), 6),
    }


def _dividend_v3(row: Dividend) -> Row:
    ex = row.ex_dividend_date
    return {
        "cash_amount": row.cash_amount,
        "currency": row.currency,
        "declaration_date": (ex - timedelta(days=20)).isoformat(),
        "dividend_type": "CD",
        "ex_dividend_date": ex.isoformat(),
        "frequency": row.frequency,
        "id": _id(row.ticker, ex, row.cash_amount),
        "pay_date": (ex + timedelta(days=14)).isoformat(),
        "record_date": ex.isoformat(),
        "ticker": row.ticker,
    }


def _dividend_v1(row: Dividend, splits: Iterable[Split]) -> Row:
    ex = row.ex_dividend_date
    return {
        "id": _id(row.ticker, ex, row.cash_amount),
        "ticker": row.ticker,
        "cash_amount": row.cash_amount,
        "currency": row.currency,
        "declaration_date": (ex - timedelta(days=20)).isoformat(),
        "record_date": ex.isoformat(),
        "ex_dividend_date": ex.isoformat(),
        "pay_date": (ex + timedelta(days=14)).isoformat(),
        "frequency": row.frequency,
        "distribution_type": "recurring",
        "split_adjusted_cash_amount": round(row.cash_amount * _factor(ex + timedelta(days=1), splits), 6),
    }


def _factor(since: date, splits: Iterable[Split]) -> float:
    """The product of from/to over the splits executed on or after *since*."""
    factor = 1.0
    for split in splits:
        if split.execution_date >= since:
            factor *= split.split_from / split.split_to
    return factor


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _id(*what: object) -> str:
    return "E" + hashlib.sha256(":".join(map(str, what)).encode()).hexdigest()
