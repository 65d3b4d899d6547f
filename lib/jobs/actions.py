"""Splits and dividends: what the vendor lists now, what changed, and what follows for the price basis.

A symbol never asked about, and every symbol once in FULL_AFTER, is asked about in full; the others only since
the last time and an overlap. An event that is no longer listed in such an excerpt may have got another date:
its symbol is asked about in full before the event is called missing.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Generic

from lib.actions import Changes, Dividend, E, Event, RefusedEvent, Split, compare
from lib.adjustment import shown
from lib.clock import to_ms
from lib.errors import BudgetSpent, KeyRefused, NotEntitled, VendorError
from lib.outcome import SeriesStatus
from lib.store.actions import Check, Judged, Jump, Listed
from lib.symbols import AssetClass, Instrument
from lib.vendor.actions import DIVIDENDS, SPLITS, Kind
from lib.wiring import Toolkit
from lib.zones import NEW_YORK, local_date

OVERLAP = timedelta(days=14)
FULL_AFTER = timedelta(days=30)


@dataclass(slots=True)
class KindOutcome(Changes[E]):
    """What came of asking for the splits, or for the dividends.

    *refused*: events that cannot be used; *ignored*: how many were of symbols that were not asked about.
    """

    status: SeriesStatus = SeriesStatus.INTERRUPTED
    error: str | None = None
    requests: int = 0
    refused: list[RefusedEvent] = field(default_factory=list)
    ignored: int = 0

    def document(self) -> dict[str, Any]:
        """The outcome for programs."""
        return {
            "status": str(self.status),
            "error": self.error,
            "requests": self.requests,
            "new": len(self.new),
            "changed": [f"{_named(old)} is now {_named(event)}" for old, event in self.changed],
            "missing": list(map(_named, self.missing)),
            "withdrawn": list(map(_named, self.withdrawn)),
            "back": list(map(_named, self.back)),
            "duplicates": len(self.duplicates),
            "refused": list(map(str, self.refused)),
            "ignored": self.ignored,
        }


@dataclass(slots=True)
class ActionsOutcome:
    """What came of a refresh. *rebased*: symbols whose prices are adjusted anew, and by which splits.

    *suspects*: splits that do not fit the day bars around them. *jumps*: bars that look like a split nobody
    knows of. *unusable*: dividends that total returns leave out, of the symbols whose dividends changed.
    """

    splits: KindOutcome[Split] = field(default_factory=KindOutcome)
    dividends: KindOutcome[Dividend] = field(default_factory=KindOutcome)
    suspects: list[Judged] = field(default_factory=list)
    rebased: dict[str, str] = field(default_factory=dict)
    jumps: list[Jump] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Everything asked for was had, or is not ours to have."""
        fine = (SeriesStatus.OK, SeriesStatus.NOT_ENTITLED)
        return all(kind.status in fine and not kind.refused for kind in (self.splits, self.dividends))

    @property
    def failed(self) -> bool:
        """Nothing of it could be had."""
        return all(kind.status is SeriesStatus.FAILED for kind in (self.splits, self.dividends))

    def document(self) -> dict[str, Any]:
        """The outcome for programs, in the form of the audit."""
        return {
            "splits": self.splits.document(),
            "dividends": self.dividends.document(),
            "suspect": [_suspect(judged) for judged in self.suspects],
            "jumps": [_jump(jump) for jump in self.jumps],
            "unusable_dividends": self.unusable,
            "features_stale": sorted(self.rebased),
        }

    def findings(self) -> list[str]:
        """What a person should know, a line each."""
        lines = []
        for name, kind in (("splits", self.splits), ("dividends", self.dividends)):
            lines += [f"{name}: {kind.error}"] if kind.error else []
            lines += [f"{name}: refused {refused}" for refused in kind.refused]
            lines += [f"changed: {_named(old)} is now {_named(event)}" for old, event in kind.changed]
            lines += [f"no longer listed, asked again: {_named(event)}" for event in kind.missing]
            lines += [f"taken back by the vendor: {_named(event)}" for event in kind.withdrawn]
        lines += [_shown_suspect(judged) for judged in self.suspects]
        lines += [_shown_jump(jump) for jump in self.jumps if jump.new]
        lines += [f"not in total returns: {line}" for line in self.unusable]
        lines += [
            f"{symbol} is now adjusted by {by or 'nothing'}; its features are stale from the beginning"
            for symbol, by in sorted(self.rebased.items())
        ]
        return lines


async def refresh_actions(
    toolkit: Toolkit, instruments: Sequence[Instrument], *, full: bool = False
) -> ActionsOutcome:
    """Bring splits and dividends of *instruments*, and the price basis, up to date; coins have none.

    After the bars of a run, for splits are judged by the day bars around them. *full*: ask for everything.
    Raises KeyRefused and DatabaseError, which concern everything; other failures are in the outcome.
    """
    shares = [i for i in instruments if i.asset_class is not AssetClass.CRYPTO]
    outcome = ActionsOutcome()
    now = toolkit.clock.now()
    splits = _Refresh(toolkit, SPLITS, Split, outcome.splits, now, outcome.rebased)
    await splits.run(shares, full=full)
    dividends = _Refresh(toolkit, DIVIDENDS, Dividend, outcome.dividends, now, outcome.rebased)
    await dividends.run(shares, full=full)
    symbols = [i.symbol for i in shares]
    settled = await toolkit.store.actions.settle(symbols, now)
    outcome.suspects = settled.suspects
    outcome.rebased |= settled.rebased
    for looked_at, since in ((splits.whole, None), (set(symbols) - splits.whole, splits.today - FULL_AFTER)):
        await toolkit.store.actions.find_jumps(sorted(looked_at), since, now)
    outcome.jumps = await toolkit.store.actions.jumps(symbols, now)
    outcome.unusable = await toolkit.store.actions.unusable_dividends(outcome.dividends.symbols, now)
    return outcome


@dataclass(slots=True)
class _Refresh(Generic[E]):
    """One kind of event being asked for and written. *whole*: symbols asked about in full."""

    toolkit: Toolkit
    kind: Kind[E]
    event: type[E]
    outcome: KindOutcome[E]
    now: datetime
    rebased: dict[str, str]
    whole: set[str] = field(default_factory=set)

    @property
    def today(self) -> date:
        return local_date(to_ms(self.now), NEW_YORK)

    async def run(self, instruments: Sequence[Instrument], *, full: bool) -> None:
        try:
            await self._run(instruments, full=full)
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

    async def _run(self, instruments: Sequence[Instrument], *, full: bool) -> None:
        symbols = [i.symbol for i in instruments]
        checks = await self.toolkit.store.actions.checks(self.event, symbols)
        self.whole.update(s for s in symbols if full or self._due(checks.get(s)))
        recent = [i for i in instruments if i.symbol not in self.whole]
        if recent:
            asked = min(checks[i.symbol].checked_at for i in recent)
            since = local_date(to_ms(min(asked, self.now)), NEW_YORK) - OVERLAP
            async for listed in self._listings(recent, since):
                doubtful = await self._doubtful(listed)
                await self._write(_without(listed, doubtful))
                self.whole |= doubtful
        async for listed in self._listings([i for i in instruments if i.symbol in self.whole], None):
            await self._write(listed)

    def _due(self, check: Check | None) -> bool:
        return check is None or self.now - check.full_at >= FULL_AFTER

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
                self.outcome.requests += 1
                self.outcome.ignored += page.ignored
                events += page.events
                refused += page.refused
                if page.complete:
                    self.outcome.refused += [r for r in refused if r not in self.outcome.refused]
                    yield Listed(self.event, page.complete, since, events, _unsure(refused, page.complete))
                    events, refused = [], []

    async def _doubtful(self, listed: Listed[E]) -> frozenset[str]:
        """Symbols with a stored event that is not in this excerpt of the vendor's list."""
        stored = await self.toolkit.store.actions.stored(self.event, listed.symbols, listed.since)
        return frozenset(compare(stored, listed.events, self.now).unlisted)

    async def _write(self, listed: Listed[E]) -> None:
        changes, settled = await self.toolkit.store.actions.write(listed, self.now)
        for name in ("new", "changed", "missing", "withdrawn", "back", "duplicates"):
            getattr(self.outcome, name).extend(getattr(changes, name))
        self.rebased.update(settled.rebased)


def _without(listed: Listed[E], doubtful: frozenset[str]) -> Listed[E]:
    return replace(
        listed,
        symbols=[symbol for symbol in listed.symbols if symbol not in doubtful],
        events=[event for event in listed.events if event.symbol not in doubtful],
    )


def _unsure(refused: Sequence[RefusedEvent], symbols: Sequence[str]) -> frozenset[str]:
    """Whose list may lack an event that was refused: one without a ticker may be anybody's."""
    named = {event.symbol for event in refused}
    return frozenset(symbols) if None in named else frozenset(symbols) & named


def _named(event: Event) -> str:
    what = shown(event.ratio) if isinstance(event, Split) else f"{event.cash_amount:f} {event.currency}"
    return f"{event.symbol} {event.day} {what}"


def _suspect(judged: Judged) -> dict[str, Any]:
    return {
        "symbol": judged.split.symbol,
        "date": judged.split.day.isoformat(),
        "ratio": shown(judged.split.ratio),
        "observed": judged.verdict.observed,
        "applied": judged.applied,
        "reason": judged.verdict.reason,
    }


def _jump(jump: Jump) -> dict[str, Any]:
    return {
        "symbol": jump.symbol,
        "date": jump.day.isoformat(),
        "observed": jump.observed,
        "looks_like": jump.looks_like,
        "new": jump.new,
    }


def _shown_suspect(judged: Judged) -> str:
    applied = "applied" if judged.applied else "not applied"
    return f"suspect split, {applied}: {_named(judged.split)}: {judged.verdict.reason}"


def _shown_jump(jump: Jump) -> str:
    return (
        f"{jump.symbol} {jump.day}: the close before was {jump.observed:.4g} times the close, "
        f"like a split {jump.looks_like}, but none is applied"
    )
