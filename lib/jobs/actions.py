"""Splits and dividends: what the vendor lists now, what changed, and what follows for the price basis.

A symbol never asked about, and every symbol once in FULL_AFTER, is asked about in full; the others only since
the last time and an overlap. An event that is no longer listed in such an excerpt may have got another date:
its symbol is asked about in full before the event is called missing.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Generic

from lib.actions import Dividend, E, RefusedEvent, Split, compare
from lib.clock import to_ms
from lib.errors import BudgetSpent, KeyRefused, NotEntitled, VendorError
from lib.estimate import Load, Purpose
from lib.jobs.action_outcome import ActionsOutcome, KindOutcome
from lib.outcome import SeriesStatus
from lib.store.actions import Check, Listed
from lib.symbols import AssetClass, Instrument
from lib.vendor.actions import DIVIDENDS, SPLITS, Kind, expected_pages
from lib.wiring import Toolkit
from lib.zones import NEW_YORK, local_date

OVERLAP = timedelta(days=14)
FULL_AFTER = timedelta(days=30)


class Asking(Enum):
    """Whose events are asked for: of all symbols, in full or since the last time; or of those due this day.

    An event counts from the midnight of New York: who is asked about once a day there misses none.
    """

    FULL = "full"
    RECENT = "recent"
    DAILY = "daily"


class Refresh:
    """Brings splits and dividends of *instruments*, and the price basis, up to date; coins have none.

    In two steps, the first of which needs no bars. Both fill *outcome* as they go, and raise KeyRefused and
    DatabaseError, which concern everything; other failures are in the outcome.
    """

    def __init__(
        self,
        toolkit: Toolkit,
        instruments: Sequence[Instrument],
        outcome: ActionsOutcome,
        asking: Asking = Asking.RECENT,
    ) -> None:
        self._toolkit, self._outcome, self._asking = toolkit, outcome, asking
        self._shares = _shares(instruments)
        self._now = toolkit.clock.now()
        self._splits = _Listing(toolkit, SPLITS, Split, outcome.splits, self._now)
        self._dividends = _Listing(toolkit, DIVIDENDS, Dividend, outcome.dividends, self._now)

    async def ask(self) -> None:
        """Ask the vendor, and store what it lists."""
        await self._splits.run(self._shares, self._asking)
        await self._dividends.run(self._shares, self._asking)

    async def settle(self) -> None:
        """Judge the splits by the day bars around them, as they are stored now, and what follows from it."""
        actions, splits, outcome = self._toolkit.store.actions, self._splits, self._outcome
        symbols = [i.symbol for i in self._shares]
        settled = await actions.settle(symbols, self._now)
        outcome.suspects = [
            replace(one, new=one.new or one.split in splits.judged) for one in settled.suspects
        ]
        outcome.rebased = splits.rebased | settled.rebased
        others = set(symbols) - splits.whole
        for looked_at, since in ((splits.whole, None), (others, splits.today - FULL_AFTER)):
            await actions.find_jumps(sorted(looked_at), since, self._now)
        outcome.jumps = await actions.jumps(symbols, self._now)
        outcome.unusable = await actions.unusable_dividends(symbols, self._now)


async def plan_actions(
    toolkit: Toolkit, instruments: Sequence[Instrument], asking: Asking = Asking.DAILY
) -> int:
    """About how many requests a refresh would send; of a server of the older generation it takes more."""
    outcome, now = ActionsOutcome(), toolkit.clock.now()
    splits = _Listing(toolkit, SPLITS, Split, outcome.splits, now)
    dividends = _Listing(toolkit, DIVIDENDS, Dividend, outcome.dividends, now)
    shares = _shares(instruments)
    return await splits.pages(shares, asking) + await dividends.pages(shares, asking)


def _shares(instruments: Sequence[Instrument]) -> list[Instrument]:
    return [i for i in instruments if i.asset_class is not AssetClass.CRYPTO]


@dataclass(frozen=True, slots=True)
class _Due:
    """Whom to ask about: *recent* from the date *since* on, *whole* in full."""

    recent: list[Instrument]
    since: date
    whole: list[Instrument]


@dataclass(slots=True)
class _Listing(Generic[E]):
    """One kind of event being asked for and written. *whole*: symbols asked about in full.

    What was written has been settled: *rebased*, and *judged*, splits found to be suspect.
    """

    toolkit: Toolkit
    kind: Kind[E]
    event: type[E]
    outcome: KindOutcome[E]
    now: datetime
    whole: set[str] = field(default_factory=set)
    rebased: dict[str, str] = field(default_factory=dict)
    judged: list[Split] = field(default_factory=list)

    @property
    def today(self) -> date:
        return local_date(to_ms(self.now), NEW_YORK)

    async def pages(self, instruments: Sequence[Instrument], asking: Asking) -> int:
        """About how many requests ``run`` would send."""
        due = await self._due(instruments, asking)
        recent = expected_pages(self.kind, due.recent, due.since, self.today)
        return recent + expected_pages(self.kind, due.whole, None, self.today)

    async def run(self, instruments: Sequence[Instrument], asking: Asking) -> None:
        try:
            await self._run(instruments, asking)
            self.outcome.status = SeriesStatus.OK
        except KeyRefused:
            raise
        except NotEntitled as error:
            self._failed(SeriesStatus.NOT_ENTITLED, error)
        except BudgetSpent as error:
            self._failed(SeriesStatus.LEFT, error)
        except VendorError as error:
            self._failed(SeriesStatus.FAILED, error)

    def _failed(self, status: SeriesStatus, error: Exception) -> None:
        self.outcome.status, self.outcome.error = status, str(error)

    async def _run(self, instruments: Sequence[Instrument], asking: Asking) -> None:
        due = await self._due(instruments, asking)
        self.whole.update(i.symbol for i in due.whole)
        async for listed in self._listings(due.recent, due.since):
            doubtful = await self._doubtful(listed)
            await self._write(_without(listed, doubtful))
            self.whole |= doubtful
        async for listed in self._listings([i for i in instruments if i.symbol in self.whole], None):
            await self._write(listed)

    async def _due(self, instruments: Sequence[Instrument], asking: Asking) -> _Due:
        checks = await self.toolkit.store.actions.checks(self.event, [i.symbol for i in instruments])
        whole = [i for i in instruments if asking is Asking.FULL or self._stale(checks.get(i.symbol))]
        recent = [
            i
            for i in instruments
            if i not in whole and (asking is Asking.RECENT or self._day(checks[i.symbol]) < self.today)
        ]
        since = min((self._day(checks[i.symbol]) for i in recent), default=self.today) - OVERLAP
        return _Due(recent, since, whole)

    def _stale(self, check: Check | None) -> bool:
        return check is None or self.now - check.full_at >= FULL_AFTER

    def _day(self, check: Check) -> date:
        """The date of New York on which it was made; today's if the clock has been set back since."""
        return local_date(to_ms(min(check.checked_at, self.now)), NEW_YORK)

    async def _listings(
        self, instruments: Sequence[Instrument], since: date | None
    ) -> AsyncGenerator[Listed[E], None]:
        """What the vendor lists, as soon as all of some symbols has come."""
        pages = self.toolkit.vendor.actions(self.kind, instruments, since, self.today)
        events, refused = list[E](), list[RefusedEvent]()
        async with aclosing(pages):
            while True:
                with self.toolkit.api_busy.task():
                    page = await anext(pages, None)
                if page is None:
                    return
                self.toolkit.sent[Purpose.ACTIONS].add(Load(1, 1))
                self.outcome.requests += 1
                self.outcome.ignored += page.ignored
                events += page.events
                refused += page.refused
                if page.complete:
                    self.outcome.refused += [r for r in refused if r not in self.outcome.refused]
                    yield Listed(
                        self.event, page.complete, since, events, self._unsure(refused, page.complete)
                    )
                    events, refused = [], []

    def _unsure(self, refused: Sequence[RefusedEvent], symbols: Sequence[str]) -> frozenset[str]:
        """Whose list may lack an event that was refused: one without a ticker may be anybody's.

        One of long ago does not make it so: the vendor has not mended it since, and all is asked anew each month.
        """
        oldest = self.today - FULL_AFTER
        named = {event.symbol for event in refused if event.day is None or event.day >= oldest}
        return frozenset(symbols) if None in named else frozenset(symbols) & named

    async def _doubtful(self, listed: Listed[E]) -> frozenset[str]:
        """Symbols with a stored event that is not in this excerpt of the vendor's list."""
        stored = await self.toolkit.store.actions.stored(self.event, listed.symbols, listed.since)
        return frozenset(compare(stored, listed.events, self.now).unlisted)

    async def _write(self, listed: Listed[E]) -> None:
        changes, settled = await self.toolkit.store.actions.write(listed, self.now)
        for name in ("new", "changed", "missing", "withdrawn", "back", "duplicates"):
            getattr(self.outcome, name).extend(getattr(changes, name))
        self.rebased.update(settled.rebased)
        self.judged += [one.split for one in settled.suspects if one.new]


def _without(listed: Listed[E], doubtful: frozenset[str]) -> Listed[E]:
    return replace(
        listed,
        symbols=[symbol for symbol in listed.symbols if symbol not in doubtful],
        events=[event for event in listed.events if event.symbol not in doubtful],
    )
