"""What a market shows at an instant: nothing of the future, the running bars in part, no withheld minutes."""

from dataclasses import dataclass, replace

import numpy as np

from lib.bars import Bars
from lib.vendor.emulator import nyse
from lib.vendor.emulator.entitlement import Plan
from lib.vendor.emulator.market import Market, Split
from lib.vendor.emulator.windows import EASTERN, MINUTE_MS, day_at, local_day, midnight_of

_A_DAY_OF_MINUTES = 24 * 60 + 60


@dataclass(frozen=True, slots=True)
class Feed:
    """A market as the key of *plan* sees it, in the zone of the ticker asked for."""

    market: Market
    plan: Plan
    zone: str

    def base(
        self,
        ticker: str,
        start_ms: int,
        end_ms: int,
        most: int,
        *,
        days: bool,
        newest: bool = False,
        adjusted: bool,
    ) -> Bars:
        """At most *most* day or minute bars that start in [start_ms, end_ms), from the chosen end."""
        read = self._days if days else self._minutes
        bars = read(ticker, start_ms, end_ms, most, newest)
        return self._adjusted(bars, ticker) if adjusted else bars

    def _minutes(self, ticker: str, start_ms: int, end_ms: int, most: int, newest: bool) -> Bars:
        horizon = self.plan.horizon
        bars = self._kept(ticker, start_ms, min(end_ms, horizon), most, newest)
        if len(bars) and bars.t[-1] + MINUTE_MS > horizon:
            return in_progress(bars, (horizon - int(bars.t[-1])) / MINUTE_MS)
        return bars

    def _kept(self, ticker: str, start_ms: int, end_ms: int, most: int, newest: bool) -> Bars:
        """Minutes without the withheld ones; reads on until *most* are found or there are no more."""
        withheld = [(d - nyse.EPOCH).days for d in self.plan.settings.withhold.get(ticker, ())]
        parts: list[Bars] = []
        while True:
            bars = self.market.minutes(ticker, start_ms, end_ms, most, newest=newest)
            parts.append(bars.take(~np.isin(local_day(bars.t, self.zone), withheld)) if withheld else bars)
            if len(bars) < most or sum(map(len, parts)) >= most:
                break
            start_ms, end_ms = (start_ms, int(bars.t[0])) if newest else (int(bars.t[-1]) + 1, end_ms)
        whole = Bars.concat(parts[::-1] if newest else parts)
        return whole.take(slice(-most, None) if newest else slice(most))

    def _days(self, ticker: str, start_ms: int, end_ms: int, most: int, newest: bool) -> Bars:
        horizon = self.plan.horizon
        running = midnight_of(day_at(horizon, self.zone), self.zone)
        bars = self.market.days(ticker, start_ms, min(end_ms, running), most, newest=newest)
        if start_ms <= running < end_ms:
            bars = Bars.concat([bars, self._running_day(ticker, running)])
        return bars.take(slice(-most, None) if newest else slice(most))

    def _running_day(self, ticker: str, midnight_ms: int) -> Bars:
        """The day bar so far: prices of the regular hours, volume of all minutes; none before the open."""
        minutes = self._minutes(ticker, midnight_ms, self.plan.horizon, _A_DAY_OF_MINUTES, newest=False)
        regular = minutes.between(*self._regular_hours(midnight_ms))
        if not len(regular):
            return Bars.empty()
        volume = minutes.volume.sum()
        vwap = (minutes.volume * minutes.vwap).sum() / volume if volume > 0 else np.nan
        return Bars(
            t=np.array([midnight_ms]),
            open=regular.open[:1],
            high=np.array([regular.high.max()]),
            low=np.array([regular.low.min()]),
            close=regular.close[-1:],
            volume=np.array([volume]),
            vwap=np.array([round(vwap, 4)]),
            trades=np.array([minutes.trades.sum() if minutes.trades.min() >= 0 else -1]),
        )

    def _regular_hours(self, midnight_ms: int) -> tuple[int, int]:
        if self.zone != EASTERN:
            return midnight_ms, self.plan.horizon
        day = day_at(midnight_ms, self.zone)
        _, early = nyse.sessions(day, day + 1)
        close = int(nyse.close_minutes(early[:1])[0]) if len(early) else nyse.CLOSE_MINUTE
        return midnight_ms + nyse.OPEN_MINUTE * MINUTE_MS, midnight_ms + close * MINUTE_MS

    def _adjusted(self, bars: Bars, ticker: str) -> Bars:
        today = day_at(self.plan.now, self.zone)
        done = [s for s in self.market.splits(ticker) if (s.execution_date - nyse.EPOCH).days <= today]
        return split_adjusted(bars, done, self.zone) if done else bars


def in_progress(bars: Bars, share: float) -> Bars:
    """*bars* with the last one as it looked when only *share* (0..1) of it had passed."""
    last = bars.take(slice(-1, None))
    sofar = replace(
        last,
        close=np.round(last.open + (last.close - last.open) * share, 6),
        volume=np.maximum(np.floor(last.volume * share), np.minimum(last.volume, 1.0)),
        trades=np.where(last.trades > 0, np.maximum(1, (last.trades * share).astype(np.int64)), last.trades),
    )
    return Bars.concat([bars.take(slice(-1)), sofar])


def split_adjusted(bars: Bars, splits: list[Split], zone: str) -> Bars:
    """*bars* in the shares that remain after *splits*: prices to 6 decimals, volume unrounded."""
    factor = np.ones(len(bars))
    days = local_day(bars.t, zone)
    for split in splits:
        factor[days < (split.execution_date - nyse.EPOCH).days] *= split.split_from / split.split_to
    scaled = {
        name: np.round(getattr(bars, name) * factor, 6) for name in ("open", "high", "low", "close", "vwap")
    }
    return replace(bars, **scaled, volume=bars.volume / factor)
