"""What asking costs: requests and pages by purpose, and the bytes they come to; planned, and counted. Pure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lib.coverage import Answered, LedgerRow, Range, holds, union
from lib.errors import BudgetSpent
from lib.plan import PAGE_BASE_BARS, Window
from lib.sessions import SessionTable
from lib.timeframe import Timeframe
from lib.zones import midnights

# Measured: a bar in the vendor's JSON, and how much of a body is left of it compressed.
BODY_BYTES, PACKED = 97, 1 / 3
ROW_BYTES = 141  # a row of market_data with its part of the primary key, measured
MARKET_STOCKS, MARKET_COINS = 12_500, 500  # names in one answer for a day of a whole market, about


class Purpose(StrEnum):
    """What a request is sent for.

    rechecks: windows of which everything was answered before, provisionally or as empty or refused.
    gap_rounds: what is asked again because bars lack after the run; never planned.
    """

    MINUTES = "minute_windows"
    DAYS = "day_windows"
    MARKET_DAYS = "market_days"
    RECHECKS = "rechecks"
    LOOK_UPS = "look_ups"
    ACTIONS = "corporate_actions"
    GAP_ROUNDS = "gap_rounds"


class Skipped(StrEnum):
    """Why a session is not asked for."""

    COVERED = "covered"
    PENDING = "pending"
    EMPTY = "verified_empty"
    NOT_ENTITLED = "not_entitled"
    NOT_LISTED = "before_listing"
    PRUNED = "pruned"


@dataclass(slots=True)
class Load:
    """What some requests come to.

    *pages*: each is one answer of the vendor. *bars*: those that they may hold, at most.
    *rows*: stored because of them, derived bars included.
    """

    requests: int = 0
    pages: int = 0
    bars: int = 0
    rows: int = 0

    def add(self, other: "Load") -> None:
        self.requests += other.requests
        self.pages += other.pages
        self.bars += other.bars
        self.rows += other.rows

    @property
    def wire_bytes(self) -> int:
        """Of the bodies, compressed."""
        return round(self.bars * BODY_BYTES * PACKED)

    @property
    def disk_bytes(self) -> int:
        """Of the rows with their key."""
        return self.rows * ROW_BYTES


@dataclass(slots=True)
class Loads:
    """Loads by purpose."""

    by_purpose: dict[Purpose, Load] = field(default_factory=lambda: {purpose: Load() for purpose in Purpose})

    def __getitem__(self, purpose: Purpose) -> Load:
        return self.by_purpose[purpose]

    @property
    def total(self) -> Load:
        total = Load()
        for load in self.by_purpose.values():
            total.add(load)
        return total

    @contextmanager
    def request(self, purpose: Purpose) -> Iterator[Load]:
        """Count the block as a request of *purpose*, unless --max-requests keeps it from being sent.

        The block counts the pages, in what it is given.
        """
        one = Load(requests=1)
        try:
            yield one
        except BudgetSpent:
            one.requests = min(1, one.pages)
            raise
        finally:
            self.by_purpose[purpose].add(one)


def purpose_of(window: Window) -> Purpose:
    """What *window* is asked for, in a run's first round."""
    if window.again:
        return Purpose.RECHECKS
    return Purpose.MINUTES if window.timeframe.base is Timeframe.M1 else Purpose.DAYS


def load_of(window: Window, *, derive: bool) -> Load:
    """What one request comes to: at least a page, more where it may hold more than a page's base bars."""
    pages = max(1, -(-window.base_bars // PAGE_BASE_BARS))
    own = -(-window.base_bars * window.timeframe.base.step_ms // window.timeframe.step_ms)
    # What is asked again has its rows already.
    rows = 0 if window.again else rows_of(own, window.timeframe, derive=derive)
    return Load(1, pages, own, rows)


def rows_of(bars: int, timeframe: Timeframe, *, derive: bool) -> int:
    """*bars* of a fetched timeframe with those rolled up from them, of a name that trades all the time."""
    longer = timeframe.derived if derive else ()
    return bars + sum(-(-bars * timeframe.step_ms // tf.step_ms) for tf in longer)


def skipped(
    span: Range,
    bounds_ms: tuple[int, int, int],
    standing: Sequence[LedgerRow],
    timeframe: Timeframe,
    sessions: SessionTable,
    now: datetime,
) -> dict[Skipped, int]:
    """How many sessions of *span* are not asked for, by the reason.

    *bounds_ms*: from when on the name was traded, from when on its bars are kept, and until when they have
    settled; *standing*: the answers that count.
    """
    starts = midnights(sessions.days, sessions.zone)
    inside = slice(*np.searchsorted(starts, span))
    if timeframe.base is Timeframe.M1:
        starts, ends = sessions.extended_open_ms[inside], sessions.extended_close_ms[inside]
    else:
        starts, ends = starts[inside], midnights(sessions.days[inside] + 1, sessions.zone)
    left = np.ones(len(starts), np.bool_)
    listed_ms, kept_ms, settled_ms = bounds_ms
    out = {}

    def covers(*outcomes: Answered) -> npt.NDArray[np.bool_]:
        rows = [r for r in standing if r.outcome in outcomes and r.stands(now)]
        return holds(union((r.start_ms, r.end_ms) for r in rows), starts, ends)

    for reason, holding in (
        (Skipped.NOT_LISTED, ends <= listed_ms),
        (Skipped.PRUNED, starts < kept_ms),
        (Skipped.PENDING, ends > settled_ms),
        (Skipped.EMPTY, covers(Answered.EMPTY)),
        (Skipped.NOT_ENTITLED, covers(Answered.NOT_ENTITLED)),
        (Skipped.COVERED, covers(*Answered)),
    ):
        out[reason] = int((left & holding).sum())
        left &= ~holding
    return {reason: count for reason, count in out.items() if count}
