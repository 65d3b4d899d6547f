"""The vendor's rate limit: a window that slides, or fixed minutes; and a limit on bursts."""

from collections import deque
from dataclasses import dataclass, field

from lib.clock import Clock
from lib.vendor.emulator.settings import EmulatorSettings, RateMode


@dataclass(slots=True)
class RateLimiter:
    """Admits requests by the rules of the settings in force at each.

    Refused requests do not count against the limit unless the settings say so.
    """

    _admitted: deque[float] = field(default_factory=deque)

    def admit(self, settings: EmulatorSettings, clock: Clock) -> bool:
        """Whether a request arriving now is within the limits; counts it if so."""
        now = clock.monotonic()
        admitted = not self._over(settings, clock, now)
        if admitted or settings.count_refused:
            self._admitted.append(now)
        return admitted

    def _over(self, settings: EmulatorSettings, clock: Clock, now: float) -> bool:
        keep = max(settings.rate_window_seconds, 1.0)
        while self._admitted and self._admitted[0] <= now - keep:
            self._admitted.popleft()
        begin = now - settings.rate_window_seconds
        if settings.rate_mode is RateMode.FIXED:
            begin = now - clock.now().timestamp() % settings.rate_window_seconds
        over_rate = 0 < settings.rate_limit <= self._since(begin)
        return over_rate or 0 < settings.burst_per_second <= self._since(now - 1.0)

    def _since(self, begin: float) -> int:
        return sum(moment > begin for moment in self._admitted)
