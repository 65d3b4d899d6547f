"""What a night costs: the features of one new session, on a history that grows."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from benchmarks.detect import scratch_toolkit, write_history
from benchmarks.processes import MeasurementFailed
from benchmarks.report import Finding, Listing, at_most, seconds, shown
from lib.audit.features import SymbolFeatures
from lib.concurrency import run_bounded
from lib.jobs.features import FeatureRequest, carry_out_features, new_feature_report
from lib.outcome import RunStatus
from lib.plan import DateRange
from lib.store.database import Database
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import FeatureTools, Toolkit, feature_tools

# A Monday. One, two and four years of 52 weeks later begin weeks of five sessions, too, and no clock is changed.
FIRST = date(2020, 11, 2)
NIGHTS = 5
WEEKS = 52  # of a year
WRITERS = 2


class Silent:
    """For a run that nobody watches."""

    def planned(self, series: int) -> None: ...
    def page_done(self, rows: int) -> None: ...
    def series_done(self) -> None: ...
    def symbol_done(self, outcome: SymbolFeatures) -> None: ...


async def carry_out(
    tools: FeatureTools, names: Sequence[str] | None, timeframes: tuple[Timeframe, ...] | None = None
) -> int:
    """A run as the command makes it; the rows computed."""
    report = new_feature_report(tools.settings, FeatureRequest(timeframes), tools.clock)
    await carry_out_features(tools, names, report, Silent(), {})
    if report.status is not RunStatus.COMPLETE:
        raise MeasurementFailed(f"the run of features ended as {report.status}: {report.error}")
    return sum(series.computed for outcome in report.outcomes for series in outcome.series)


@dataclass(frozen=True, slots=True)
class Stage:
    """What was measured on a history of so many *weeks*; seconds of computing it, and of each night."""

    weeks: int
    bars: int
    computing: float
    nights: list[float]
    night_rows: int

    @property
    def night(self) -> float:
        return statistics.median(self.nights)


@dataclass(slots=True)
class _History:
    """The bars of some instruments, which grow; those before *next_day* are there."""

    toolkit: Toolkit
    tools: FeatureTools
    database: Database
    instruments: Sequence[Instrument]
    next_day: date = FIRST

    async def grow(self, past: date) -> None:
        """Add the days until *past*, as a backfill leaves them."""
        dates = DateRange(self.next_day, past - timedelta(days=1))
        write = partial(self._write, dates)
        await run_bounded(list(enumerate(self.instruments)), write, limit=WRITERS)
        self.next_day = past

    async def _write(self, dates: DateRange, numbered: tuple[int, Instrument]) -> None:
        number, instrument = numbered
        await write_history(self.toolkit, instrument, dates, seed=dates.start.toordinal() + number)

    async def compute(self) -> tuple[float, int]:
        """Bring the features up to date: seconds and rows."""
        rows = 0

        async def run() -> None:
            nonlocal rows
            rows = await carry_out(self.tools, [i.symbol for i in self.instruments])

        return await seconds(run), rows

    async def execute(self, *statements: str) -> None:
        async with self.database.connection() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def bars(self) -> int:
        async with self.database.connection() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM market_data"))


async def _stage(history: _History, weeks: int, *, anew: bool) -> Stage:
    """Grow to so many weeks, compute (*anew*: all of it), then the nights of a week."""
    await history.grow(FIRST + timedelta(weeks=weeks))
    if anew:
        await history.execute("TRUNCATE market_data_v2, feature_state")
    await history.execute("VACUUM ANALYZE", "CHECKPOINT")
    computing, _ = await history.compute()
    await history.execute("VACUUM ANALYZE", "CHECKPOINT")
    bars, taken = await history.bars(), []
    for _ in range(NIGHTS):
        await history.grow(history.next_day + timedelta(days=1))
        taken.append(await history.compute())
    middle = [rows for _, rows in taken]
    return Stage(weeks, bars, computing, [spent for spent, _ in taken], int(statistics.median(middle)))


async def nights(names: Sequence[str] | None, years: int, database_url: str | None) -> list[Finding]:
    """A night after a quarter, a half and all of *years*, against computing the half, and against one another."""
    async with scratch_toolkit(database_url) as (toolkit, database):
        tools = await feature_tools(toolkit.settings, toolkit.clock, database)
        history = _History(toolkit, tools, database, await toolkit.store.instruments(names))
        short = await _stage(history, years * WEEKS // 4, anew=True)
        half = await _stage(history, years * WEEKS // 2, anew=True)
        long = await _stage(history, years * WEEKS, anew=False)
        idle, _ = await history.compute()
    ratio = half.night / half.computing
    name = f"a night / computing all ({half.weeks} weeks)"
    return [
        _listing((short, half, long)),
        shown(f"computing all features of {half.weeks} weeks", half.bars / half.computing, "rows/s"),
        # A shorter history is less to compute, while a night remains what it is.
        at_most(name, ratio, 0.02) if half.weeks >= 2 * WEEKS else shown(name, ratio),
        at_most(f"a night after {long.weeks} weeks / after {short.weeks}", long.night / short.night, 1.2),
        shown("a run with nothing new", idle * 1000, "ms"),
    ]


def _listing(stages: Sequence[Stage]) -> Listing:
    head = ("history", "bars", "rows of a night", "a night, s", "longest, s")
    rows = [(f"{s.weeks} weeks", s.bars, s.night_rows, s.night, max(s.nights)) for s in stages]
    return Listing("one new session", head, tuple(rows))
