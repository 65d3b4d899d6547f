"""The rules and their thresholds: defaults here, a TOML file over them; one frozen object."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from lib.errors import AlertRulesInvalid


class Rule(StrEnum):
    """What is watched."""

    DATABASE = "database"
    GAP = "gap"
    BACKFILL = "backfill"
    FEATURES = "features"
    RATE_LIMIT = "rate_limit"
    FRESHNESS = "freshness"


_LONGEST = 100_000  # characters
Days = Annotated[int, Meta(ge=0, le=36_500)]
Hours = Annotated[float, Meta(ge=0, le=1e6)]
Threshold = Literal["warning", "critical", "off"]


class GapRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A gap of more than so many missing sessions; a missing week counts as seven."""

    warning_days: Days = 1
    critical_days: Days = 7


class BackfillRule(Struct, frozen=True, forbid_unknown_fields=True):
    """So many days in a row on which a run failed and none did better."""

    failed_days: Annotated[int, Meta(ge=1, le=36_500)] = 3


class RateLimitRule(Struct, frozen=True, forbid_unknown_fields=True):
    """More than this share of a run's requests was answered 429."""

    percent: Annotated[float, Meta(ge=0, le=100)] = 5.0


class FreshnessRule(Struct, frozen=True, forbid_unknown_fields=True):
    """The age of a series in hours of market time, at least; *missing*: what one without bars is worth."""

    warning_hours: Hours = 24.0
    critical_hours: Hours = 72.0
    missing: Threshold = "warning"


class Mail(Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """Where mail is handed in. Without *to* none is sent. *ca_file*: a CA of one's own, in PEM."""

    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "ssl", "none"] = "starttls"
    sender: str = "market-backfill@localhost"
    to: tuple[Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = ()
    ca_file: str | None = None


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """All thresholds. *off*: rules that are not watched."""

    off: tuple[Rule, ...] = ()
    gap: GapRule = GapRule()
    backfill: BackfillRule = BackfillRule()
    rate_limit: RateLimitRule = RateLimitRule()
    freshness: FreshnessRule = FreshnessRule()
    mail: Mail = Mail()


def read_rules(path: Path | None) -> Rules:
    """The rules of a TOML file over the defaults; None: the defaults.

    Raises AlertRulesInvalid naming the key.
    """
    if path is None:
        return Rules()
    try:
        rules = msgspec.convert(tomllib.loads(_text(path)), Rules)
    except OSError as error:
        raise AlertRulesInvalid(f"the alert rules {path} cannot be read: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise AlertRulesInvalid(f"the alert rules {path}: {_problem(error)}") from error
    except (ValueError, RecursionError) as error:  # bad UTF-8 and endless numbers are no TOMLDecodeError
        raise AlertRulesInvalid(f"the alert rules {path} are not TOML: {error}") from error
    for low, high, less in (
        (rules.gap.warning_days, rules.gap.critical_days, "gap.critical_days lies below gap.warning_days"),
        (
            rules.freshness.warning_hours,
            rules.freshness.critical_hours,
            "freshness.critical_hours lies below freshness.warning_hours",
        ),
    ):
        if high < low:
            raise AlertRulesInvalid(f"the alert rules {path}: {less}")
    return rules


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise AlertRulesInvalid(f"the alert rules {path} are longer than {_LONGEST:,} characters")
    return text


def _problem(error: msgspec.ValidationError) -> str:
    """``gap.warning_days: Expected `int`, got `str```, the key first."""
    problem, _, key = str(error).partition(" - at `$.")
    return f"{key.rstrip('`')}: {problem}" if key else problem
