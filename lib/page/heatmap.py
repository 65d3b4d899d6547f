"""The calendar of one symbol: a cell a session, a column a week (from Sunday), a block half a year.

A cell is coloured and marked by the worst of its timeframes. The cells of a run of equal sessions are one SVG
path, filled with a pattern that draws cell by cell: a complete year costs a line, not 250 elements.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from lib.gaps import State, Stretch
from lib.page.markup import Markup, joined, tag
from lib.page.words import WORDS, WORST_FIRST, Shown, dates, listed, many
from lib.timeframe import Timeframe
from lib.zones import sunday_of

PITCH = 10  # pixels from cell to cell; the patterns of marks.svg are as large
LEFT, TOP = 22, 15  # pixels for the names of the weekdays and of the months
MANY_RUNS = 60  # more of them are drawn by state, without their dates: such a page must stay light
MONTH_COLUMNS = 3  # the least room for the name of a month

WEEKDAYS = ("S", "M", "T", "W", "T", "F", "S")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Run:
    """Sessions [first, past) by index of which each timeframe is in one state."""

    first: int
    past: int
    states: tuple[State | None, ...]

    @property
    def worst(self) -> State | None:
        return next((state for state in WORST_FIRST if state in self.states), None)


def runs(shown: Shown) -> list[Run]:
    """The sessions of a symbol as runs of equal ones, oldest first."""
    columns = [_by_session(shown.sessions, stretches) for stretches in shown.series.values()]
    found, first = [], 0
    for states, group in groupby(zip(*columns, strict=True)):
        past = first + sum(1 for _ in group)
        found.append(Run(first, past, states))
        first = past
    return found


def _by_session(sessions: Sequence[date], stretches: Iterable[Stretch]) -> list[State | None]:
    out: list[State | None] = [None] * len(sessions)
    for stretch in stretches:
        first, past = bisect_left(sessions, stretch.start), bisect_left(sessions, stretch.end)
        out[first:past] = [stretch.state] * (past - first)
    return out


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the calendar: sessions [first, past) by index, in columns from the Sunday *origin*."""

    first: int
    past: int
    origin: date
    columns: int
    seven_days: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its cells, in pixels."""
        return self.columns * PITCH, (7 if self.seven_days else 5) * PITCH

    def place(self, day: date) -> tuple[int, int]:
        """The column and row of a date."""
        column, weekday = divmod((day - self.origin).days, 7)
        return column, weekday if self.seven_days else weekday - 1


def blocks(sessions: Sequence[date]) -> list[Block]:
    """Half a year each; a session on any Saturday or Sunday makes all of them seven rows high."""
    seven_days = any(day.weekday() >= 5 for day in sessions)
    found = []
    for _, group in groupby(enumerate(sessions), key=lambda at: (at[1].year, at[1].month > 6)):
        days = list(group)
        origin = sunday_of(days[0][1])
        columns = (days[-1][1] - origin).days // 7 + 1
        found.append(Block(days[0][0], days[-1][0] + 1, origin, columns, seven_days))
    return found


class Axes:
    """The names of weekdays and months around the blocks: each drawn once, used by every symbol alike."""

    def __init__(self) -> None:
        self._ids: dict[Markup, str] = {}

    def use(self, block: Block, sessions: Sequence[date]) -> Markup:
        drawn = joined(*_weekdays(block), *_months(block, sessions))
        return tag("use", href="#" + self._ids.setdefault(drawn, f"x{len(self._ids)}"))

    def definitions(self) -> Markup:
        """All that were used; to stand once in the page."""
        return joined(*(tag("g", drawn, id=name) for drawn, name in self._ids.items()))


def _weekdays(block: Block) -> Iterator[Markup]:
    for weekday in (1, 3, 5):
        row = weekday if block.seven_days else weekday - 1
        yield tag("text", WEEKDAYS[weekday], x=-LEFT, y=row * PITCH + 7)


def _months(block: Block, sessions: Sequence[date]) -> Iterator[Markup]:
    """The year, in the corner, and the months that have room for their names."""
    yield tag("text", f"’{sessions[block.first]:%y}", x=-LEFT, y=-5, class_="year")
    firsts = {d.month: d for d in reversed(sessions[block.first : block.past])}
    starts = [(block.place(day)[0], day) for day in sorted(firsts.values())]
    ends = [column for column, _ in starts[1:]] + [block.columns]
    for (column, day), end in zip(starts, ends, strict=True):
        if end - column >= MONTH_COLUMNS:
            yield tag("text", MONTHS[day.month - 1], x=column * PITCH, y=-5)


def calendar(shown: Shown, axes: Axes) -> Markup:
    """The blocks of a symbol, side by side."""
    found = runs(shown)
    drawn = joined(*(_block(block, shown, found, axes) for block in blocks(shown.sessions)))
    return tag("div", drawn, class_="calendar")


def _block(block: Block, shown: Shown, found: Sequence[Run], axes: Axes) -> Markup:
    width, height = block.size
    parts = [
        Run(max(run.first, block.first), min(run.past, block.past), run.states)
        for run in found
        if run.first < block.past and run.past > block.first
    ]
    draw = _by_run if len(found) <= MANY_RUNS else _by_state
    return tag(
        "svg",
        axes.use(block, shown.sessions),
        *draw(block, shown, parts),
        width=LEFT + width,
        height=TOP + height,
        viewBox=f"{-LEFT} {-TOP} {LEFT + width} {TOP + height}",
        role="img",
        aria_label=_summary(block, shown, parts),
    )


def _by_run(block: Block, shown: Shown, parts: Sequence[Run]) -> Iterator[Markup]:
    for run in parts:
        if run.worst is not None:
            days = shown.sessions[run.first : run.past]
            when = dates(days[0], days[-1] + timedelta(days=1))
            title = f"{when} ({many(len(days), 'session')}): {_told(run.states, tuple(shown.series))}"
            yield _path(block, days, run.worst, title)


def _by_state(block: Block, shown: Shown, parts: Sequence[Run]) -> Iterator[Markup]:
    for state in WORST_FIRST:
        days = [day for run in parts if run.worst is state for day in shown.sessions[run.first : run.past]]
        if days:
            yield _path(block, days, state, f"{WORDS[state]}: {many(len(days), 'session')}")


def _told(states: Sequence[State | None], timeframes: Sequence[Timeframe]) -> str:
    """Which timeframes are in which state, worst first."""
    by_state = {
        state: [tf for tf, other in zip(timeframes, states, strict=True) if other is state]
        for state in WORST_FIRST
        if state in states
    }
    if len(by_state) == 1:
        return WORDS[next(iter(by_state))]
    return "; ".join(f"{WORDS[state]}: {listed(of)}" for state, of in by_state.items())


def _summary(block: Block, shown: Shown, parts: Sequence[Run]) -> str:
    days = shown.sessions[block.first : block.past]
    counts = {
        state: sum(run.past - run.first for run in parts if run.worst is state) for state in WORST_FIRST
    }
    told = ", ".join(f"{number} {WORDS[state]}" for state, number in counts.items() if number)
    return f"{shown.symbol}, {dates(days[0], days[-1] + timedelta(days=1))}: {told}"


def _path(block: Block, days: Sequence[date], state: State, title: str) -> Markup:
    drawn = "".join(
        f"M{x * PITCH} {y * PITCH}h{w * PITCH}v{h * PITCH}h-{w * PITCH}z"
        for x, y, w, h in _areas(block, days)
    )
    return tag("path", tag("title", title), class_=state, d=drawn)


def _areas(block: Block, days: Iterable[date]) -> list[tuple[int, int, int, int]]:
    """The cells of *days* (ascending) as few rectangles: column, row, columns, rows."""
    columns: list[tuple[int, int, int, int]] = []
    for column, row in (block.place(day) for day in days):
        if columns and columns[-1][0] == column and columns[-1][1] + columns[-1][3] == row:
            x, y, w, h = columns.pop()
            columns.append((x, y, w, h + 1))
        else:
            columns.append((column, row, 1, 1))
    areas: list[tuple[int, int, int, int]] = []
    for x, y, w, h in columns:
        if areas and areas[-1][1::2] == (y, h) and areas[-1][0] + areas[-1][2] == x:
            areas[-1] = (areas[-1][0], y, areas[-1][2] + w, h)
        else:
            areas.append((x, y, w, h))
    return areas
