"""What came of a refresh of splits and dividends, for the audit and for people."""

from dataclasses import dataclass, field

from lib.actions import Changes, Dividend, E, Event, RefusedEvent, Split
from lib.adjustment import shown
from lib.audit.actions import ActionKind, CorporateActions, PriceJump, SuspectSplit
from lib.outcome import SeriesStatus
from lib.store.actions import Judged, Jump

_FINE = (SeriesStatus.OK, SeriesStatus.NOT_ENTITLED)


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

    def document(self) -> ActionKind:
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
    knows of. *unusable*: symbol and line of the dividends that total returns leave out.
    """

    splits: KindOutcome[Split] = field(default_factory=KindOutcome)
    dividends: KindOutcome[Dividend] = field(default_factory=KindOutcome)
    suspects: list[Judged] = field(default_factory=list)
    rebased: dict[str, str] = field(default_factory=dict)
    jumps: list[Jump] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Everything asked for was had, or is not ours to have."""
        return self.splits.status in _FINE and self.dividends.status in _FINE

    @property
    def whole(self) -> bool:
        """And all of it can be used."""
        return self.answered and not self.splits.refused and not self.dividends.refused

    @property
    def failed(self) -> bool:
        """Nothing of it could be had."""
        return all(kind.status is SeriesStatus.FAILED for kind in (self.splits, self.dividends))

    def document(self) -> CorporateActions:
        """The outcome for programs, in the form of the audit."""
        return {
            "splits": self.splits.document(),
            "dividends": self.dividends.document(),
            "suspect": [_suspect(judged) for judged in self.suspects],
            "jumps": [_jump(jump) for jump in self.jumps],
            "unusable_dividends": [line for _, line in self.unusable],
            "features_stale": sorted(self.rebased),
        }

    def findings(self) -> list[str]:
        """What a person should know, a line each; of what stands from run to run only what is new."""
        lines = []
        for name, kind in (("splits", self.splits), ("dividends", self.dividends)):
            lines += [f"{name}: {kind.error}"] if kind.error else []
            lines += [f"{name}: refused {refused}" for refused in kind.refused]
            lines += [f"changed: {_named(old)} is now {_named(event)}" for old, event in kind.changed]
            lines += [f"no longer listed, asked again: {_named(event)}" for event in kind.missing]
            lines += [f"taken back by the vendor: {_named(event)}" for event in kind.withdrawn]
        lines += [_shown_suspect(judged) for judged in self.suspects if judged.new]
        lines += [_shown_jump(jump) for jump in self.jumps if jump.new]
        news = set(self.dividends.symbols)
        return lines + [f"not in total returns: {line}" for symbol, line in self.unusable if symbol in news]

    def stale(self) -> list[str]:
        """Whose features are stale from the beginning, and why, a line each."""
        return [
            f"{symbol} is now adjusted by {by or 'nothing'}; its features are stale from the beginning"
            for symbol, by in sorted(self.rebased.items())
        ]


def _named(event: Event) -> str:
    what = shown(event.ratio) if isinstance(event, Split) else f"{event.cash_amount:f} {event.currency}"
    return f"{event.symbol} {event.day} {what}"


def _suspect(judged: Judged) -> SuspectSplit:
    return {
        "symbol": judged.split.symbol,
        "date": judged.split.day.isoformat(),
        "ratio": shown(judged.split.ratio),
        "observed": judged.verdict.observed,
        "applied": judged.applied,
        "reason": judged.verdict.reason,
        "new": judged.new,
    }


def _jump(jump: Jump) -> PriceJump:
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
