"""A market of CSV files: ``<asset>/<symbol>/<timeframe>.csv.gz``, read when a ticker is first asked for.

Columns ``timestamp,open,high,low,close,volume,vwap,transactions``; stamps are ISO-8601 UTC, the start of the
bar; vwap and transactions may be empty. Only ``1m`` and ``1d`` are read: the rest is built from them.
``corporate_actions/<SYMBOL>.json`` holds splits and dividends.
"""

import csv
import gzip
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from lib.bars import NO_TRADES, Bars
from lib.errors import UsageError
from lib.vendor.emulator.market import Dividend, Listing, Split, clip, plain_listing

_PREFIX = {"stocks": "", "etfs": "", "crypto": "X:", "index": "I:"}


def _homes(folder: Path) -> dict[str, Path]:
    """The folder of each ticker. Raises UsageError."""
    try:
        return {
            prefix + home.name.replace("-", ""): home
            for asset, prefix in _PREFIX.items()
            for home in sorted((folder / asset).glob("*"))
            if home.is_dir()
        }
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error


class FolderMarket:
    """The bars of a folder; ``crypto/BTC-USD`` is served as ``X:BTCUSD``, ``index/SPX`` as ``I:SPX``.

    Raises UsageError where *folder* holds no market.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._homes = _homes(folder)
        if not self._homes:
            raise UsageError(
                f"{folder} holds no market data",
                hint="expected stocks/AAPL/1m.csv.gz, crypto/BTC-USD/1d.csv.gz, ...",
            )
        self._bars: dict[tuple[str, str], Bars] = {}

    def minutes(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        return clip(self._read(ticker, "1m"), start_ms, end_ms, most, newest)

    def days(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        return clip(self._read(ticker, "1d"), start_ms, end_ms, most, newest)

    def splits(self, ticker: str) -> Sequence[Split]:
        return [
            Split(ticker, row.ex_date, row.split_from, row.split_to) for row in self._actions(ticker).splits
        ]

    def dividends(self, ticker: str) -> Sequence[Dividend]:
        return [
            Dividend(ticker, row.ex_date, row.amount, row.currency) for row in self._actions(ticker).dividends
        ]

    def listing(self, ticker: str) -> Listing | None:
        home = self._homes.get(ticker)
        return plain_listing(ticker, etf=home.parent.name == "etfs") if home else None

    def listings(self) -> Sequence[Listing]:
        return [listing for ticker in sorted(self._homes) if (listing := self.listing(ticker))]

    def _read(self, ticker: str, timeframe: str) -> Bars:
        key = (ticker, timeframe)
        if key not in self._bars:
            path = self._homes[ticker] / f"{timeframe}.csv.gz" if ticker in self._homes else None
            self._bars[key] = read_bars(path) if path and path.is_file() else Bars.empty()
        return self._bars[key]

    def _actions(self, ticker: str) -> "_Actions":
        path = self._folder / "corporate_actions" / f"{ticker}.json"
        if ticker not in self._homes or not path.is_file():
            return _Actions()
        return msgspec.json.decode(path.read_bytes(), type=_Actions)


def read_bars(path: Path) -> Bars:
    """The bars of one file, exactly as written."""
    with gzip.open(path, "rt", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        columns = list(zip(*rows, strict=True)) or [()] * 8
    stamps = np.array([text.rstrip("Z") for text in columns[0]], "M8[ms]").astype(np.int64)
    trades = np.array([int(text or NO_TRADES) for text in columns[7]], np.int64)
    prices = [np.array([float(text or "nan") for text in column], np.float64) for column in columns[1:7]]
    opens, high, low, close, volume, vwap = prices
    return Bars(stamps, opens, high, low, close, volume, vwap, trades)


class _SplitRow(msgspec.Struct):
    ex_date: date
    split_from: float
    split_to: float


class _DividendRow(msgspec.Struct):
    ex_date: date
    amount: float
    currency: str = "USD"


class _Actions(msgspec.Struct):
    splits: list[_SplitRow] = msgspec.field(default_factory=list)
    dividends: list[_DividendRow] = msgspec.field(default_factory=list)
