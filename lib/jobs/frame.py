"""Stored bars as a pandas frame: ``from lib.jobs.frame import read_bars``."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from lib.actions import Basis
from lib.bars import NO_TRADES, Bars
from lib.errors import UsageError
from lib.jobs.export import ExportRequest, export_bars
from lib.jobs.export_files import NUMBERS
from lib.settings import load_settings
from lib.store.database import open_database
from lib.store.feature_rows import NAMES
from lib.store.reading import Rows
from lib.timeframe import Timeframe, parse_timeframes

if TYPE_CHECKING:
    import pandas as pd


def read_bars(
    symbol: str,
    timeframe: str = "1d",
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    basis: str = "adjusted",
    features: bool = False,
    as_of: datetime | None = None,
    database_url: str | None = None,
) -> "pd.DataFrame":
    """The stored bars of one symbol and timeframe as a pandas frame, oldest first.

    *start*, *end*: inclusive dates in the symbol's zone (New York; UTC for coins). *basis*: ``raw`` (as
    traded), ``adjusted`` (for splits) or ``total-return`` (for splits and dividends; volume for splits only).
    *features*: the columns of market_data_v2 too, which are computed on split-adjusted bars. *as_of* (aware;
    now by default): splits and dividends up to then count. The database is *database_url*, else DATABASE_URL,
    else the embedded one, which is started if nobody uses it: that takes a second or two.

    Index: ``timestamp``, UTC, the start of each bar. Columns: open, high, low, close, volume, vwap (NaN where
    there is none), trades (nullable integer). Works in a notebook too: it runs in a thread of its own.

    Raises UsageError, SymbolUnknown, DatabaseError.
    """
    request = ExportRequest(
        symbols=[symbol],
        timeframes=_one(timeframe),
        basis=_basis(basis),
        moment=as_of or datetime.now(UTC),
        start=_day(start),
        end=_day(end),
        features=features,
    )
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _read_frame(request, database_url)).result()


def _one(timeframe: str) -> tuple[Timeframe, ...]:
    found = parse_timeframes(timeframe)
    if len(found) != 1:
        raise UsageError(f"{timeframe!r} is more than one timeframe", hint="a frame holds one")
    return found


def _basis(text: str) -> Basis:
    try:
        return Basis(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a basis", hint=f"one of {', '.join(Basis)}") from error


def _day(given: date | str | None) -> date | None:
    try:
        return date.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise UsageError(f"{given!r} is not a date", hint="dates look like 2025-01-31") from error


class _FrameSink:
    """Collects the columns of one series."""

    def __init__(self) -> None:
        self._pages: list[Rows] = []

    def write(self, _symbol: str, _timeframe: Timeframe, rows: Rows, /) -> None:
        self._pages.append(rows)

    def frame(self, *, features: bool) -> "pd.DataFrame":
        import pandas as pd

        bars = Bars.concat([page.bars for page in self._pages])
        index = pd.DatetimeIndex(bars.t.astype("M8[ms]"), tz="UTC", name="timestamp")
        frame = pd.DataFrame({name: getattr(bars, name) for name in NUMBERS}, index=index)
        trades = pd.Series(bars.trades, index, dtype="Int64")
        frame["trades"] = trades.mask(trades == NO_TRADES)
        for name in NAMES if features else ():
            frame[name] = np.concatenate([np.empty(0), *(page.features[name] for page in self._pages)])
        return frame


async def _read_frame(request: ExportRequest, database_url: str | None) -> "pd.DataFrame":
    sink = _FrameSink()
    async with open_database(load_settings(database_url=database_url)) as database:
        await export_bars(database, request, sink)
    return sink.frame(features=request.features)
