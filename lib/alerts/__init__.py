"""What deserves to wake somebody, and in which words: rules over what the database says. Pure."""

from lib.alerts.judge import Condition, GapSeen, RunSeen, SeriesSeen, Severity, Situation, judge
from lib.alerts.notices import Alert, Kind, Notice, Told, notices
from lib.alerts.rules import Mail, Rule, Rules, read_rules

__all__ = [
    "Alert",
    "Condition",
    "GapSeen",
    "Kind",
    "Mail",
    "Notice",
    "Rule",
    "Rules",
    "RunSeen",
    "SeriesSeen",
    "Severity",
    "Situation",
    "Told",
    "judge",
    "notices",
    "read_rules",
]
