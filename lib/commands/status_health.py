"""``backfill_status.py health``: one word for the monitor, the reasons for the person."""

from datetime import timedelta
from typing import Any

from rich.markup import escape

from lib.alerts import Rules
from lib.commands.after import alerting_of
from lib.commands.status_reading import Place, reading, watched
from lib.commands.tables import result_console
from lib.errors import BackfillError
from lib.health import Health, Level, Reason, Thresholds, judge
from lib.jobs.record import FETCHING
from lib.jobs.status import read_facts, stored_series

STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "bold red", Level.UNKNOWN: "magenta"}


async def show_health(plan: str | None, place: Place, every_seconds: int | None) -> int:
    """Print the health on stdout; its number is the exit status, 3 also where it cannot be found out."""
    try:
        async with reading(place) as opened:
            limits = thresholds_of(alerting_of(opened.settings).rules)

            async def show() -> int:
                series = await stored_series(opened.database, opened.clock, plan)
                facts = await read_facts(opened.records, series, opened.clock.now())
                return _print(judge(facts, limits), place)

            return await watched(show, every_seconds, opened.clock)
    except BackfillError as error:
        reason = Reason(Level.UNKNOWN, "unreachable", str(error), error.hint)
        return _print(Health(Level.UNKNOWN, [reason]), place)


# What each rule of the alerts is called here.
_CONDITIONS = {
    "gap": {"gap"},
    "backfill": {
        "silent",
        "never_run",
        *(f"{how}:{script}" for how in ("failed", "partial") for script in FETCHING),
    },
    "features": {"failed:backfill_features", "partial:backfill_features"},
    "rate_limit": {"rate_limited"},
    "freshness": {"age", "missing"},
}


def thresholds_of(rules: Rules) -> Thresholds:
    """The thresholds of the alerts' rules: what is told by mail is what health says."""
    return Thresholds(
        gap_warning=rules.gap.warning_days,
        gap_critical=rules.gap.critical_days,
        age_warning=timedelta(hours=rules.freshness.warning_hours),
        age_critical=timedelta(hours=rules.freshness.critical_hours),
        failed_days_critical=rules.backfill.failed_days,
        rate_limited_percent_warning=rules.rate_limit.percent,
        missing=None if rules.freshness.missing == "off" else Level[rules.freshness.missing.upper()],
        off=frozenset().union(*(_CONDITIONS.get(rule, set()) for rule in rules.off)),
    )


def document(health: Health) -> dict[str, Any]:
    """The health for --json."""
    return {
        "status": health.level.name.lower(),
        "exit_status": int(health.level),
        "reasons": [
            {
                "level": reason.level.name.lower(),
                "condition": reason.condition,
                "text": reason.text,
                "hint": reason.hint or None,
            }
            for reason in health.reasons
        ],
    }


def _print(health: Health, place: Place) -> int:
    place.output.result(document(health))
    if not place.output.as_json:
        console = result_console()
        word, _, told = health.line.partition(":")
        console.print(f"[{STYLE[health.level]}]{word}[/]:{escape(told)}", soft_wrap=True)
        for reason in health.reasons if not place.output.quiet else ():
            console.print(
                f"[{STYLE[reason.level]}]{reason.level.name.lower()}[/] {escape(reason.text)}", soft_wrap=True
            )
            if reason.hint:
                console.print(f"  [dim]next: {escape(reason.hint)}[/]", soft_wrap=True)
    return int(health.level)
