"""How the processes that use one key share its limit: the arithmetic of one exchange, without I/O.

The limit N is N slots. A slot is free from some moment on, or leased to a process. Who sends takes a leased
slot, and gives it back, free from a window after the answer: so no window of the vendor's clock holds more
than N requests, whoever sent them. A lease is for some seconds; who is not heard of any more may have sent
at its last moment, with an answer as late as the deadline, and its slots are free a window after that.

All moments are seconds since 1970 by the database's clock.
"""

import math
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec

LEASE_BEATS = 5  # how long a lease is; a beat is a sixtieth of the vendor's minute
AHEAD_BEATS = 2  # how long before it is free a slot may be leased
_BATCH = 8  # at most this part of the limit is leased at once: what a killed process takes with it
_FLOOR_PACE = 1 / 16
_PACE_STEP = 0.1
_FORGET_SECONDS = 86_400.0
_PROOFS = 3
_ALIVE_BEATS, _IN_NEED_BEATS = 10, 3  # within which a process is heard of, if it lives, and if it waits


class Terms(msgspec.Struct, frozen=True):
    """At most *limit* requests in any *window_seconds*."""

    limit: int
    window_seconds: float

    @property
    def per_second(self) -> float:
        return self.limit / self.window_seconds


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
    answered: int


class Suspicion(msgspec.Struct):
    """That the limit is *count*: the vendor refused at it in so many windows, and never let more through."""

    count: int
    since: float
    proofs: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells. *minute_seconds*: the vendor's minute, by which limits are learnt.

    *done*: of each request that ended since the last report, until when it counts. *used*: how many of its
    requests count at this moment. *wanted*: how many slots it could use soon. *answered*: good answers to
    what it sent within a minute. *pause_seconds*: how long it pauses because of a 429 it has not told of.
    *deadline_seconds*: how long a request is under way at most. *spared*: if the sender could not ask, to how
    many more it left their part.
    """

    holder: str
    terms: Terms
    minute_seconds: float
    deadline_seconds: float
    done: list[float] = field(default_factory=list)
    on_the_wire: int = 0
    used: int = 0
    waiting: int = 0
    wanted: int = 0
    answered: int = 0
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
    now. *others*: how many more processes live.
    """

    leased: list[float]
    upcoming: list[float]
    terms: Terms
    capacity: int
    paused_until: float
    others: int


class Shares(msgspec.Struct):
    """The state of one key.

    *crowd*: among how many it is divided until *crowd_until*, because not all may have told what they sent
    while they could not ask.
    """

    free: list[float] = msgspec.field(default_factory=list)
    holders: dict[str, Holder] = msgspec.field(default_factory=dict)
    pace: float = 1.0
    paused_until: float = 0.0
    may_halve_at: float = 0.0
    recovers_at: float = 0.0
    suspicion: Suspicion | None = None
    crowd: int = 1
    crowd_until: float = 0.0
    learnt: Terms | None = None
    learnt_at: float = 0.0

    def exchange(self, report: Report, now: float) -> Grant:
        """Settle what *report* tells at the moment *now*, and lease what is due to its sender."""
        self._lapse(report, now)
        slots = self._take_back(report)
        alive = [h for h in self.holders.values() if h.seen_at > now - _ALIVE_BEATS * report.beat_seconds]
        self._adapt(report, alive, now)
        terms = self._terms(report, alive)
        if report.spared:
            self.crowd, self.crowd_until = report.spared + 1, now + _doubt_seconds(report, terms)
        self._resize(terms, slots, now)
        capacity = self._capacity(terms)
        usable = self._usable(capacity, slots)
        entitled = self._entitled(report, capacity, now)
        soon = list(takewhile(lambda moment: moment <= now + AHEAD_BEATS * report.beat_seconds, usable))
        leased = soon[: min(report.wanted, max(1, terms.limit // _BATCH), entitled)]
        for moment in leased:
            self.free.remove(moment)
        self._note(report, terms, slots + leased, report.waiting - len(leased), now)
        # What a process must leave to others is not held out to it.
        upcoming = usable[len(leased) :] if entitled else []
        return Grant(leased, upcoming, terms, capacity, self.paused_until, len(alive))

    def _lapse(self, report: Report, now: float) -> None:
        """Free what was leased to those who are gone; bound what a jump of the clock back would hold up."""
        for name, holder in list(self.holders.items()):
            if holder.lapses_at <= now:
                self.free += [holder.lapses_at] * len(holder.slots)
                holder.slots = []
            if not holder.slots and holder.seen_at <= now - _ALIVE_BEATS * report.beat_seconds:
                del self.holders[name]
        latest = now + 10 * report.minute_seconds
        self.free = sorted(min(moment, latest) for moment in self.free)
        self.paused_until = min(self.paused_until, latest)

    def _take_back(self, report: Report) -> list[float]:
        """Free what the sender did not use or has ended; its slots on the wire stay with it."""
        holder = self.holders.pop(report.holder, None)
        slots = sorted(holder.slots) if holder else []
        sent = report.on_the_wire + len(report.done)
        unused = slots[sent:]  # the earliest are used first
        # While it could not ask, it may have sent more than was leased: those slots are no longer free.
        unleased = max(0, sent - len(slots))
        self.free = sorted(self.free[unleased:] + unused + report.done)
        return [0.0] * report.on_the_wire

    def _terms(self, report: Report, alive: list[Holder]) -> Terms:
        """The strictest of what the living were told and what was learnt."""
        known = [report.terms, *(holder.terms for holder in alive), *([self.learnt] if self.learnt else [])]
        return min(known, key=lambda terms: terms.per_second)

    def _capacity(self, terms: Terms) -> int:
        return max(1, round(terms.limit * self.pace))

    def _resize(self, terms: Terms, slots: list[float], now: float) -> None:
        """As many slots as the limit; too many are taken away only as they come free."""
        surplus = self._total(slots) - terms.limit
        while surplus > 0 and self.free and self.free[0] <= now:
            self.free.pop(0)
            surplus -= 1
        self.free = sorted(self.free + [now] * -surplus)

    def _total(self, slots: list[float]) -> int:
        return len(self.free) + len(slots) + sum(len(holder.slots) for holder in self.holders.values())

    def _usable(self, capacity: int, slots: list[float]) -> list[float]:
        """The free slots without those that a slower pace leaves alone: the ones that rest already."""
        return self.free[max(0, self._total(slots) - capacity) :]

    def _entitled(self, report: Report, capacity: int, now: float) -> int:
        """How many slots may be leased to the sender: its share, while others wait; else any number."""
        if now < self.crowd_until:
            return max(0, capacity // self.crowd - report.used)
        in_need = now - _IN_NEED_BEATS * report.beat_seconds
        rivals = sum(1 for h in self.holders.values() if h.waiting > 0 and h.seen_at > in_need)
        return max(0, math.ceil(capacity / (rivals + 1)) - report.used) if rivals else capacity

    def _note(self, report: Report, terms: Terms, slots: list[float], waiting: int, now: float) -> None:
        if slots or not report.leaving:
            self.holders[report.holder] = Holder(
                terms=report.terms,
                slots=slots,
                lapses_at=now + _doubt_seconds(report, terms),
                seen_at=now,
                waiting=max(0, waiting),
                answered=report.answered,
            )

    def _adapt(self, report: Report, alive: list[Holder], now: float) -> None:
        """Let the pace and what is known of the limit follow the vendor's refusals."""
        if now >= self.learnt_at + _FORGET_SECONDS:
            self.learnt = None
        answered = report.answered + sum(holder.answered for holder in alive)
        if self.suspicion and answered > self.suspicion.count * 1.05 + 1:
            self.suspicion = None
        terms = self._terms(report, alive)
        while self.pace < 1.0 and self.recovers_at <= now:
            self.pace = min(1.0, self.pace + _PACE_STEP)
            self.recovers_at += terms.window_seconds
        if report.pause_seconds is not None:
            room = self._in_use(report, now) < self._capacity(terms)
            self._slow_down(now + report.pause_seconds, terms, now)
            if answered:
                self._suspect(answered, report, now, room=room)

    def _slow_down(self, paused_until: float, terms: Terms, now: float) -> None:
        self.paused_until = max(self.paused_until, paused_until)
        self.recovers_at = self.paused_until + terms.window_seconds
        if now >= self.may_halve_at:
            self.pace = max(_FLOOR_PACE, self.pace / 2)
            self.may_halve_at = now + terms.window_seconds

    def _suspect(self, answered: int, report: Report, now: float, *, room: bool) -> None:
        """Find the limit out: the vendor refuses at it in one window after the other, and lets no more pass.

        Refusals for another reason come at any count, and more passes after them. Without *room* for more
        in our own pace, a first refusal says nothing.
        """
        found = self.suspicion
        if found is None or answered < found.count * 0.9 - 1:
            self.suspicion = Suspicion(answered, now) if room else None
        elif now >= found.since + report.minute_seconds:
            found.count, found.since, found.proofs = max(found.count, answered), now, found.proofs + 1
            if found.proofs >= _PROOFS:
                self.learnt, self.learnt_at = Terms(found.count, report.minute_seconds), now
                self.suspicion, self.pace = None, 1.0

    def _in_use(self, report: Report, now: float) -> int:
        leased = sum(len(holder.slots) for holder in self.holders.values())
        return report.on_the_wire + leased + sum(moment > now for moment in self.free)


def _doubt_seconds(report: Report, terms: Terms) -> float:
    """How long from now what is leased now, or was before, can count."""
    seconds = LEASE_BEATS * report.beat_seconds + terms.window_seconds
    # The second of a paid plan is courtesy, no limit that must be kept to the last request.
    return seconds + (report.deadline_seconds if terms.window_seconds >= report.minute_seconds else 0.0)
