"""What the plan turned out not to include, learnt once and not asked again in a run."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lib.clock import to_ms
from lib.errors import NotEntitled
from lib.plan import Window
from lib.symbols import AssetClass

FOREVER_MS = 2**62
NOT_YET_PUBLISHED = timedelta(days=4)


@dataclass(slots=True)
class Entitlement:
    """How far back the vendor refuses each asset class. Plans are sold per asset class, not per symbol."""

    _refused_until: dict[AssetClass, int] = field(default_factory=dict)
    _searching: dict[AssetClass, asyncio.Lock] = field(default_factory=dict)

    def search(self, asset_class: AssetClass) -> asyncio.Lock:
        """Held while someone looks for where the history of *asset_class* ends; the others wait."""
        return self._searching.setdefault(asset_class, asyncio.Lock())

    def edge_ms(self, asset_class: AssetClass) -> int:
        """Before this instant everything is known to be refused; 0 while nothing is known."""
        return self._refused_until.get(asset_class, 0)

    def refuses(self, asset_class: AssetClass, window: Window) -> bool:
        """Whether the vendor is known to refuse all of *window*."""
        return window.end_ms <= self.edge_ms(asset_class)

    def learn(self, asset_class: AssetClass, window: Window, error: NotEntitled, now: datetime) -> None:
        """A window that cannot be cut was refused at *now*: all before it is too, or the whole market.

        Of the last days nothing is learnt: an end-of-day plan refuses them until they are published.
        """
        if error.outside_window and window.end_ms > to_ms(now - NOT_YET_PUBLISHED):
            return
        until = window.end_ms if error.outside_window else FOREVER_MS
        self._refused_until[asset_class] = max(until, self.edge_ms(asset_class))
