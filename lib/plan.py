"""What to ask the vendor: from what is wanted and what is covered to the fewest request windows. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil

import numpy as np

from lib.coverage import Range, clip, subtract, union
from lib.errors import UsageError
from lib.sessions import SessionTable, unit_ends_ms
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.zones import ceil_to_window, local_days, midnight_ms, midnights, sunday_of

PAGE_BASE_BARS = 50_000  # the vendor's limit of a page, in minute or day bars
WINDOW_BASE_BARS = 45_000  # what a window is sized for, so that it fits one page
SEEN_MARGIN = 1.5  # a thin name may have busier months than those that were seen


@dataclass(frozen=True, slots=True)
class DateRange:
    """Inclusive dates as the user gives them: New York's for stocks and ETFs, UTC's for coins."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise UsageError(f"the range ends ({self.end}) before it starts ({self.start})")


def last_days(days: int, today: date) -> DateRange:
    """The last *days* calendar days, *today* included."""
    if days < 1:
        raise UsageError(f"--days {days} asks for nothing", hint="give 1 or more")
    return DateRange(today - timedelta(days=days - 1), today)


@dataclass(frozen=True, slots=True)
class Window:
    """One request: bars of *timeframe* that start in [start_ms, end_ms)."""

    timeframe: Timeframe
    start_ms: int
    end_ms: int
    base_bars: int  # estimated: what a liquid name has, or, with a margin, what this one was seen to have
    again: bool = False  # all of it was answered before


def fetched_timeframes(wanted: Iterable[Timeframe], *, derive: bool) -> tuple[Timeframe, ...]:
    """Which timeframes are asked of the vendor so that all *wanted* ones can be had."""
    needed = {tf.base if derive else tf for tf in wanted}
    return tuple(tf for tf in Timeframe if tf in needed)


def wanted_range(dates: DateRange, wanted: Iterable[Timeframe], fetched: Timeframe, zone: str) -> Range:
    """The instants for which bars of *fetched* are needed to have the *wanted* timeframes of *dates*.

    Whole weeks, Sunday to Saturday, where a week is wanted that is built from *fetched*.
    """
    start, end = dates.start, dates.end + timedelta(days=1)
    if Timeframe.W1 in wanted and fetched.base is Timeframe.D1:
        start, end = sunday_of(start), sunday_of(end + timedelta(days=6))
    return (
        ceil_to_window(midnight_ms(start, zone), fetched, zone),
        ceil_to_window(midnight_ms(end, zone), fetched, zone),
    )


def kept_range(
    span: Range, instrument: Instrument, wanted: Iterable[Timeframe], fetched: Timeframe, *, derive: bool
) -> Range:
    """*span* without what of *fetched* is needed for no bar that is kept: old bars may have been dropped."""
    dates = [
        instrument.kept_from(timeframe)
        for timeframe in wanted
        if (timeframe.base if derive else timeframe) is fetched
    ]
    kept = [day for day in dates if day is not None]
    if not kept or len(kept) < len(dates):
        return span
    first = ceil_to_window(midnight_ms(min(kept), instrument.zone), fetched, instrument.zone)
    return max(span[0], first), max(span[1], first)


def listed_from_ms(instrument: Instrument) -> int:
    """Before this instant no bars are asked for: the week in which *instrument* was first traded; 0: no limit."""
    first = instrument.listed_from
    # From its Sunday: a week is whole only where all its days are covered.
    return midnight_ms(sunday_of(first), instrument.zone) if first else 0


def missing_ranges(
    wanted: Range, settled_until_ms: int, covered: Iterable[Range], again: Iterable[Range] = ()
) -> list[Range]:
    """What of *wanted* has settled and is not *covered*, and what of *again* has settled, covered or not.

    All ends must lie on the grid of the timeframe, so that the vendor, who counts windows from where a
    request starts, answers on that grid. (gap-model §3.8)
    """
    return union(
        [
            *subtract(clip([wanted], wanted[0], settled_until_ms), covered),
            *clip(again, 0, settled_until_ms),
        ]
    )


def windows(
    missing: Sequence[Range],
    timeframe: Timeframe,
    instrument: Instrument,
    sessions: SessionTable,
    seen: float | None = None,
) -> list[Window]:
    """The fewest windows that hold *missing*, none over ``WINDOW_BASE_BARS`` base bars.

    Greedy from the left: a window opens at the first missing instant and takes in every following missing
    range while it fits whole; asking a little of what is covered again is cheaper than another request. Where
    it takes fewer windows they are filled to the last session, with a part of a range. Ranges too long for one
    window are split where a session ends. What holds no session's hours is not asked at all: it becomes part
    of the window that reaches the next session. (gap-model §3.10)

    *seen*: minute bars that a session of this name was seen to have on average.
    """
    if not missing:
        return []
    counter = _BaseBars(timeframe, instrument, sessions, seen)
    plans = [
        [Window(timeframe, *span, bars) for span in spans if (bars := counter.count(*span))]
        for spans in (_of_whole_ranges(missing, counter), _filled(missing, counter))
    ]
    return min(plans, key=len)  # the first of equals: it asks less of what is covered


def _of_whole_ranges(missing: Sequence[Range], counter: "_BaseBars") -> list[Range]:
    out: list[Range] = []
    for start, end in (piece for r in missing for piece in counter.split(r)):
        if out and counter.count(out[-1][0], end) <= WINDOW_BASE_BARS:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def _filled(missing: Sequence[Range], counter: "_BaseBars") -> list[Range]:
    """No cover takes fewer windows: each reaches as far as it can before the next opens."""
    out: list[Range] = []
    for start, end in missing:
        while start < end:
            if not out or counter.furthest(out[-1][0]) <= start:
                out.append((start, start))
            opened = out[-1][0]
            start = min(end, counter.furthest(opened))
            out[-1] = (opened, start)
    return out


def marked(
    asked: Sequence[Window], missing: Sequence[Range], before: Sequence[Range], sessions: SessionTable
) -> list[Window]:
    """*asked*, with a mark on each window of which all hours that are *missing* were answered *before*."""

    def again(window: Window) -> bool:
        new = subtract(clip(missing, window.start_ms, window.end_ms), before)
        return not any(_holds_hours(r, window.timeframe, sessions) for r in new)

    return [replace(window, again=again(window)) for window in asked] if before else list(asked)


def _holds_hours(span: Range, timeframe: Timeframe, sessions: SessionTable) -> bool:
    """Whether bars may start in *span*."""
    if timeframe.base is Timeframe.D1:
        first, past = np.searchsorted(midnights(sessions.days, sessions.zone), span)
    else:
        first = np.searchsorted(sessions.extended_close_ms, span[0], side="right")
        past = np.searchsorted(sessions.extended_open_ms, span[1])
    return bool(first < past)


class _BaseBars:
    """Estimates the base bars of a range of one series: at most what a liquid name has."""

    def __init__(
        self,
        timeframe: Timeframe,
        instrument: Instrument,
        sessions: SessionTable,
        seen: float | None = None,
    ) -> None:
        self._zone = instrument.zone
        self._timeframe = timeframe
        if timeframe.base is Timeframe.D1:
            self._starts = midnights(sessions.days, self._zone)
            self._ends = midnights(sessions.days + 1, self._zone)
            self._each = np.ones(len(sessions.days), np.int64)
        else:
            # To the end of the 4h window, which in winter reaches beyond the session: its minutes are needed.
            self._starts, self._ends = sessions.extended_open_ms, unit_ends_ms(sessions, Timeframe.H4)
            self._each = (sessions.extended_close_ms - sessions.extended_open_ms) // Timeframe.M1.step_ms
            if seen is not None:
                self._each = np.minimum(self._each, max(1, ceil(SEEN_MARGIN * seen)))
        self._total = np.r_[0, np.cumsum(self._each)]

    def count(self, start_ms: int, end_ms: int) -> int:
        first = int(np.searchsorted(self._ends, start_ms, side="right"))
        last = int(np.searchsorted(self._starts, end_ms, side="left"))
        return int(self._total[max(first, last)] - self._total[first])

    def split(self, piece: Range) -> list[Range]:
        """*piece* cut at local midnights into parts of at most ``WINDOW_BASE_BARS``."""
        start, end = piece
        out: list[Range] = []
        while start < end:
            cut = min(end, self.furthest(start))
            out.append((start, cut))
            start = cut
        return out

    def furthest(self, start_ms: int) -> int:
        """The latest local midnight at which a window opened at *start_ms* is still small enough."""
        first = int(np.searchsorted(self._ends, start_ms, side="right"))
        fits = int(np.searchsorted(self._total, self._total[first] + WINDOW_BASE_BARS, side="right")) - 1
        if fits >= len(self._starts):
            return 2**62
        day = local_days(self._starts[fits : fits + 1], self._zone)
        return ceil_to_window(int(midnights(day, self._zone)[0]), self._timeframe, self._zone)


def halves(
    window: Window, instrument: Instrument, sessions: SessionTable, at_ms: int = 0
) -> tuple[Window, Window] | None:
    """*window* cut at a local midnight into an older and a newer part; None if it holds a single session.

    The cut is at *at_ms* if that lies inside, else in the middle.
    """
    starts = midnights(sessions.days, instrument.zone)
    inside = starts[(starts > window.start_ms) & (starts < window.end_ms)]
    if not len(inside):
        return None
    middle = int(inside[len(inside) // 2])
    cut = at_ms if window.start_ms < at_ms < window.end_ms else middle
    cut = ceil_to_window(cut, window.timeframe, instrument.zone)
    if not window.start_ms < cut < window.end_ms:
        return None
    counter = _BaseBars(window.timeframe, instrument, sessions)
    older, newer = (window.start_ms, cut), (cut, window.end_ms)
    return (
        Window(window.timeframe, *older, counter.count(*older), window.again),
        Window(window.timeframe, *newer, counter.count(*newer), window.again),
    )
