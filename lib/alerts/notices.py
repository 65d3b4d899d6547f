"""What has to be said to a channel, given what it was told before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lib.alerts.judge import Severity
from lib.alerts.rules import Rule

# Runs in which a message about something that is over is tried; what still holds is tried in every run.
LAST_ATTEMPT = 10


class Kind(StrEnum):
    """Why a notice is given."""

    RAISED = "raised"
    ESCALATED = "escalated"
    RECOVERED = "recovered"
    PASSED = "passed"  # it came and went while the channel could not be reached


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition from its beginning to its end, as the table ``alerts`` holds it."""

    alert_id: int
    rule: Rule
    subject: str
    severity: Severity
    text: str
    raised_at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel knows of an alert: the severity it was told, None if it could not be reached yet."""

    severity: Severity | None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of a message."""

    kind: Kind
    alert: Alert


def notices(alerts: Iterable[tuple[Alert, Told | None]]) -> list[Notice]:
    """What to tell a channel now: every open condition once, again if it got worse, and its end.

    An alert that ended before the channel was ever tried (it is new) is not told.
    """
    return [Notice(kind, alert) for alert, told in alerts for kind in _kind(alert, told)]


def _kind(alert: Alert, told: Told | None) -> Iterator[Kind]:
    if alert.resolved_at is not None:
        if told is not None and told.attempts < LAST_ATTEMPT:
            yield Kind.PASSED if told.severity is None else Kind.RECOVERED
    elif told is None or told.severity is None:
        yield Kind.RAISED
    elif alert.severity.rank > told.severity.rank:
        yield Kind.ESCALATED
