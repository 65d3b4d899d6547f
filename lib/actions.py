"""Splits and dividends as events: what the vendor says, and what changed since it last said it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Generic, TypeVar

WITHDRAWN_AFTER = timedelta(minutes=30)


class Basis(StrEnum):
    """What of them the prices of bars are adjusted for."""

    RAW = "raw"  # nothing: as they were traded
    ADJUSTED = "adjusted"  # splits
    TOTAL_RETURN = "total-return"  # splits and dividends


@dataclass(frozen=True, slots=True)
class Split:
    """*split_to* new shares for *split_from* old ones, before the open of *day*, the execution date.

    *event_id*: the vendor's, or ``own:`` and what it says. *kind*: its word for it, where it has one.
    """

    event_id: str
    symbol: str
    day: date
    split_from: Decimal
    split_to: Decimal
    kind: str | None = None

    @property
    def ratio(self) -> Fraction:
        """New shares for an old one, exact."""
        return Fraction(self.split_to) / Fraction(self.split_from)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two of them one event, whatever their ids."""
        return (self.symbol, self.day, self.ratio)


@dataclass(frozen=True, slots=True)
class Dividend:
    """Cash per share, as paid to those who held it before *day*, the ex date. *kind*: the vendor's word."""

    event_id: str
    symbol: str
    day: date
    cash_amount: Decimal
    currency: str = "USD"
    kind: str | None = None
    frequency: int | None = None
    declaration_date: date | None = None
    record_date: date | None = None
    pay_date: date | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two of them one event, whatever their ids."""
        return (self.symbol, self.day, self.cash_amount, self.currency)


Event = Split | Dividend
E = TypeVar("E", Split, Dividend)


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that cannot be used: whose (None: it names nobody), of which day if that is known, and why."""

    symbol: str | None
    event_id: str
    reason: str
    day: date | None = None

    def __str__(self) -> str:
        return f"{self.event_id}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Stored(Generic[E]):
    """An event as the database has it. *missing_since*: when the vendor was first seen not to list it."""

    event: E
    missing_since: datetime | None = None
    withdrawn: bool = False


@dataclass(slots=True)
class Changes(Generic[E]):
    """What an answer changes in what is stored. *changed* and *back* hold the stored event first.

    *back*: listed again after it had been missing. *missing*: not listed for the first time; *withdrawn*:
    nor at least WITHDRAWN_AFTER later. *duplicates*: the same under a second id; dropped.
    """

    new: list[E] = field(default_factory=list)
    changed: list[tuple[E, E]] = field(default_factory=list)
    back: list[E] = field(default_factory=list)
    missing: list[E] = field(default_factory=list)
    withdrawn: list[E] = field(default_factory=list)
    duplicates: list[E] = field(default_factory=list)

    @property
    def unlisted(self) -> set[str]:
        """Whose events are not all listed any more."""
        return {event.symbol for event in (*self.missing, *self.withdrawn)}

    @property
    def symbols(self) -> list[str]:
        """Whose events are not what they were."""
        found = self.unlisted | {event.symbol for event in (*self.new, *self.back)}
        return sorted(found | {event.symbol for pair in self.changed for event in pair})


def compare(stored: Sequence[Stored[E]], answered: Iterable[E], now: datetime) -> Changes[E]:
    """What *answered*, all events the vendor lists, changes in *stored*, all we have of the same range.

    An event is known again by its id, and under another id by its key: the two generations of the vendor's
    endpoints number the same events differently.
    """
    changes: Changes[E] = Changes()
    by_id = {known.event.event_id: known for known in stored}
    listed = _without_repeats(answered, by_id.keys(), changes.duplicates)
    ids = {event.event_id for event in listed}
    by_key = {known.event.key: known for known in stored if known.event.event_id not in ids}
    seen = set[str]()
    for event in listed:
        known = by_id.get(event.event_id) or by_key.get(event.key)
        if known is None:
            changes.new.append(event)
        else:
            seen.add(known.event.event_id)
            _note(known, event, changes)
    for known in stored:
        if known.event.event_id not in seen and not known.withdrawn:
            _note_absent(known, now, changes)
    return changes


def _without_repeats(answered: Iterable[E], known_ids: Iterable[str], duplicates: list[E]) -> list[E]:
    """One event per id and per key: the one already stored if there is one, else the least id."""
    known = set(known_ids)
    chosen: dict[tuple[object, ...], E] = {}
    ids = set[str]()
    for event in sorted(answered, key=lambda e: (e.event_id not in known, e.event_id)):
        if event.key in chosen or event.event_id in ids:
            duplicates.append(event)
            continue
        chosen[event.key] = event
        ids.add(event.event_id)
    return list(chosen.values())


def _note(known: Stored[E], event: E, changes: Changes[E]) -> None:
    if event.key != known.event.key or _details(event) != _details(known.event):
        changes.changed.append((known.event, event))
    elif known.withdrawn or known.missing_since is not None:
        changes.back.append(known.event)


def _details(event: Event) -> tuple[object, ...]:
    """What may be corrected without making it another event. Words and ids differ between generations."""
    if isinstance(event, Split):
        return ()
    return (event.declaration_date, event.record_date, event.pay_date)


def _note_absent(known: Stored[E], now: datetime, changes: Changes[E]) -> None:
    if known.missing_since is None:
        changes.missing.append(known.event)
    elif now - known.missing_since >= WITHDRAWN_AFTER:
        changes.withdrawn.append(known.event)
