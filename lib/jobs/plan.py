"""What a run would ask, before it asks: the plan as data, from the functions that the run itself goes by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.audit import PlanAndFact
from lib.estimate import (
    MARKET_COINS,
    MARKET_STOCKS,
    Load,
    Loads,
    Purpose,
    Skipped,
    load_of,
    purpose_of,
    rows_of,
    skipped,
)
from lib.jobs.actions import plan_actions
from lib.jobs.grouped import GroupedPlan, plan_grouped, spans_given
from lib.jobs.ohlcv import SeriesPlan, Wanted, find_lacking, plan_symbol, standing
from lib.plan import kept_range, listed_from_ms, wanted_range
from lib.symbols import AssetClass, Instrument, is_coin_ticker
from lib.timeframe import Timeframe
from lib.wiring import Toolkit

Scopes = Sequence[tuple[Instrument, Wanted]]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would ask: of each symbol, of whole markets, and the look-ups of those not tracked.

    *actions*: requests for splits and dividends. *look_ups*: names that are not tracked.
    """

    scopes: Scopes
    symbols: Mapping[str, Sequence[SeriesPlan]]
    markets: Sequence[GroupedPlan]
    look_ups: Sequence[str] = ()
    actions: int = 0

    @property
    def loads(self) -> Loads:
        """What it comes to, by kind."""
        loads = Loads()
        for instrument, wanted in self.scopes:
            for series in self.symbols[instrument.symbol]:
                for window in series.windows:
                    loads[purpose_of(window)].add(load_of(window, derive=wanted.derive))
        for market in self.markets:
            loads[Purpose.MARKET_DAYS].add(_market_load(market))
        loads[Purpose.LOOK_UPS].add(Load(len(self.look_ups), len(self.look_ups)))
        loads[Purpose.ACTIONS].add(Load(self.actions, self.actions))
        return loads


def _market_load(market: GroupedPlan) -> Load:
    """The answers hold all that is traded; of it the bars that lack are stored."""
    days, coins = len(market.days), market.asset_class is AssetClass.CRYPTO
    chosen = frozenset(market.days)
    rows = sum(
        rows_of(len(one.days & chosen), Timeframe.D1, derive=one.wanted.derive) for one in market.lacks
    )
    return Load(days, days, days * (MARKET_COINS if coins else MARKET_STOCKS), rows)


async def plan_run(
    toolkit: Toolkit, scopes: Scopes, look_ups: Sequence[str] = (), *, actions: bool = False
) -> RunPlan:
    """What a run over *scopes* would ask now; *actions*: also for splits and dividends. Sends nothing.

    Of *look_ups* only that they are looked up, and, unless they are coins, their splits and dividends.
    Raises HorizonExceeded for dates the trading calendar does not know.
    """
    known = await find_lacking(toolkit, scopes)
    markets = plan_grouped(toolkit, scopes, known)
    given = [spans_given(toolkit, market) for market in markets]
    plans = {}
    for instrument, wanted in scopes:
        symbol = instrument.symbol
        spans = [span for market in given for span in market.get(symbol, ())]
        plans[symbol] = await plan_symbol(toolkit, instrument, wanted, {Timeframe.D1: spans}, known)
    shares = [instrument for instrument, _ in scopes]
    shares += [Instrument(name, AssetClass.STOCK, name) for name in look_ups if not is_coin_ticker(name)]
    return RunPlan(scopes, plans, markets, look_ups, await plan_actions(toolkit, shares) if actions else 0)


def skipped_sessions(toolkit: Toolkit, plan: RunPlan) -> dict[Skipped, int]:
    """How many sessions of all fetched series are not asked for, by the reason."""
    out: dict[Skipped, int] = {}
    for instrument, wanted in plan.scopes:
        for series in plan.symbols[instrument.symbol]:
            for reason, count in _skipped(toolkit, instrument, wanted, series).items():
                out[reason] = out.get(reason, 0) + count
    return {reason: out[reason] for reason in Skipped if reason in out}


def _skipped(
    toolkit: Toolkit, instrument: Instrument, wanted: Wanted, series: SeriesPlan
) -> dict[Skipped, int]:
    timeframe, now = series.timeframe, toolkit.now()
    sessions = toolkit.sessions[instrument.calendar]
    span = wanted_range(wanted.dates, wanted.timeframes, timeframe, instrument.zone)
    kept = kept_range(span, instrument, wanted.timeframes, timeframe, derive=wanted.derive)
    settled = sessions.settled_until_ms(timeframe, now, toolkit.delay(instrument))
    rows = standing(series.rows, wanted)
    return skipped(span, (listed_from_ms(instrument), kept[0], settled), rows, timeframe, sessions, now)


def plan_and_fact(plan: RunPlan, sent: Loads) -> dict[Purpose, PlanAndFact]:
    """*plan* and what was *sent*, for the audit; without purposes of which there is neither."""
    pairs = [(purpose, load, sent[purpose]) for purpose, load in plan.loads.by_purpose.items()]
    return {
        purpose: {
            "planned_requests": planned.requests,
            "planned_pages": planned.pages,
            "sent_requests": fact.requests,
            "received_pages": fact.pages,
        }
        for purpose, planned, fact in pairs
        if planned.requests or fact.requests
    }
