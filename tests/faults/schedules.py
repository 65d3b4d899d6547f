"""Schedules of faults: what goes wrong in a run and when, drawn from a seed."""

import random
import signal
from dataclasses import dataclass, field
from datetime import timedelta

from lib.vendor.emulator.faults import Fault, FaultKind

PAGES = 34  # of the job, undisturbed
KILL_EVERY = 6  # one schedule in so many runs the real script, to kill it


@dataclass(frozen=True, slots=True)
class Blow:
    """Something done from outside once *requests* have reached the vendor."""

    requests: int
    what: str
    how: object = None


@dataclass(slots=True)
class Schedule:
    """*hazards* by name, as *faults* of the vendor and *blows* from outside. *runs* at the same time."""

    seed: int
    hazards: list[str]
    faults: list[Fault] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    runs: int = 1
    slow_line: bool = False

    @property
    def kills(self) -> bool:
        return any(blow.what == "kill" for blow in self.blows)

    def __str__(self) -> str:
        return f"seed {self.seed}: {', '.join(self.hazards)}; {self.faults}; {self.blows}"


class _Drawing:
    """Draws a schedule; one method a hazard."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        kills = seed % KILL_EVERY == 0
        others = [name for name in HAZARDS if name != "sigkill" and not (kills and name in _IN_PROCESS)]
        names = self.chance.sample(others, self.chance.randint(2 if kills else 3, 5))
        self.out = Schedule(seed, sorted(names + ["sigkill"] * kills))
        for name in self.out.hazards:
            HAZARDS[name](self)
        self.out.blows.sort(key=lambda blow: blow.requests)

    def moment(self) -> int:
        return self.chance.randint(2, PAGES)

    def fault(self, *kinds: FaultKind, first: int = 1, **more) -> None:
        kind = self.chance.choice(kinds)
        more = {"after": self.moment(), "first": first, "seed": self.out.seed, **more}
        self.out.faults.append(Fault(kind=kind, path="/v2/aggs/", **more))

    def often(self, *kinds: FaultKind, **more) -> None:
        """Now and then in all the run, or for some requests in a row."""
        if self.chance.random() < 0.5:
            self.fault(*kinds, after=0, first=0, probability=self.chance.uniform(0.05, 0.3), **more)
        else:
            self.fault(*kinds, first=self.chance.randint(1, 6), **more)

    def rate_limit_storm(self) -> None:
        self.fault(
            FaultKind.RATE_LIMITED, first=self.chance.randint(5, 25), seconds=self.chance.choice([0, 1, 5])
        )

    def server_errors(self) -> None:
        kinds = (FaultKind.ERROR_JSON, FaultKind.ERROR_HTML, FaultKind.ERROR_EMPTY)
        status = self.chance.choice([500, 502, 503, 504])
        self.fault(*kinds, first=self.chance.randint(3, 40), status=status)

    def html(self) -> None:
        self.often(FaultKind.HTML_UNDER_200, FaultKind.EMPTY_BODY)

    def truncated(self) -> None:
        kinds = (FaultKind.TRUNCATED_JSON, FaultKind.TRUNCATED_GZIP)
        self.often(*kinds, FaultKind.LENGTH_TOO_LONG, FaultKind.LENGTH_TOO_SHORT)

    def reset(self) -> None:
        self.often(FaultKind.RESET, FaultKind.RESET_MID_BODY)

    def stall(self) -> None:
        self.fault(FaultKind.STALL, FaultKind.SLOW_BODY, first=2, seconds=30)

    def null_results(self) -> None:
        self.often(FaultKind.RESULTS_NULL, FaultKind.RESULTS_EMPTY, FaultKind.RESULTS_ABSENT)

    def not_authorized(self) -> None:
        # Once: a plan that refuses twice is believed, as it must be.
        self.fault(FaultKind.REFUSED_UNDER_200)

    def garbage_bar(self) -> None:
        kinds = (FaultKind.HIGH_BELOW_LOW, FaultKind.NEGATIVE_VOLUME, FaultKind.INFINITE_PRICE)
        fields = (FaultKind.FIELD_MISSING, FaultKind.FIELD_NULL, FaultKind.FIELD_TEXT)
        self.often(*kinds, *fields, FaultKind.OFF_GRID)

    def repeated_bars(self) -> None:
        across = (FaultKind.REPEAT_ACROSS_PAGES, FaultKind.REPEAT_ACROSS_PAGES_DIFFERS)
        self.often(FaultKind.REPEAT, FaultKind.REPEAT_DIFFERS, *across)

    def disorder(self) -> None:
        self.often(FaultKind.OUT_OF_ORDER, FaultKind.OUTSIDE_WINDOW, FaultKind.COUNT_MISMATCH)

    def next_url(self) -> None:
        kinds = (FaultKind.NEXT_URL_FOREIGN_HOST, FaultKind.NEXT_URL_SCHEME)
        self.often(*kinds, FaultKind.NEXT_URL_LOOP)

    def restart(self) -> None:
        for _ in range(self.chance.randint(1, 2)):
            how = self.chance.choice([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
            self.out.blows.append(Blow(self.moment(), "restart", how))

    def database_cut(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.out.blows.append(Blow(self.moment(), "cut_database"))

    def lost_commit(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.out.blows.append(Blow(self.moment(), "swallow_commit"))

    def vendor_cut(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.out.blows.append(Blow(self.moment(), "cut_vendor"))

    def slow_line(self) -> None:
        self.out.slow_line = True

    def clock_jumps(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.out.blows.append(Blow(self.moment(), "jump", timedelta(hours=self.chance.randint(-72, 72))))

    def two_runs(self) -> None:
        self.out.runs = 2

    def sigkill(self) -> None:
        for _ in range(self.chance.randint(1, 2)):
            self.out.blows.append(Blow(self.moment(), "kill"))


_IN_PROCESS = ("clock_jumps", "two_runs")  # not of a process of its own

HAZARDS = {
    method.__name__: method
    for method in (
        _Drawing.rate_limit_storm,
        _Drawing.server_errors,
        _Drawing.html,
        _Drawing.truncated,
        _Drawing.reset,
        _Drawing.stall,
        _Drawing.null_results,
        _Drawing.not_authorized,
        _Drawing.garbage_bar,
        _Drawing.repeated_bars,
        _Drawing.disorder,
        _Drawing.next_url,
        _Drawing.restart,
        _Drawing.database_cut,
        _Drawing.lost_commit,
        _Drawing.vendor_cut,
        _Drawing.slow_line,
        _Drawing.clock_jumps,
        _Drawing.two_runs,
        _Drawing.sigkill,
    )
}


def schedule_of(seed: int) -> Schedule:
    """The schedule of *seed*: always the same."""
    return _Drawing(seed).out
