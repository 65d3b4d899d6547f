"""What a made-up instrument is like: price, liquidity, splits. A pure function of seed and ticker."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from lib.vendor.emulator import nyse
from lib.vendor.emulator.market import Dividend, Listing, Split, market_of, plain_listing

UintArray = npt.NDArray[np.uint64]

# Last price, shares or coins in a regular minute; as round as memory. All of them trade nearly every minute.
_STOCKS = {
    "AAPL": (190.0, 120_000), "ADBE": (520.0, 6_000), "AMD": (150.0, 120_000), "AMZN": (170.0, 100_000),
    "AVGO": (165.0, 50_000), "BAC": (38.0, 90_000), "BRK.B": (420.0, 8_000), "COST": (750.0, 4_500),
    "CRM": (270.0, 12_000), "CSCO": (52.0, 45_000), "DIS": (105.0, 25_000), "GOOG": (165.0, 45_000),
    "GOOGL": (165.0, 60_000), "HD": (360.0, 8_000), "IBM": (190.0, 9_000), "INTC": (32.0, 110_000),
    "JNJ": (155.0, 17_000), "JPM": (200.0, 22_000), "KO": (63.0, 32_000), "MA": (460.0, 6_000),
    "META": (500.0, 35_000), "MSFT": (415.0, 50_000), "NFLX": (640.0, 8_000), "NVDA": (120.0, 600_000),
    "ORCL": (130.0, 22_000), "PEP": (170.0, 14_000), "PG": (165.0, 15_000), "TSLA": (210.0, 220_000),
    "UNH": (500.0, 8_000), "V": (275.0, 14_000), "WMT": (67.0, 35_000), "XOM": (115.0, 38_000),
}  # fmt: skip
_ETFS = {
    "SPY": (530.0, 150_000), "QQQ": (455.0, 100_000), "IWM": (205.0, 80_000), "DIA": (390.0, 8_000),
    "VOO": (485.0, 12_000), "VTI": (260.0, 8_000), "GLD": (215.0, 18_000), "SLV": (26.0, 50_000),
    "TLT": (92.0, 90_000), "EEM": (42.0, 75_000), "XLF": (41.0, 90_000), "XLE": (90.0, 38_000),
    "XLK": (215.0, 14_000), "HYG": (77.0, 80_000), "ARKK": (45.0, 22_000), "UGA": (65.0, 60),
}  # fmt: skip
_COINS = {
    "X:BTCUSD": (60_000.0, 12.0), "X:ETHUSD": (3_000.0, 160.0), "X:SOLUSD": (150.0, 1_500.0),
    "X:XRPUSD": (0.55, 90_000.0), "X:DOGEUSD": (0.12, 400_000.0), "X:LTCUSD": (80.0, 300.0),
}  # fmt: skip
_SPLITS = {
    "AAPL": [(2005, 2, 28, 1, 2), (2014, 6, 9, 1, 7), (2020, 8, 31, 1, 4)],
    "AMZN": [(2022, 6, 6, 1, 20)],
    "GOOG": [(2022, 7, 18, 1, 20)],
    "GOOGL": [(2022, 7, 18, 1, 20)],
    "KO": [(2012, 8, 13, 1, 2)],
    "NVDA": [(2021, 7, 20, 1, 4), (2024, 6, 10, 1, 10)],
    "TSLA": [(2020, 8, 31, 1, 5), (2022, 8, 25, 1, 3)],
    "WMT": [(2024, 2, 26, 1, 3)],
}
_RATIOS = ((1, 2), (1, 3), (2, 3), (1, 4), (10, 1))
_FORM = re.compile(r"[A-Z][A-Za-z0-9]{0,9}(\.[A-Z]{1,3})?|X:[A-Z0-9]{2,10}[A-Z]{3}")

_FIRST_YEAR, _LAST_YEAR = 2003, 2060
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Traits:
    """One made-up instrument.

    *price*: where its level swings around, in today's shares. *regular*, *extended*: share of minutes in
    which it trades. *volume*: shares or coins of a usual regular minute, in today's shares. *scale*: ticks
    per dollar.
    """

    ticker: str
    key: int
    price: float
    volume: float
    regular: float
    extended: float
    daily_volatility: float
    scale: int
    coin: bool
    splits: tuple[Split, ...]


def mix(values: UintArray) -> UintArray:
    """64 well-mixed bits for each value (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def draw(key: int, numbers: npt.NDArray[np.int64]) -> UintArray:
    """64 random bits for each of *numbers*, a pure function of both."""
    return mix(numbers.astype(np.uint64) * np.uint64(_GOLDEN) + np.array([key], np.uint64))


def key_of(seed: int, ticker: str) -> int:
    """The 64-bit key from which everything about *ticker* is drawn."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{ticker}".encode(), digest_size=8).digest())


def listing_of(ticker: str, unknown: str) -> Listing | None:
    """What the simulated vendor knows of *ticker*; None if it looks like none or matches *unknown*."""
    if not _FORM.fullmatch(ticker) or re.fullmatch(unknown, ticker):
        return None
    return plain_listing(ticker, etf=ticker in _ETFS)


@cache
def traits_of(seed: int, ticker: str) -> Traits:
    """The instrument called *ticker* in the market of *seed*."""
    key = key_of(seed, ticker)
    u = [float(x) / 2.0**64 for x in draw(key, np.arange(8))]
    coin = market_of(ticker) == "crypto"
    famous = {**_STOCKS, **_ETFS, **_COINS}.get(ticker)
    price, volume = famous or (10.0 * 30.0 ** u[0], _volume(u[1], u[2]))
    regular, extended = (1.0, 0.6) if famous else _presence(u[1], u[3])
    if ticker == "UGA":
        regular, extended = 0.2, 0.01
    return Traits(
        ticker=ticker,
        key=key,
        price=price,
        volume=float(volume),
        regular=max(regular, 0.7) if coin else regular,
        extended=extended,
        daily_volatility=0.03 if coin else 0.008 + 0.015 * u[4],
        scale=100_000 if price < 1 else 100,
        coin=coin,
        splits=() if coin or ticker in _ETFS else _splits(ticker, u[5], u[6], u[7]),
    )


def _volume(liquidity: float, u: float) -> float:
    """Shares of a regular minute: the least liquid trade a hundredth of what the most liquid do."""
    return float(100.0 * 10.0 ** (2.0 * (1.0 - liquidity) + u))


def _presence(liquidity: float, u: float) -> tuple[float, float]:
    """The share of regular and of extended minutes with a trade: liquid, medium or thin."""
    if liquidity < 0.4:
        return 0.97 + 0.03 * u, 0.5
    if liquidity < 0.7:
        return 0.8 + 0.17 * u, 0.15
    return 0.2 + 0.5 * u, 0.02


def _splits(ticker: str, chance: float, when: float, which: float) -> tuple[Split, ...]:
    if ticker in _STOCKS:
        rows = _SPLITS.get(ticker, [])
        return tuple(Split(ticker, date(y, m, d), old, new) for y, m, d, old, new in rows)
    if chance >= 0.25:
        return ()
    days, _ = nyse.sessions((date(2004, 1, 1) - nyse.EPOCH).days, (date(2025, 6, 1) - nyse.EPOCH).days)
    day = nyse.EPOCH + timedelta(days=int(days[int(when * len(days))]))
    old, new = _RATIOS[int(which * len(_RATIOS))]
    return (Split(ticker, day, old, new),)


def share_factor(splits: tuple[Split, ...], days: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How many of today's shares one share of each day has become."""
    factor = np.ones(len(days))
    for split in splits:
        factor[days < (split.execution_date - nyse.EPOCH).days] *= split.split_to / split.split_from
    return factor


def dividends_of(traits: Traits) -> list[Dividend]:
    """Quarterly dividends of every second stock and ETF, as paid on shares of the day."""
    if traits.coin or traits.key % 2:
        return []
    dates = [
        date(year, month, 5 + traits.key % 20)
        for year in range(_FIRST_YEAR, _LAST_YEAR)
        for month in (2, 5, 8, 11)
    ]
    shares = share_factor(traits.splits, np.array([(day - nyse.EPOCH).days for day in dates], np.int64))
    amounts = [traits.price * 0.003 * (1.0 + 0.04 * (day.year - _FIRST_YEAR)) for day in dates]
    return [
        Dividend(traits.ticker, day, round(amount * float(factor), 4))
        for day, amount, factor in zip(dates, amounts, shares, strict=True)
    ]


@cache
def universe(seed: int, size: int) -> tuple[str, ...]:
    """*size* tickers: the famous ones, then made-up names, some with a class suffix or mixed case."""
    names = [*_STOCKS, *_ETFS, *_COINS]
    seen = set(names)
    number = 0
    while len(names) < size:
        name = _name(int(draw(key_of(seed, "universe"), np.array([number]))[0]))
        number += 1
        if name not in seen:
            seen.add(name)
            names.append(name)
    return tuple(names[:size])


def _name(bits: int) -> str:
    letters = "".join(chr(65 + (bits >> shift) % 26) for shift in (0, 8, 16, 24))
    suffix = {0: ".B", 1: "pA"}.get((bits >> 40) % 30, "")
    return letters[: 3 + (bits >> 50) % 2] + suffix
