"""The page's words: states and dates as a reader meets them, and what a symbol brings to the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from lib.gaps import Cell, State, Stretch, cell_of, gaps_of
from lib.timeframe import Timeframe

# Worst first: the colour of a session is that of its worst timeframe.
WORST_FIRST = (
    State.MISSING,
    State.LOST,
    State.CONTRADICTION,
    State.VENDOR_HOLE,
    State.SUSPECT,
    State.NOT_ENTITLED,
    State.PENDING,
    State.RECHECK_DUE,
    State.VERIFIED_EMPTY,
    State.UNVERIFIED,
    State.COMPLETE,
    State.NOT_EXPECTED,
)

WORDS = {
    State.MISSING: "missing",
    State.LOST: "bars lost",
    State.CONTRADICTION: "contradiction",
    State.VENDOR_HOLE: "hole at the vendor",
    State.SUSPECT: "suspect",
    State.NOT_ENTITLED: "not in the plan",
    State.PENDING: "not settled yet",
    State.RECHECK_DUE: "none, to be asked again",
    State.VERIFIED_EMPTY: "the vendor has none",
    State.UNVERIFIED: "of another program",
    State.COMPLETE: "complete",
    State.NOT_EXPECTED: "outside its listing",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One symbol: its *sessions* (dates, ascending), what was found of each timeframe, why gaps remain."""

    symbol: str
    sessions: Sequence[date]
    series: Mapping[Timeframe, Sequence[Stretch]]
    reasons: Mapping[Timeframe, str] = field(default_factory=dict)

    @property
    def cells(self) -> dict[Timeframe, Cell]:
        return {timeframe: cell_of(stretches) for timeframe, stretches in self.series.items()}

    @property
    def gaps(self) -> int:
        """Gaps of all its timeframes together."""
        return sum(len(gaps_of(stretches)) for stretches in self.series.values())

    @property
    def lacking(self) -> int:
        """Units that should be complete and are not, all timeframes together."""
        return sum(cell.expected - cell.complete for cell in self.cells.values())


def dates(start: date, end: date) -> str:
    """The dates [start, end) with the last one included, as people write them."""
    last = end - timedelta(days=1)
    return start.isoformat() if last <= start else f"{start} … {last}"


def many(number: int, noun: str) -> str:
    """A number with its noun, e.g. ``1 session``, ``1,204 sessions``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def unit_of(timeframe: Timeframe) -> str:
    """What completeness is counted in."""
    return "week" if timeframe is Timeframe.W1 else "session"


def listed(timeframes: Iterable[Timeframe]) -> str:
    """Timeframes by name, shortest first."""
    names = set(timeframes)
    return " ".join(tf for tf in Timeframe if tf in names)
