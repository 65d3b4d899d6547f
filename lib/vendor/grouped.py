"""The day bars of a whole market on one date: one request instead of one a symbol. (protocol §2)"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from lib.bars import Bars
from lib.checks import refuse_impossible
from lib.symbols import AssetClass
from lib.timeframe import Timeframe
from lib.vendor.answers import Answer
from lib.vendor.decode import GroupedAnswer, to_bars
from lib.zones import NEW_YORK, UTC_ZONE, midnight_ms

OWN_PARAMETERS = {"adjusted": "false", "include_otc": "false"}


@dataclass(frozen=True, slots=True)
class GroupedDay:
    """The bars of one date by vendor ticker, each a Bars of one row stamped with the local midnight.

    *ready*: the market's day is there, so an absent ticker had no bar; else closed, or too early.
    *doubtful*: tickers whose bar is impossible or came twice; of them nothing is known.
    """

    day: date
    bars: dict[str, Bars]
    doubtful: frozenset[str]
    ready: bool
    vendor_now: datetime | None


def grouped_path(asset_class: AssetClass, day: date) -> str:
    """The path of a market's day; coins are a market of their own."""
    market = "global/market/crypto" if asset_class is AssetClass.CRYPTO else "us/market/stocks"
    return f"/v2/aggs/grouped/locale/{market}/{day.isoformat()}"


def read_grouped(
    asset_class: AssetClass, day: date, wanted: Collection[str], answer: Answer, document: GroupedAnswer
) -> GroupedDay:
    """What *document* holds of the *wanted* vendor tickers, keyed by the date asked: its stamps are others.

    Raises AnswerInvalid if its counts do not fit or its prices are adjusted.
    """
    results = document.results or []
    for name, counted in (("resultsCount", document.results_count), ("count", document.count)):
        if counted is not None and counted != len(results):
            raise answer.invalid(f"its {name} is {counted:.0f}, but it holds {len(results)} results")
    if results and document.adjusted:
        raise answer.invalid("its prices are adjusted for splits, raw ones were asked for")
    zone = UTC_ZONE if asset_class is AssetClass.CRYPTO else NEW_YORK
    bars: dict[str, Bars] = {}
    doubtful: set[str] = set()
    rows = [row for row in results if row.T in wanted]
    columns = replace(to_bars(answer, rows), t=np.full(len(rows), midnight_ms(day, zone), np.int64))
    for number, row in enumerate(rows):
        one, refused = refuse_impossible(columns.take(slice(number, number + 1)), Timeframe.D1, zone)
        if refused or row.T in bars:
            doubtful.add(row.T)
        bars[row.T] = one
    known = {ticker: bar for ticker, bar in bars.items() if ticker not in doubtful}
    return GroupedDay(day, known, frozenset(doubtful), bool(results), answer.sent_at)
