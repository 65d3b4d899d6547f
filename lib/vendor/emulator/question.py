"""One request, as those who answer it see it."""

from collections.abc import Mapping
from dataclasses import dataclass

from lib.clock import Clock
from lib.vendor.emulator.market import Market
from lib.vendor.emulator.settings import EmulatorSettings


@dataclass(frozen=True, slots=True)
class Question:
    """*parts*: the variable parts of the path; *query*: its parameters; *path*: as sent, without the query.

    *base_url*: what next_url begins with.
    """

    parts: Mapping[str, str]
    query: Mapping[str, str]
    path: str
    base_url: str
    market: Market
    settings: EmulatorSettings
    clock: Clock

    def part(self, name: str) -> str:
        """One variable part of the path."""
        return self.parts[name]
