"""The words of a message: what is new, what got worse, what is over, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lib.alerts import Condition, Kind, Notice, Severity

MOST_LINES = 40  # a market that was down all night is one message, not a book

_TITLES = {Kind.ESCALATED: "worse: ", Kind.RECOVERED: "recovered: ", Kind.PASSED: "came and went: "}


@dataclass(frozen=True, slots=True)
class Message:
    """What is delivered. *subject*: one line; *lines*: the body."""

    subject: str
    lines: tuple[str, ...]

    @property
    def body(self) -> str:
        return "\n".join(self.lines)


def compose(notices: Sequence[Notice], database: str, now: datetime) -> Message:
    """The message that says *notices*; *database*: where they hold, without its password."""
    ordered = sorted(notices, key=lambda n: (_over(n), -n.alert.severity.rank, n.alert.raised_at))
    lines = [_line(notice) for notice in ordered[:MOST_LINES]]
    if len(ordered) > MOST_LINES:
        lines.append(f"and {len(ordered) - MOST_LINES} more: python scripts/backfill_status.py health")
    remedies = dict.fromkeys(_remedy(notice) for notice in ordered if not _over(notice))
    lines += [f"next: {remedy}" for remedy in remedies]
    lines.append(f"{database}, {now:%Y-%m-%d %H:%M} UTC")
    return Message(_subject(ordered), tuple(lines))


def test_message(database: str, now: datetime) -> Message:
    """A message that says nothing but that it arrives."""
    return Message("market-backfill: test", ("alerts arrive here", f"{database}, {now:%Y-%m-%d %H:%M} UTC"))


def _over(notice: Notice) -> bool:
    return notice.kind in (Kind.RECOVERED, Kind.PASSED)


def _line(notice: Notice) -> str:
    alert = notice.alert
    since = f" (since {alert.raised_at:%Y-%m-%d %H:%M} UTC)" if notice.kind is not Kind.RAISED else ""
    return (
        f"{_TITLES.get(notice.kind, '')}{'' if _over(notice) else f'{alert.severity}: '}{alert.text}{since}"
    )


def _remedy(notice: Notice) -> str:
    alert = notice.alert
    return Condition(alert.rule, alert.subject, alert.severity, alert.text).remedy


def _subject(notices: Sequence[Notice]) -> str:
    counts = {
        "critical": sum(not _over(n) and n.alert.severity is Severity.CRITICAL for n in notices),
        "warning": sum(not _over(n) and n.alert.severity is Severity.WARNING for n in notices),
        "recovered": sum(_over(n) for n in notices),
    }
    return "market-backfill: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
