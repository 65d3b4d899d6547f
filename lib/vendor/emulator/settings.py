"""How the emulator behaves: one frozen object, which a test or the control endpoint may replace."""

from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from lib.errors import UsageError
from lib.vendor.emulator.faults import Fault

DEFAULT_KEY = "emulator-key"
MOST_BASE_BARS = 50_000


class RateMode(StrEnum):
    """How the vendor's minute is counted."""

    SLIDING = "sliding"
    FIXED = "fixed"


class HistoryEdge(StrEnum):
    """What becomes of a request that starts before the plan's history: refused, or cut without a word."""

    REJECT = "reject"
    CLIP = "clip"


class Today(StrEnum):
    """What the plan shows of the running day: refusal, nothing, or bars up to now."""

    FORBIDDEN = "forbidden"
    EMPTY = "empty"
    PARTIAL = "partial"


class Actions(StrEnum):
    """Which generation of the splits and dividends endpoints exists."""

    BOTH = "both"
    V3 = "v3"
    V1 = "v1"


class EmulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every number of seconds is in the emulator's clock.

    *key*: the key it accepts, empty for any. *rate_limit*: requests per window, 0 for none; *count_refused*:
    refused requests count too; *retry_after_seconds*: sent with a 429 where set. *page_cap*: the largest
    ``limit`` served. *next_url_base*: the base of next_url, its own address unless set; *cursor_adjusted*:
    whether the cursor remembers ``adjusted=false``.

    The plan: *delay_seconds* behind now, *history_days* back (0: all) with its *history_edge*,
    *refused_markets* (stocks, crypto, ...), *today*. *withhold*: minutes of these dates are kept back, by
    ticker. *exponents*: large volumes are sometimes written as 1.029145e+06. *prerender*: an answer without
    a fault is made once and repeated for equal requests, for benchmarks.
    """

    key: str = DEFAULT_KEY
    rate_limit: int = 0
    rate_window_seconds: float = 60.0
    rate_mode: RateMode = RateMode.SLIDING
    burst_per_second: int = 0
    count_refused: bool = False
    retry_after_seconds: float | None = None
    latency_seconds: float = 0.0
    page_cap: int = MOST_BASE_BARS
    next_url_base: str | None = None
    cursor_adjusted: bool = True
    delay_seconds: float = 0.0
    history_days: int = 0
    history_edge: HistoryEdge = HistoryEdge.REJECT
    refused_markets: frozenset[str] = frozenset()
    today: Today = Today.PARTIAL
    actions: Actions = Actions.BOTH
    withhold: dict[str, tuple[date, ...]] = msgspec.field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    exponents: bool = True
    gzip: bool = True
    prerender: bool = False

    def __post_init__(self) -> None:
        if self.page_cap < 1 or self.rate_window_seconds <= 0:
            raise ValueError("page_cap is 1 or more, rate_window_seconds above 0")

    def changed(self, changes: dict[str, Any]) -> "EmulatorSettings":
        """These settings with the fields of *changes* (JSON values, or the settings' own) replaced.

        Raises UsageError for an unknown field or a value that does not fit.
        """
        try:
            return msgspec.convert(msgspec.to_builtins(self) | msgspec.to_builtins(changes), EmulatorSettings)
        except (msgspec.ValidationError, UnicodeError) as refused:
            raise UsageError(f"emulator settings: {str(refused)[:200]}") from refused
