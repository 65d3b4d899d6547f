"""What came of it: per series and per run, in the words the audit, the summary and the exit status share."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lib.bars import RefusedBar
from lib.clock import Clock, from_ms
from lib.timeframe import Timeframe

COMPLETE_STATUS, FAILED_STATUS, PARTIAL_STATUS, REFUSED_STATUS = 0, 1, 3, 12


class SeriesStatus(StrEnum):
    """How a series came out of a run."""

    OK = "ok"
    PARTIAL = "partial"  # some requests failed, or bars were refused: a hole in coverage remains
    FAILED = "failed"  # nothing of it could be had
    NOT_ENTITLED = "not_entitled"
    LEFT = "left"  # --max-requests was reached first
    INTERRUPTED = "interrupted"  # the run ended before this series did


class RunStatus(StrEnum):
    """How a run ended; the exit status follows from it."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(slots=True)
class SeriesOutcome:
    """One symbol and timeframe of a run.

    *bars*: stored in the range asked for, by the audited counts, after the run; *first*, *last*: the stamps
    of the oldest and newest of them. *received*, *inserted*, *updated*: bars of this run. *requests*: sent
    for this series; 0 for a derived one. *error*: the first failure, as shown to the user.
    """

    symbol: str
    timeframe: Timeframe
    status: SeriesStatus = SeriesStatus.INTERRUPTED
    bars: int = 0
    received: int = 0
    inserted: int = 0
    updated: int = 0
    requests: int = 0
    windows: int = 0
    windows_failed: int = 0
    windows_refused: int = 0
    windows_left: int = 0
    duplicates: int = 0
    outside_range: int = 0
    refused: list[RefusedBar] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def refusals(self) -> str | None:
        """The refused bars in a sentence; None if there were none."""
        if not self.refused:
            return None
        first = self.refused[0]
        when = f"{from_ms(first.t):%Y-%m-%d %H:%M} UTC"
        return f"{len(self.refused)} bars refused, the first of {when}: {first.reason}"

    def begin(self, windows: int) -> None:
        """A round of *windows* requests begins: what failed in an earlier one may be made good."""
        self.windows, self.windows_failed, self.windows_refused, self.windows_left = windows, 0, 0, 0
        self.refused.clear()
        self.error = None

    def settle(self, *, refused_before: bool = False) -> None:
        """Conclude from what happened to the windows. *refused_before*: all of it, by another run."""
        if self.windows_failed:
            done = self.windows - self.windows_failed - self.windows_left
            self.status = SeriesStatus.PARTIAL if done else SeriesStatus.FAILED
        elif self.windows_left:
            self.status = SeriesStatus.LEFT
        elif self.refused:
            self.status = SeriesStatus.PARTIAL
        elif refused_before or (self.windows and self.windows_refused == self.windows):
            self.status = SeriesStatus.NOT_ENTITLED
        else:
            self.status = SeriesStatus.OK


@dataclass(slots=True)
class SymbolOutcome:
    """One symbol of a run.

    *error*: why none of its series was tried, e.g. an unknown symbol; *left*: that was for want of requests,
    the next run tries. *ended*: its turn came and is over.
    """

    symbol: str
    series: list[SeriesOutcome] = field(default_factory=list)
    error: str | None = None
    left: bool = False
    ended: bool = False

    @property
    def failed(self) -> bool:
        """Nothing of it could be had."""
        if self.error is not None:
            return not self.left
        return bool(self.series) and all(s.status is SeriesStatus.FAILED for s in self.series)

    @property
    def whole(self) -> bool:
        """Everything asked for was had, or is not ours to have."""
        fine = (SeriesStatus.OK, SeriesStatus.NOT_ENTITLED)
        return self.ended and self.error is None and all(s.status in fine for s in self.series)

    @property
    def not_entitled(self) -> bool:
        """The vendor entitles the key to nothing of it."""
        return bool(self.series) and all(s.status is SeriesStatus.NOT_ENTITLED for s in self.series)


def run_status(outcomes: Iterable[SymbolOutcome]) -> RunStatus:
    """Complete if every symbol is whole, failed if every one failed, partial otherwise."""
    outcomes = list(outcomes)
    if all(o.whole for o in outcomes):
        return RunStatus.COMPLETE
    return RunStatus.FAILED if all(o.failed for o in outcomes) else RunStatus.PARTIAL


def exit_status(status: RunStatus, outcomes: Iterable[SymbolOutcome]) -> int:
    """The exit status of a run that was not interrupted."""
    outcomes = list(outcomes)
    if outcomes and all(o.not_entitled for o in outcomes):
        return REFUSED_STATUS
    return {RunStatus.COMPLETE: COMPLETE_STATUS, RunStatus.FAILED: FAILED_STATUS}.get(status, PARTIAL_STATUS)


class Busy:
    """How long at least one task was at something: never more than the wall time, however many were."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks = 0
        self._since = 0.0
        self._total = 0.0

    @property
    def seconds(self) -> float:
        running = self._clock.monotonic() - self._since if self._tasks else 0.0
        return self._total + running

    @contextmanager
    def task(self) -> Iterator[None]:
        """Count the block as being at it."""
        if not self._tasks:
            self._since = self._clock.monotonic()
        self._tasks += 1
        try:
            yield
        finally:
            self._tasks -= 1
            if not self._tasks:
                self._total += self._clock.monotonic() - self._since
