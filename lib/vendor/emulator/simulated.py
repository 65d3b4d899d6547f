"""A made-up market: any ticker, any date from 2003 on, the same bars whatever is asked and in what order.

Every minute is drawn from a hash of seed, ticker and minute; nothing is remembered, nothing runs on from the
minute before. A session's prices are a bridge between two levels of a closed formula, so that a day begins
where the last one ended, and 50,000 bars take some milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from lib.bars import Bars, FloatArray, IntArray
from lib.vendor.emulator import nyse
from lib.vendor.emulator.market import Dividend, Listing, Split, clip
from lib.vendor.emulator.traits import (
    Traits,
    UintArray,
    dividends_of,
    draw,
    listing_of,
    mix,
    share_factor,
    traits_of,
    universe,
)
from lib.vendor.emulator.windows import EASTERN, MINUTE_MS, UTC_ZONE, local_day, midnight

_FIRST_DAY = (date(2003, 1, 1) - nyse.EPOCH).days
_END_DAY = (date(2099, 1, 1) - nyse.EPOCH).days
_ROWS = 64  # sessions made at once: enough for numpy, small enough for the cache of the processor
_STOCK_SLOTS = 16 * 60
_COIN_SLOTS = 24 * 60
_CYCLES = (
    (2531.0, 0.45),
    (641.0, 0.22),
    (149.0, 0.10),
    (37.0, 0.045),
    (9.0, 0.015),
)  # days, swing of the log
_YEAR_DAYS = 366


class SimulatedMarket:
    """The market of *seed*; *size* tickers stand in lists, tickers matching *unknown* do not exist."""

    def __init__(self, seed: int = 7, *, size: int = 200, unknown: str = r"(X:)?UNKNOWN.*") -> None:
        self._seed = seed
        self._size = size
        self._unknown = unknown
        # A day bar needs all minutes of its session: keep what a scan of years has made.
        self._year = lru_cache(maxsize=4096)(self._days_of_year)

    def minutes(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        if not self.listing(ticker):
            return Bars.empty()
        traits = traits_of(self._seed, ticker)
        days, early = _trading_days(traits, start_ms, end_ms)
        chunks = range(0, len(days), _ROWS)
        parts: list[Bars] = []
        for first in reversed(chunks) if newest else chunks:
            rows = slice(first, first + _ROWS)
            parts.append(make_minutes(traits, days[rows], early[rows]).bars.between(start_ms, end_ms))
            if sum(map(len, parts)) >= most:
                break
        return clip(Bars.concat(parts[::-1] if newest else parts), start_ms, end_ms, most, newest)

    def days(self, ticker: str, start_ms: int, end_ms: int, most: int, *, newest: bool = False) -> Bars:
        if not self.listing(ticker):
            return Bars.empty()
        traits = traits_of(self._seed, ticker)
        days, early = _trading_days(traits, start_ms, end_ms)
        if len(days) <= _ROWS:
            return clip(make_days(traits, days, early), start_ms, end_ms, most, newest)
        years = range(int(days[0]) // _YEAR_DAYS, int(days[-1]) // _YEAR_DAYS + 1)
        return clip(Bars.concat([self._year(ticker, year) for year in years]), start_ms, end_ms, most, newest)

    def splits(self, ticker: str) -> Sequence[Split]:
        return traits_of(self._seed, ticker).splits if self.listing(ticker) else ()

    def dividends(self, ticker: str) -> Sequence[Dividend]:
        return dividends_of(traits_of(self._seed, ticker)) if self.listing(ticker) else ()

    def listing(self, ticker: str) -> Listing | None:
        return listing_of(ticker, self._unknown)

    def listings(self) -> Sequence[Listing]:
        names = universe(self._seed, self._size)
        return [listing for name in names if (listing := self.listing(name))]

    def _days_of_year(self, ticker: str, year: int) -> Bars:
        traits = traits_of(self._seed, ticker)
        days, early = _days_between(traits, year * _YEAR_DAYS, (year + 1) * _YEAR_DAYS)
        rows = [slice(first, first + _ROWS) for first in range(0, len(days), _ROWS)]
        return Bars.concat([make_days(traits, days[part], early[part]) for part in rows])


def _trading_days(traits: Traits, start_ms: int, end_ms: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """The days of which some minute may lie in [start_ms, end_ms), and which of them end early."""
    zone = UTC_ZONE if traits.coin else EASTERN
    first, last = local_day(np.array([start_ms, max(start_ms, end_ms - 1)], np.int64), zone)
    return _days_between(traits, int(first), int(last) + 1)


def _days_between(traits: Traits, first: int, end: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    first, end = max(first, _FIRST_DAY), min(end, _END_DAY)
    if not traits.coin:
        return nyse.sessions(first, end)
    days = np.arange(first, end, dtype=np.int64)
    return days, np.zeros(len(days), np.bool_)


def _log_level(traits: Traits, days: IntArray) -> FloatArray:
    """The logarithm of the price at the beginning of each day, in today's shares."""
    phases = draw(traits.key, np.arange(100, 100 + len(_CYCLES))).astype(np.float64) / 2.0**64
    level = np.full(len(days), np.log(traits.price))
    for (period, swing), phase in zip(_CYCLES, phases, strict=True):
        level += swing * np.sin(2.0 * np.pi * (days / period + phase))
    noise = draw(traits.key ^ 0x5EED, days).astype(np.float64) / 2.0**64 - 0.5
    return level + traits.daily_volatility * noise


@dataclass(frozen=True, slots=True)
class _Hours:
    """The slots (minutes) of a full and of an early-closing session, row 0 and 1 each, shape (2, slots)."""

    first_minute: int
    length: IntArray  # slots before the end of trading, shape (2,)
    regular: npt.NDArray[np.bool_]
    weight: FloatArray  # of the volume


@cache
def _hours(coin: bool) -> _Hours:
    if coin:
        slots = np.arange(_COIN_SLOTS)
        weight = 1.0 + 0.4 * np.sin(2.0 * np.pi * (slots / _COIN_SLOTS - 0.4))
        return _Hours(
            0, np.array([_COIN_SLOTS] * 2), np.ones((2, _COIN_SLOTS), np.bool_), np.stack([weight] * 2)
        )
    slots = np.arange(_STOCK_SLOTS)
    opens = nyse.OPEN_MINUTE - nyse.PRE_MARKET_MINUTE
    closes = nyse.close_minutes(np.array([False, True])) - nyse.PRE_MARKET_MINUTE
    regular = (slots >= opens) & (slots < closes[:, None])
    progress = (slots - opens) / (closes[:, None] - opens)
    smile = 0.6 + 2.4 * (2.0 * progress - 1.0) ** 4
    weight = np.where(regular, smile, 0.04)
    weight[[0, 1], closes] = 3.0  # the closing auction prints into the minute after the close
    return _Hours(nyse.PRE_MARKET_MINUTE, closes + nyse.AFTER_HOURS_MINUTES, regular, weight)


@dataclass(frozen=True, slots=True)
class _Made:
    """Bars, the row (session) of each, and whether it lies in the regular hours."""

    bars: Bars
    row: npt.NDArray[np.intp]
    regular: npt.NDArray[np.bool_]


def make_minutes(traits: Traits, days: IntArray, early: npt.NDArray[np.bool_]) -> _Made:
    """Every minute bar of the sessions *days*.

    Each session has some in its regular hours: the thinnest instrument trades in a fifth of them.
    """
    hours = _hours(traits.coin)
    slots = hours.weight.shape[1]
    kind = early.astype(np.intp)
    midnights = midnight(days, UTC_ZONE if traits.coin else EASTERN)
    t = (midnights + hours.first_minute * MINUTE_MS)[:, None] + np.arange(slots) * MINUTE_MS
    bits = draw(traits.key, t // MINUTE_MS)
    chosen = np.nonzero(_present(traits, kind, bits))
    row, slot = chosen
    opens, closes = _prices(traits, days, hours.length[kind], bits, chosen)
    picked, more = bits[chosen], mix(bits[chosen])
    reach = np.maximum(1.0, opens * (1.5 * traits.daily_volatility / np.sqrt(slots)))
    high = np.maximum(opens, closes) + np.floor(reach * _unit(picked, 48, 8) ** 2)
    low = np.maximum(1.0, np.minimum(opens, closes) - np.floor(reach * _unit(picked, 56, 8) ** 2))
    volume, trades = _volumes(
        traits, share_factor(traits.splits, days)[row], hours.weight[kind[row], slot], picked, more
    )
    # Divided once, from whole numbers of ticks, so that a price prints as the decimal it is.
    vwap = np.rint(low * 100.0 + (high - low) * 100.0 * _unit(more, 0, 16)) / (traits.scale * 100.0)
    opens, high, low, closes = (ticks / traits.scale for ticks in (opens, high, low, closes))
    bars = Bars(t[chosen], opens, high, low, closes, volume, vwap, trades)
    return _Made(bars, row, hours.regular[kind[row], slot])


def _unit(bits: UintArray, shift: int, width: int) -> FloatArray:
    """*width* of the bits as a number in [0, 1)."""
    return ((bits >> np.uint64(shift)) & np.uint64(2**width - 1)).astype(np.float64) / 2.0**width


def _present(traits: Traits, kind: npt.NDArray[np.intp], bits: UintArray) -> npt.NDArray[np.bool_]:
    hours = _hours(traits.coin)
    chance = np.where(hours.weight > 0.5, traits.regular, traits.extended)
    chance[np.arange(chance.shape[1]) >= hours.length[:, None]] = 0.0
    return _unit(bits, 16, 16) < chance[kind]


def _prices(
    traits: Traits,
    days: IntArray,
    length: IntArray,
    bits: UintArray,
    chosen: tuple[npt.NDArray[np.intp], ...],
) -> tuple[FloatArray, FloatArray]:
    """Open and close of the chosen minutes, in ticks: a bridge from the day's level to the next session's."""
    row, slot = chosen
    following = days + 1 if traits.coin else nyse.next_sessions(days)
    start, end = _log_level(traits, days), _log_level(traits, following)
    walk = np.zeros((len(days), bits.shape[1] + 1))
    np.cumsum(_unit(bits, 0, 16) * 2.0 - 1.0, axis=1, out=walk[:, 1:])
    last = walk[np.arange(len(days)), length]
    step = traits.daily_volatility * 1.7 / np.sqrt(bits.shape[1])
    factor = share_factor(traits.splits, days) * traits.scale

    def ticks(node: npt.NDArray[np.intp]) -> FloatArray:
        done = node / length[row]
        bridge = step * (walk[row, node] - done * last[row])
        log_price = start[row] * (1.0 - done) + end[row] * done + bridge
        price: FloatArray = np.exp(log_price) * factor[row]
        return np.maximum(2.0, np.rint(price))

    return ticks(slot), ticks(slot + 1)


def _volumes(
    traits: Traits, shares: FloatArray, weight: FloatArray, bits: UintArray, more: UintArray
) -> tuple[FloatArray, IntArray]:
    u = _unit(bits, 32, 16)
    size = traits.volume * weight * (0.15 + 2.5 * u * u)
    lot = traits.volume / 40.0 if traits.coin else 80.0
    trades = 1 + np.floor(size / (lot * (0.5 + _unit(more, 16, 16)))).astype(np.int64)
    if traits.coin:
        return np.maximum(1.0, np.rint(size * 1e8)) / 1e8, trades
    volume = 1.0 + np.floor(size / shares)
    return volume, np.minimum(trades, volume.astype(np.int64))


def make_days(traits: Traits, days: IntArray, early: npt.NDArray[np.bool_]) -> Bars:
    """The day bars of *days*: prices of the regular minutes; volume of all minutes and of the auctions."""
    if not len(days):
        return Bars.empty()
    made = make_minutes(traits, days, early)
    regular, bars = made.bars.take(made.regular), made.bars
    row = made.row[made.regular]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    last = np.r_[first[1:], len(row)] - 1
    everything = np.flatnonzero(np.diff(made.row, prepend=-1))
    traded = np.add.reduceat(bars.volume, everything)
    high, low = np.maximum.reduceat(regular.high, first), np.minimum.reduceat(regular.low, first)
    vwap = np.round(np.add.reduceat(bars.volume * bars.vwap, everything) / traded, 4)
    auctions = (
        0.0
        if traits.coin
        else np.floor(traded * (0.04 + 0.08 * _unit(draw(traits.key ^ 0xA0C, days), 0, 16)))
    )
    return Bars(
        t=midnight(days, UTC_ZONE if traits.coin else EASTERN),
        open=regular.open[first],
        high=high,
        low=low,
        close=regular.close[last],
        volume=np.round(traded + auctions, 8),
        vwap=np.clip(vwap, low, high),
        trades=np.add.reduceat(bars.trades, everything) + (auctions > 0),
    )
