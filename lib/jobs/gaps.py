"""What is missing after a backfill: found by SQL, asked for again in rounds, found anew after each.

The way: stretches of every series -> gaps -> what to ask or roll up again -> the core fetch -> stretches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TypeVar

from lib.audit import Gap, Retry
from lib.concurrency import run_bounded
from lib.coverage import Answered, Range
from lib.gaps import Matrix, State, Stretch, cell_of, gaps_of
from lib.jobs.ohlcv import Progress, Wanted, backfill_symbol
from lib.outcome import SymbolOutcome
from lib.plan import DateRange
from lib.store.bars import Series
from lib.store.gaps import Question, Seen, gap_row
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.verification import SAME_ANSWER_AFTER
from lib.wiring import Toolkit
from lib.zones import midnight_ms

DETECTORS = 2  # connections that look for gaps at a time
FIRST_WAIT_SECONDS = 2.0

R = TypeVar("R")

Found = dict[str, dict[Timeframe, list[Stretch]]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at: an instrument and what is wanted of it."""

    instrument: Instrument
    wanted: Wanted


@dataclass(slots=True)
class GapReport:
    """What was found before the retries, is true after them, and the rounds that asked for it."""

    before: Found = field(default_factory=dict)
    after: Found = field(default_factory=dict)
    rounds: dict[tuple[str, Timeframe], int] = field(default_factory=dict)
    reasons: dict[tuple[str, Timeframe], str] = field(default_factory=dict)

    @property
    def remaining(self) -> int:
        """Gaps that remain, all series together."""
        return sum(len(gaps_of(s)) for series in self.after.values() for s in series.values())

    @property
    def matrix(self) -> Matrix:
        """The cells that are true after the retries, by symbol and timeframe."""
        return {
            symbol: {timeframe: cell_of(stretches) for timeframe, stretches in series.items()}
            for symbol, series in self.after.items()
        }

    @property
    def detected(self) -> dict[str, dict[str, list[Gap]]]:
        """What was found before the retries, for the audit."""
        return self._by_series(self.before, lambda _symbol, _timeframe, gap: gap_row(gap))

    @property
    def results(self) -> dict[str, dict[str, list[Retry]]]:
        """What became of it, for the audit."""
        return self._by_series(self.before, self._result)

    def _result(self, symbol: str, timeframe: Timeframe, gap: Stretch) -> Retry:
        left = gaps_of(self.after[symbol][timeframe])
        filled = not any(other.start < gap.end and gap.start < other.end for other in left)
        return {
            "start": gap.start.isoformat(),
            "end": gap.end.isoformat(),
            "attempts": self.rounds.get((symbol, timeframe), 0),
            "filled": filled,
            "reason": None if filled else self.reasons.get((symbol, timeframe)),
        }

    @staticmethod
    def _by_series(
        found: Found, row: Callable[[str, Timeframe, Stretch], R]
    ) -> dict[str, dict[str, list[R]]]:
        """A row for every gap; series and symbols without one are left out."""
        out = {
            symbol: {
                str(tf): [row(symbol, tf, gap) for gap in gaps_of(s)]
                for tf, s in series.items()
                if gaps_of(s)
            }
            for symbol, series in found.items()
        }
        return {symbol: series for symbol, series in out.items() if series}


async def detect(toolkit: Toolkit, scopes: Sequence[Scope], *, counted: bool = True) -> Found:
    """The state of every unit of all *scopes*, by symbol and timeframe.

    One query for all symbols that share calendar, dates and timeframe.
    """
    found: Found = {scope.instrument.symbol: {} for scope in scopes}

    async def ask(group: tuple[tuple[Timeframe, DateRange, bool], list[Instrument]]) -> None:
        (timeframe, dates, derive), instruments = group
        answer = await _ask(toolkit, instruments, timeframe, dates, derive=derive, counted=counted)
        for symbol, stretches in answer.items():
            found[symbol][timeframe] = stretches

    await run_bounded(_grouped(scopes), ask, limit=DETECTORS)
    return {s: {tf: series[tf] for tf in Timeframe if tf in series} for s, series in found.items()}


async def _ask(
    toolkit: Toolkit,
    instruments: Sequence[Instrument],
    timeframe: Timeframe,
    dates: DateRange,
    *,
    derive: bool = True,
    counted: bool = True,
) -> dict[str, list[Stretch]]:
    """The stretches of *dates* by symbol; the instruments share their calendar."""
    first, past = instruments[0], dates.end + timedelta(days=1)
    question = Question(timeframe, dates.start, past, toolkit.now(), toolkit.delay(first), derive, counted)
    names = [i.symbol for i in instruments]
    return await toolkit.store.find_stretches(first.calendar, first.zone, names, question)


def _grouped(scopes: Sequence[Scope]) -> list[tuple[tuple[Timeframe, DateRange, bool], list[Instrument]]]:
    groups: dict[tuple[str, str, Timeframe, DateRange, bool], list[Instrument]] = {}
    for scope in scopes:
        for timeframe in scope.wanted.timeframes:
            # Coins and stocks may be sold under different plans: the delay differs by asset class.
            key = (
                scope.instrument.calendar,
                scope.instrument.zone,
                timeframe,
                scope.wanted.dates,
                scope.wanted.derive,
            )
            groups.setdefault(key, []).append(scope.instrument)
    return [
        ((timeframe, dates, derive), members) for (_, _, timeframe, dates, derive), members in groups.items()
    ]


async def look(
    toolkit: Toolkit,
    scopes: Sequence[Scope],
    outcomes: Mapping[str, SymbolOutcome],
    report: GapReport,
    *,
    counted: bool = True,
) -> None:
    """Find the gaps of *scopes* and note them in the ledger; sends nothing.

    Bars that are not *counted* may be gone unseen: then the ledger, which knows more, is left alone.
    """
    report.before = report.after = await detect(toolkit, scopes, counted=counted)
    _explain(report, outcomes)
    if counted:
        await _record(toolkit, scopes, report, None)


async def fill(
    toolkit: Toolkit,
    scopes: Sequence[Scope],
    outcomes: Mapping[str, SymbolOutcome],
    report: GapReport,
    progress: Progress,
    *,
    rounds: int,
    concurrent: int,
    run_id: str | None,
) -> None:
    """Find the gaps of *scopes*, ask for them in up to *rounds* rounds, note in the ledger what came of it.

    A round waits 2 s, 4 s, ... first. What the vendor had nothing of is not asked again within half an hour.
    """
    report.before = report.after = await detect(toolkit, scopes)
    await _record(toolkit, scopes, report, run_id)
    for number in range(rounds):
        work = [w for scope in scopes if (w := await _work(toolkit, scope, report.after))]
        if not work or toolkit.budget_spent:
            break
        await toolkit.clock.sleep(FIRST_WAIT_SECONDS * 2.0**number)

        async def again(scope: Scope) -> None:
            outcome = outcomes[scope.instrument.symbol]
            await backfill_symbol(toolkit, scope.instrument, scope.wanted, outcome, _Again(progress))

        await run_bounded(work, again, limit=concurrent)
        _count_round(report, work)
        report.after = await detect(toolkit, scopes)
    _explain(report, outcomes)
    await _record(toolkit, scopes, report, run_id)


class _Again:
    """The progress of a symbol's further round: it has been reported done already."""

    def __init__(self, progress: Progress) -> None:
        self.planned = progress.planned
        self.page_stored = progress.page_stored
        self.window_done = progress.window_done

    def symbol_done(self, outcome: SymbolOutcome) -> None:
        pass


def _count_round(report: GapReport, work: Sequence[Scope]) -> None:
    for scope in work:
        symbol = scope.instrument.symbol
        for timeframe, stretches in report.after[symbol].items():
            if gaps_of(stretches):
                report.rounds[symbol, timeframe] = report.rounds.get((symbol, timeframe), 0) + 1


async def _work(toolkit: Toolkit, scope: Scope, found: Found) -> Scope | None:
    """What a round can do for the gaps of one symbol; None if nothing."""
    again: dict[Timeframe, list[Range]] = {}
    rederive: dict[Timeframe, list[Range]] = {}
    missing = False
    for timeframe, stretches in found[scope.instrument.symbol].items():
        fetched = timeframe.base if scope.wanted.derive else timeframe
        for gap in gaps_of(stretches):
            span = _instants(scope.instrument, gap)
            if gap.state is State.MISSING:
                missing = True
            elif gap.state is State.VENDOR_HOLE:
                if await _may_ask_again(toolkit, scope.instrument, fetched, span):
                    again.setdefault(fetched, []).append(span)
            elif timeframe is not fetched:
                again.setdefault(fetched, []).extend(await _lost_of(toolkit, scope, fetched, gap))
                rederive.setdefault(fetched, []).append(span)
            else:
                again.setdefault(fetched, []).append(span)
                if gap.state is State.CONTRADICTION:
                    again.setdefault(timeframe.base, []).append(span)
    if not (missing or any(again.values()) or rederive):
        return None
    return Scope(
        scope.instrument, replace(scope.wanted, again=again, rederive=rederive, recheck=False, gap_round=True)
    )


async def _lost_of(toolkit: Toolkit, scope: Scope, base: Timeframe, gap: Stretch) -> list[Range]:
    """What of the bars that *gap* is built from is lost too: a week reaches beyond the dates asked for."""
    found = await _ask(toolkit, [scope.instrument], base, DateRange(gap.start, gap.end - timedelta(days=1)))
    return [_instants(scope.instrument, s) for s in found[scope.instrument.symbol] if s.state is State.LOST]


def _instants(instrument: Instrument, gap: Stretch) -> Range:
    return midnight_ms(gap.start, instrument.zone), midnight_ms(gap.end, instrument.zone)


async def _may_ask_again(toolkit: Toolkit, instrument: Instrument, timeframe: Timeframe, span: Range) -> bool:
    """Whether the empty answers in *span* are old enough that another one would say something new."""
    [rows] = await toolkit.store.read_ledgers([(Series(instrument.symbol, timeframe), span)])
    asked = [
        r.fetched_at
        for r in rows
        if r.outcome is Answered.EMPTY and r.end_ms > span[0] and r.start_ms < span[1]
    ]
    return all(toolkit.clock.now() - at >= SAME_ANSWER_AFTER for at in asked)


_REASONS = {
    State.VENDOR_HOLE: "the vendor has no bars of it, though its other series shows that there were trades",
    State.LOST: "fewer bars are stored than were fetched",
    State.CONTRADICTION: "it contradicts the bars it is built from",
    State.SUSPECT: "bars of another program, with more of them absent than chance explains",
    State.MISSING: "not answered yet",
}


def _explain(report: GapReport, outcomes: Mapping[str, SymbolOutcome]) -> None:
    """Why the gaps that remain remain: the failure that was met, else what the state says."""
    for symbol, series in report.after.items():
        errors = {s.timeframe: s.error or s.refusals for s in outcomes[symbol].series}
        for timeframe, stretches in series.items():
            for gap in gaps_of(stretches)[:1]:
                own = errors.get(timeframe) if gap.state is State.MISSING else None
                report.reasons[symbol, timeframe] = own or outcomes[symbol].error or _REASONS[gap.state]


async def _record(toolkit: Toolkit, scopes: Sequence[Scope], report: GapReport, run_id: str | None) -> None:
    """Bring the ledger of gaps to what is true now."""
    now = toolkit.clock.now()

    of_symbol = {scope.instrument.symbol: scope for scope in scopes}

    async def note(series: Series) -> None:
        key, stretches = (series.symbol, series.timeframe), report.after[series.symbol][series.timeframe]
        seen = Seen(run_id, report.rounds.get(key, 0), report.reasons.get(key))
        scanned = _scanned(of_symbol[series.symbol], stretches)
        await toolkit.store.record_gaps(*key, stretches, scanned, now, seen)

    await run_bounded(await toolkit.store.series_to_note(report.after), note, limit=DETECTORS)


def _scanned(scope: Scope, stretches: Sequence[Stretch]) -> tuple[date, date]:
    """The dates that were looked at: those asked for, and whole weeks where weeks reach beyond them."""
    dates = scope.wanted.dates
    starts, ends = [s.start for s in stretches], [s.end for s in stretches]
    return min([dates.start, *starts]), max([dates.end + timedelta(days=1), *ends])
