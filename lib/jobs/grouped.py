"""Day bars of many symbols by few requests: the dates for which the whole market is asked at once.

It goes before the symbols' own runs and only fills the ledger: what it covers they no longer ask, and what it
could not bring (a date not published yet, a failure, a doubtful bar) they ask for themselves.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.bars import Bars
from lib.concurrency import run_bounded
from lib.cover import dates_worth_grouping
from lib.coverage import Range, clip
from lib.errors import BudgetSpent, KeyRefused, VendorError
from lib.estimate import Purpose
from lib.jobs.ohlcv import Lacks, Wanted
from lib.sessions import SessionTable
from lib.store.answers import Answer
from lib.store.bars import Written
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from lib.vendor.grouped import GroupedDay
from lib.wiring import Toolkit
from lib.zones import day_of, midnights

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lack:
    """What one symbol lacks of its day bars: ranges, and the sessions in them (days since 1970-01-01)."""

    instrument: Instrument
    wanted: Wanted
    ranges: list[Range]
    days: frozenset[int]


@dataclass(slots=True)
class GroupedPlan:
    """The dates to ask for whole markets, and for whom."""

    asset_class: AssetClass
    days: list[int]
    lacks: list[Lack] = field(default_factory=list)


def plan_grouped(
    toolkit: Toolkit, scopes: Sequence[tuple[Instrument, Wanted]], known: Lacks
) -> list[GroupedPlan]:
    """For stocks with ETFs, and for coins: which dates are cheaper asked for all symbols at once.

    *known*: what lacks of each series.
    """
    lacks: dict[AssetClass, list[Lack]] = {}
    for instrument, wanted in scopes:
        market = AssetClass.CRYPTO if instrument.asset_class is AssetClass.CRYPTO else AssetClass.STOCK
        lack = known.get((instrument.symbol, Timeframe.D1))
        if lack is None:
            continue
        days = _sessions_in(lack.ranges, toolkit.sessions[instrument.calendar])
        lacks.setdefault(market, []).append(Lack(instrument, wanted, lack.ranges, days))
    plans = []
    for market, members in lacks.items():
        chosen = dates_worth_grouping({lack.instrument.symbol: lack.days for lack in members})
        if chosen:
            served = [lack for lack in members if lack.days & chosen]
            plans.append(GroupedPlan(market, sorted(chosen), served))
    return plans


def _sessions_in(ranges: Sequence[Range], sessions: SessionTable) -> frozenset[int]:
    starts = midnights(sessions.days, sessions.zone)
    inside = [sessions.days[np.searchsorted(starts, a) : np.searchsorted(starts, b)] for a, b in ranges]
    return frozenset(int(day) for days in inside for day in days)


Stored = dict[str, dict[Timeframe, Written]]


async def fetch_grouped(toolkit: Toolkit, plan: GroupedPlan) -> Stored:
    """Ask for the dates of *plan* and store what they hold of every symbol that lacks them.

    What was written, by symbol and timeframe.
    """
    tickers = {lack.instrument.vendor_ticker for lack in plan.lacks}
    answers: dict[int, GroupedDay] = {}

    async def ask(day: int) -> None:
        try:
            async with toolkit.in_flight:
                with toolkit.api_busy.task(), toolkit.sent.request(Purpose.MARKET_DAYS) as sent:
                    answer = await toolkit.vendor.grouped_day(plan.asset_class, day_of(day), tickers)
                    sent.pages += 1
        except KeyRefused:
            raise
        except BudgetSpent:
            return
        except VendorError as error:
            log.info("the market's day %s is asked symbol by symbol instead: %s", day_of(day), error)
            return
        if answer.vendor_now:
            toolkit.lag.observe(toolkit.clock.now(), answer.vendor_now)
        if answer.ready:
            answers[day] = answer

    await run_bounded(plan.days, ask, limit=toolkit.windows_at_once)

    stored: Stored = {}

    async def store(lack: Lack) -> None:
        counts = stored.setdefault(lack.instrument.symbol, {})
        sessions = toolkit.sessions[lack.instrument.calendar]
        for answer in _answers_for(toolkit, lack, answers):
            written = await toolkit.store.write_answer(answer, sessions, derive=lack.wanted.derive)
            for timeframe, count in written.items():
                counts.setdefault(timeframe, Written()).add(count)

    await run_bounded(plan.lacks, store, limit=toolkit.windows_at_once)
    return stored


def spans_given(toolkit: Toolkit, plan: GroupedPlan) -> dict[str, list[Range]]:
    """What the dates of *plan* will cover of each symbol's day bars, if they all come."""
    days = frozenset(plan.days)
    return {
        lack.instrument.symbol: [
            span for _, span in _runs(lack.ranges, days, toolkit.sessions[lack.instrument.calendar])
        ]
        for lack in plan.lacks
    }


def _answers_for(toolkit: Toolkit, lack: Lack, answers: Mapping[int, GroupedDay]) -> list[Answer]:
    """What the market's days say of one symbol, a run of neighbouring sessions in one answer."""
    sessions = toolkit.sessions[lack.instrument.calendar]
    now, ticker = toolkit.now(), lack.instrument.vendor_ticker
    settled = sessions.settled_until_ms(Timeframe.D1, now, toolkit.delay(lack.instrument))
    ranges = clip(lack.ranges, 0, settled)
    known = frozenset(day for day, answer in answers.items() if ticker not in answer.doubtful)
    out = []
    for days, span in _runs(ranges, known, sessions):
        bars = Bars.concat([answers[d].bars[ticker] for d in days if ticker in answers[d].bars])
        out.append(Answer(lack.instrument, Timeframe.D1, *span, bars, (), now))
    return out


def _runs(
    ranges: Sequence[Range], known: frozenset[int], sessions: SessionTable
) -> list[tuple[list[int], Range]]:
    """Neighbouring *known* sessions in *ranges* and what they cover, the closed days after them included."""
    starts = midnights(sessions.days, sessions.zone)
    runs: list[tuple[list[int], Range]] = []
    for start, end in ranges:
        first, last = (int(i) for i in np.searchsorted(starts, (start, end)))
        for index in range(first, last):
            day = int(sessions.days[index])
            if day not in known:
                continue
            begins = start if index == first else int(starts[index])
            ends = int(starts[index + 1]) if index + 1 < last else end
            if runs and runs[-1][1][1] == begins:
                runs[-1] = ([*runs[-1][0], day], (runs[-1][1][0], ends))
            else:
                runs.append(([day], (begins, ends)))
    return runs
