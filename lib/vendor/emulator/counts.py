"""What the emulator was asked, and what it answered."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class LogEntry:
    """One request: when it arrived, path and query as sent, and the status answered (0: none was)."""

    time: datetime
    path: str
    kind: str
    status: int = 0


@dataclass(slots=True)
class Counts:
    """Counters of one emulator; the control endpoints are not counted.

    *pages*: aggregates answered with 200. *busiest_window*: most requests, whatever their answer, that
    arrived within any one window of the rate limit. *most_in_flight*: most requests open at once.
    *faults*: injected, by kind.
    """

    total: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    busiest_window: int = 0
    log: list[LogEntry] = field(default_factory=list)
    _arrivals: deque[float] = field(default_factory=deque)

    @property
    def aggs(self) -> int:
        """Requests for aggregates of one ticker."""
        return self.by_kind["aggs"]

    @property
    def rate_limited(self) -> int:
        """Answers of 429."""
        return self.by_status[429]

    def arrive(self, entry: LogEntry, monotonic: float, window_seconds: float) -> None:
        """Count a request that came in."""
        self.total += 1
        self.by_kind[entry.kind] += 1
        self.log.append(entry)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._arrivals.append(monotonic)
        while self._arrivals[0] <= monotonic - window_seconds:
            self._arrivals.popleft()
        self.busiest_window = max(self.busiest_window, len(self._arrivals))

    def answered(self, entry: LogEntry, status: int) -> None:
        """Count how a request was answered."""
        entry.status = status
        self.by_status[status] += 1
        self.pages += entry.kind == "aggs" and status == 200

    def leave(self) -> None:
        """A request is done with."""
        self.in_flight -= 1

    def as_json(self) -> dict[str, Any]:
        """The counters and the log, as the control endpoint sends them."""
        return {
            "total": self.total,
            "aggs": self.aggs,
            "by_kind": dict(self.by_kind),
            "by_status": {str(status): count for status, count in self.by_status.items()},
            "rate_limited": self.rate_limited,
            "pages": self.pages,
            "faults": dict(self.faults),
            "busiest_window": self.busiest_window,
            "most_in_flight": self.most_in_flight,
            "log": [
                {"time": entry.time, "path": entry.path, "kind": entry.kind, "status": entry.status}
                for entry in self.log
            ],
        }
