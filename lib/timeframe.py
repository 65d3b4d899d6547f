"""The eight timeframes: their length, what the vendor calls them, and what they are built from."""

from enum import StrEnum

from lib.errors import UsageError

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Timeframe(StrEnum):
    """A bar's length, by the name users type and the database stores."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"

    @property
    def step_ms(self) -> int:
        """Nominal length in milliseconds; exact for 1m..4h.

        A day or week across a change of clocks is an hour shorter or longer: use ``lib.zones`` there.
        """
        return _STEP_MS[self]

    @property
    def intraday(self) -> bool:
        """True for 1m..4h: windows on the fixed UTC grid."""
        return self not in (Timeframe.D1, Timeframe.W1)

    @property
    def base(self) -> "Timeframe":
        """What the vendor builds it from: minute bars for 1m..4h, day bars for 1d and 1w.

        Source: the vendor's "Aggregate Data API Improvements"; ``limit`` counts these.
        """
        return Timeframe.M1 if self.intraday else Timeframe.D1

    @property
    def derived(self) -> tuple["Timeframe", ...]:
        """The timeframes rolled up from this one, shortest first; empty unless 1m or 1d."""
        return tuple(tf for tf in Timeframe if tf is not self and tf.base is self)

    @property
    def vendor_range(self) -> tuple[int, str]:
        """Multiplier and timespan of the vendor's aggregates path, e.g. ``(5, "minute")``."""
        return _VENDOR_RANGE[self]


_STEP_MS = {
    Timeframe.M1: MINUTE_MS,
    Timeframe.M5: 5 * MINUTE_MS,
    Timeframe.M15: 15 * MINUTE_MS,
    Timeframe.M30: 30 * MINUTE_MS,
    Timeframe.H1: 60 * MINUTE_MS,
    Timeframe.H4: 240 * MINUTE_MS,
    Timeframe.D1: DAY_MS,
    Timeframe.W1: 7 * DAY_MS,
}
_VENDOR_RANGE = {
    Timeframe.M1: (1, "minute"),
    Timeframe.M5: (5, "minute"),
    Timeframe.M15: (15, "minute"),
    Timeframe.M30: (30, "minute"),
    Timeframe.H1: (1, "hour"),
    Timeframe.H4: (4, "hour"),
    Timeframe.D1: (1, "day"),
    Timeframe.W1: (1, "week"),
}


def parse_timeframes(text: str) -> tuple[Timeframe, ...]:
    """Timeframes of a comma list such as ``1h,1d``, or ``all``; in the order of their length.

    Raises UsageError naming the part that is none.
    """
    if text.strip() == "all":
        return tuple(Timeframe)
    names = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name not in set(Timeframe)]
    if unknown or not names:
        raise UsageError(
            f"{', '.join(map(repr, unknown))[:100] or 'an empty list'} is not a timeframe",
            hint=f"one or more of {','.join(Timeframe)}, or all",
        )
    return tuple(tf for tf in Timeframe if tf in names)
