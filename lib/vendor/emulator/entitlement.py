"""What the plan of the key includes: history, the running day, whole markets; and how late its data is."""

from dataclasses import dataclass

from lib.clock import Clock, to_ms
from lib.vendor.emulator.settings import EmulatorSettings, HistoryEdge, Today
from lib.vendor.emulator.windows import day_at, midnight_of
from lib.vendor.emulator.wire import NOT_ENTITLED, OUTSIDE_PLAN, not_authorized


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan as it stands at one instant for one zone; all in ms.

    *today*: the beginning of the running day. *horizon*: bars that start before it may be shown.
    """

    settings: EmulatorSettings
    now: int
    today: int
    floor: int

    @staticmethod
    def at(settings: EmulatorSettings, clock: Clock, zone: str) -> "Plan":
        """The plan as of the clock's now."""
        now = to_ms(clock.now())
        day = day_at(now, zone)
        floor = midnight_of(day - settings.history_days, zone) if settings.history_days else 0
        return Plan(settings, now, midnight_of(day, zone), floor)

    @property
    def horizon(self) -> int:
        """The end (exclusive) of what may be shown."""
        delayed = self.now - int(self.settings.delay_seconds * 1000)
        return delayed if self.settings.today is Today.PARTIAL else min(delayed, self.today)

    def check_market(self, market: str) -> None:
        """Raises Refusal (403) if the plan does not include *market*."""
        if market in self.settings.refused_markets:
            raise not_authorized(NOT_ENTITLED)

    def check_range(self, start_ms: int, end_ms: int) -> int:
        """From where on [start_ms, end_ms) may be answered. Raises Refusal (403) if it may not be at all."""
        published = self.today if self.settings.today is Today.FORBIDDEN else self.now + 1
        too_old = end_ms <= self.floor
        if self.settings.history_edge is HistoryEdge.REJECT:
            too_old = start_ms < self.floor
        if too_old or start_ms >= published:
            raise not_authorized(OUTSIDE_PLAN)
        return max(start_ms, self.floor)

    def status(self, end_ms: int) -> str:
        """DELAYED for answers that reach into the running day of a plan whose data is late."""
        return "DELAYED" if self.settings.delay_seconds > 0 and end_ms > self.today else "OK"
