"""How the processes that use one key share its limit: the arithmetic of one exchange, without I/O.

The limit N is N slots. A slot is free from some moment on, or leased to a process. Who sends takes a leased
slot, and gives it back, free from a window after the answer: so no window of the vendor's clock holds more
than N requests, whoever sent them. A lease is for some seconds; who is not heard of any more may have sent
at its last moment, with an answer as late as the deadline, and its slots are free a window after that.

All moments are seconds since 1970 by the database's clock, as it was before it was ever set back.
"""

import math
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec

from lib.store.refusals import Refusals, Terms

LEASE_BEATS = 5  # how long a lease is; a beat is a sixtieth of the vendor's minute
AHEAD_BEATS = 2  # how long before it is free a slot may be leased
_BATCH, _BATCH_ALONE = 8, 4  # a lease is this part of the limit, and at least so many slots for one alone
_ALIVE_BEATS, _IN_NEED_BEATS = 30, 3  # within which a process is heard of, if it lives, and if it waits


class Holder(msgspec.Struct):
    """A process as it was at its last exchange.

    *slots*: those it may have used, by the moment from which it may; on the wire: 0. *lapses_at*: when they
    are free if nothing more is heard. *waiting*: how many of its tasks got nothing.
    """

    terms: Terms
    slots: list[float]
    lapses_at: float
    seen_at: float
    waiting: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells. *minute_seconds*: the vendor's minute, by which limits are learnt.

    Since the last report: *done*, until when each request counts that ended; *passed*, when each was sent
    that was answered well. *used*: how many of its requests count at this moment. *wanted*: how many slots it
    could use soon. *pause_seconds*: how long it pauses because of a 429 it has not told of.
    *deadline_seconds*: how long a request is under way at most. *spared*: if the sender could not ask, to how
    many more it left their part.
    """

    holder: str
    terms: Terms
    minute_seconds: float
    deadline_seconds: float
    done: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    on_the_wire: int = 0
    used: int = 0
    waiting: int = 0
    wanted: int = 0
    pause_seconds: float | None = None
    spared: int = 0
    leaving: bool = False

    @property
    def beat_seconds(self) -> float:
        return self.minute_seconds / 60


@dataclass(frozen=True, slots=True)
class Grant:
    """What it is told. *leased*: its new slots, by the moment from which it may use each, for LEASE_BEATS.

    *upcoming*: what else it could lease, likewise. *capacity*: of the limit in *terms*, how much may be used
    now. *learnt*: whether the limit is known from the vendor's refusals. *others*: how many more processes
    live.
    """

    leased: list[float]
    upcoming: list[float]
    terms: Terms
    capacity: int
    paused_until: float
    learnt: bool
    others: int


class Shares(msgspec.Struct):
    """The state of one key.

    *crowd*: among how many it is divided until *crowd_until*, because not all may have told what they sent
    while they could not ask. *latest*: the latest moment of all; *set_back*: by how many seconds the clock is
    behind it.
    """

    free: list[float] = msgspec.field(default_factory=list)
    holders: dict[str, Holder] = msgspec.field(default_factory=dict)
    crowd: int = 1
    crowd_until: float = 0.0
    refusals: Refusals = msgspec.field(default_factory=Refusals)
    latest: float = 0.0
    set_back: float = 0.0

    def moment(self, clock: float) -> float:
        """The present, where the database's clock says *clock*: it never steps back.

        Else a clock that is set back by an hour would leave every slot in use, and every pause, for that hour.
        """
        self.set_back = max(self.set_back, self.latest - clock)
        self.latest = max(self.latest, clock + self.set_back)
        return self.latest

    def exchange(self, report: Report, now: float) -> Grant:
        """Settle what *report* tells at the moment *now*, and lease what is due to its sender."""
        self._lapse(report, now)
        on_the_wire = self._take_back(report)
        alive = [h for h in self.holders.values() if h.seen_at > now - _ALIVE_BEATS * report.beat_seconds]
        terms = self._adapt(report, alive, now)
        if report.spared:
            self.crowd, self.crowd_until = report.spared + 1, now + _doubt_seconds(report, terms)
        capacity = self.refusals.capacity(terms)
        usable = self._usable(terms, capacity, len(on_the_wire), now)
        entitled = self._entitled(report, capacity, now)
        soon = list(takewhile(lambda moment: moment <= now + AHEAD_BEATS * report.beat_seconds, usable))
        leased = soon[: min(report.wanted, _batch(report, terms, len(alive)), entitled)]
        for moment in leased:
            self.free.remove(moment)
        self._note(report, terms, on_the_wire + leased, report.waiting - len(leased), now)
        # What a process must leave to others is not held out to it.
        upcoming = usable[len(leased) :] if entitled else []
        known = self.refusals.learnt
        learnt = known is not None and known.terms == terms
        return Grant(leased, upcoming, terms, capacity, self.refusals.paused_until, learnt, len(alive))

    def _lapse(self, report: Report, now: float) -> None:
        """Free what was leased to those who are gone."""
        for name, holder in list(self.holders.items()):
            if holder.lapses_at <= now:
                self.free += [holder.lapses_at] * len(holder.slots)
                holder.slots = []
            if not holder.slots and holder.seen_at <= now - _ALIVE_BEATS * report.beat_seconds:
                del self.holders[name]
        self.free.sort()

    def _take_back(self, report: Report) -> list[float]:
        """Free what the sender did not use or has ended; its slots on the wire."""
        holder = self.holders.pop(report.holder, None)
        slots = sorted(holder.slots) if holder else []
        sent = report.on_the_wire + len(report.done)
        unused = slots[sent:]  # the earliest are used first
        # While it could not ask, it may have sent more than was leased: those slots are no longer free.
        unleased = max(0, sent - len(slots))
        self.free = sorted(self.free[unleased:] + unused + report.done)
        return [0.0] * report.on_the_wire

    def _adapt(self, report: Report, alive: list[Holder], now: float) -> Terms:
        """Take note of what the vendor let pass and refused; the terms that hold now."""
        told_per_second = max(told.per_second for told in _told(report, alive))
        refusals = self.refusals
        refusals.forget(told_per_second, now)
        terms = self._terms(report, alive)
        refusals.recover(terms.window_seconds, now)
        if report.pause_seconds is not None:
            in_use = report.on_the_wire + self._leased() + sum(moment > now for moment in self.free)
            room = in_use < terms.limit
            refusals.refused(report.pause_seconds, terms, report.minute_seconds, now, room=room)
        refusals.learn(report.passed, terms, told_per_second, report.minute_seconds, now)
        return self._terms(report, alive)

    def _terms(self, report: Report, alive: list[Holder]) -> Terms:
        """The strictest of what the living were told and what was learnt."""
        learnt = [self.refusals.learnt.terms] if self.refusals.learnt else []
        return min(_told(report, alive) + learnt, key=lambda terms: terms.per_second)

    def _leased(self) -> int:
        return sum(len(holder.slots) for holder in self.holders.values())

    def _usable(self, terms: Terms, capacity: int, on_the_wire: int, now: float) -> list[float]:
        """The free slots, after there are as many slots as the limit; a slower pace rests the idlest.

        Too many are taken away only as they come free.
        """
        surplus = on_the_wire + self._leased() + len(self.free) - terms.limit
        while surplus > 0 and self.free and self.free[0] <= now:
            self.free.pop(0)
            surplus -= 1
        self.free = sorted(self.free + [now] * -surplus)
        return self.free[max(surplus, 0) + terms.limit - capacity :]

    def _entitled(self, report: Report, capacity: int, now: float) -> int:
        """How many slots may be leased to the sender: its share, while others wait; else any number."""
        if now < self.crowd_until:
            return max(0, capacity // self.crowd - report.used)
        in_need = now - _IN_NEED_BEATS * report.beat_seconds
        rivals = sum(1 for h in self.holders.values() if h.waiting > 0 and h.seen_at > in_need)
        return max(0, math.ceil(capacity / (rivals + 1)) - report.used) if rivals else capacity

    def _note(self, report: Report, terms: Terms, slots: list[float], waiting: int, now: float) -> None:
        if slots or not report.leaving:
            lapses_at = now + _doubt_seconds(report, terms)
            self.holders[report.holder] = Holder(report.terms, slots, lapses_at, now, max(0, waiting))


def _told(report: Report, alive: list[Holder]) -> list[Terms]:
    return [report.terms, *(holder.terms for holder in alive)]


def _batch(report: Report, terms: Terms, others: int) -> int:
    """How many slots are leased at once at most: those that a killed process takes with it for some time.

    A paid plan's are soon back. One alone is not made to ask for each single slot of a small limit.
    """
    if _is_paid(report, terms):
        return math.ceil(terms.limit / (others + 1))
    return max(terms.limit // _BATCH, 1 if others else _BATCH_ALONE)


def _doubt_seconds(report: Report, terms: Terms) -> float:
    """How long from now what is leased now, or was before, can count."""
    seconds = LEASE_BEATS * report.beat_seconds + terms.window_seconds
    # The second of a paid plan is courtesy, no limit that must be kept to the last request.
    return seconds + (0.0 if _is_paid(report, terms) else report.deadline_seconds)


def _is_paid(report: Report, terms: Terms) -> bool:
    return terms.window_seconds < report.minute_seconds
