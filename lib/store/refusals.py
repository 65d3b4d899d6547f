"""What the vendor's refusals (429) teach about a key: how fast to go for now, and what its limit is.

All moments are seconds since 1970 by the database's clock.
"""

import msgspec

MARGIN = 1.001  # as the local budget's: the vendor's clock may run slower than ours
_FLOOR_PACE = 1 / 16
_PACE_STEP = 0.1
_FORGET_SECONDS = 86_400.0
_PROOFS = 3
_REMEMBERED = 200  # moments of what passed, at least: a limit above it is not found out without being told
_TOLD_AFTER = 1 / 12  # of a minute: by then all processes have told what they sent


class Terms(msgspec.Struct, frozen=True):
    """At most *limit* requests in any *window_seconds*."""

    limit: int
    window_seconds: float

    @property
    def per_second(self) -> float:
        return self.limit / self.window_seconds


class Suspicion(msgspec.Struct):
    """That the limit is *count*: what passed in the minutes before so many refusals, the last at *since*."""

    since: float
    judged: bool = False
    count: int = 0
    proofs: int = 0


class Learnt(msgspec.Struct, frozen=True):
    """The limit as the vendor's refusals showed it, while the fastest that was told was *told_per_second*."""

    terms: Terms
    told_per_second: float
    at: float


class Refusals(msgspec.Struct):
    """*pace*: the share of the limit that may be used. *passed*: when what was answered well was sent."""

    pace: float = 1.0
    paused_until: float = 0.0
    may_halve_at: float = 0.0
    recovers_at: float = 0.0
    passed: list[float] = msgspec.field(default_factory=list)
    suspicion: Suspicion | None = None
    learnt: Learnt | None = None

    def capacity(self, terms: Terms) -> int:
        """How many slots may be in use."""
        return max(1, round(terms.limit * self.pace))

    def forget(self, told_per_second: float, now: float) -> None:
        """A day ends what was learnt, and so does being told of more than it was learnt under."""
        known = self.learnt
        if known and (now >= known.at + _FORGET_SECONDS or told_per_second > known.told_per_second):
            self.learnt = None

    def recover(self, window_seconds: float, now: float) -> None:
        """Each window without a refusal gives a tenth of the pace back."""
        while self.pace < 1.0 and self.recovers_at <= now:
            self.pace = min(1.0, self.pace + _PACE_STEP)
            self.recovers_at += window_seconds

    def refused(
        self, pause_seconds: float, terms: Terms, minute_seconds: float, now: float, *, room: bool
    ) -> None:
        """A 429 came: all pause, and the pace halves, at most once a window.

        *room*: the limit in *terms* was not used up. Then, if nothing had slowed us, the limit may be lower.
        """
        if self.suspicion is None:
            self.suspicion = Suspicion(now) if room and self.pace == 1.0 else None
        elif self.suspicion.judged and now >= self.suspicion.since + minute_seconds:
            self.suspicion.since, self.suspicion.judged = now, False
        self.paused_until = max(self.paused_until, now + pause_seconds)
        self.recovers_at = self.paused_until + terms.window_seconds
        if now >= self.may_halve_at:
            self.pace = max(_FLOOR_PACE, self.pace / 2)
            self.may_halve_at = now + terms.window_seconds

    def learn(
        self, passed: list[float], terms: Terms, told_per_second: float, minute_seconds: float, now: float
    ) -> None:
        """The limit is what passes in one minute after the other until the vendor refuses, and no more.

        A refusal for another reason comes at any count, and more passes after it. Where the vendor counts by
        the minutes of the clock, twice the limit may pass in a minute that lies across two of them.
        """
        self.passed = sorted(self.passed + passed)[-_remembered(terms) :]
        found = self.suspicion
        if found is None:
            return
        if not found.judged and now >= found.since + minute_seconds * _TOLD_AFTER:
            count = self._passed_in_minute(found.since, minute_seconds)
            self._judge(found, count, known=count < _remembered(terms))
            if self.suspicion and found.proofs == _PROOFS:
                self.learnt = Learnt(Terms(found.count, minute_seconds * MARGIN), told_per_second, now)
                self.suspicion, self.pace = None, 1.0
        elif found.judged and self._passed_in_minute(now, minute_seconds) > found.count * 2 + 1:
            self.suspicion = None

    def _judge(self, found: Suspicion, count: int, *, known: bool) -> None:
        if not known or count < max(1.0, found.count * 0.9 - 1):
            self.suspicion = None
            return
        found.judged, found.count, found.proofs = True, min(found.count or count, count), found.proofs + 1

    def _passed_in_minute(self, until: float, minute_seconds: float) -> int:
        return sum(until - minute_seconds < moment <= until for moment in self.passed)


def _remembered(terms: Terms) -> int:
    return max(_REMEMBERED, terms.limit + 1)
