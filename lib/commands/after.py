"""What a command does when its run is over, if asked: tell who should know, leave the figures for a monitor.

Nothing of it changes the exit status of the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lib.alerts import Rules, Severity, read_rules
from lib.clock import Clock, SystemClock
from lib.commands.running import Output, told
from lib.errors import BackfillError, DatabaseError
from lib.jobs.alerts import Delivery, Watch, watch
from lib.jobs.outage import tell_outage, tell_recovery
from lib.notify import Channel, channels
from lib.notify.outage import OutageNote
from lib.settings import Settings
from lib.store.database import open_database

ROOT = Path(__file__).resolve().parents[2]
RULES_FILE = "alerts.toml"
OUTAGE_FILE = "database-outage"


@dataclass(frozen=True, slots=True)
class Wanted:
    """As typed: ``--alert``."""

    alert: bool = False


NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Alerting:
    """By which rules who is told."""

    rules: Rules
    channels: Sequence[Channel]
    note: OutageNote


@dataclass(frozen=True, slots=True)
class AfterRun:
    """*Wanted*, made ready before the run: what cannot be used is said before anything is done."""

    settings: Settings
    alerting: Alerting | None = None

    async def __call__(self, output: Output) -> None:
        """Never raises what went wrong in it: the run is over."""
        if self.alerting is None:
            return
        try:
            seen = await look_and_tell(self.alerting, self.settings, SystemClock())
        except BackfillError as error:
            output.warning(f"no alert could be given: {error}", error.hint)
            return
        show(output.console(always=True), seen)
        for delivery in seen.deliveries:
            report(delivery, output)


def after_run(wanted: Wanted, settings: Settings) -> AfterRun:
    """What is *wanted* after a run on the database of *settings*. Raises AlertRulesInvalid."""
    return AfterRun(settings, alerting_of(settings) if wanted.alert else None)


def alerting_of(settings: Settings) -> Alerting:
    """The rules of the file that is named, else of the checkout's if it has one, and the channels.

    Raises AlertRulesInvalid.
    """
    beside = ROOT / RULES_FILE
    rules = read_rules(settings.alert_rules or (beside if beside.is_file() else None))
    return Alerting(rules, channels(settings, rules), OutageNote(settings.home / OUTAGE_FILE))


async def look_and_tell(alerting: Alerting, settings: Settings, clock: Clock) -> Watch:
    """What holds on the database of *settings*, told to whom it is new; that it cannot be reached is such a thing.

    Raises BackfillError other than DatabaseError.
    """
    name, told_before = settings.database_name, alerting.note
    try:
        async with open_database(settings, clock=clock) as database:
            seen = await watch(database, alerting.rules, alerting.channels, clock)
    except DatabaseError as error:
        return await tell_outage(told_before, error, name, alerting.rules, alerting.channels, clock)
    again = await tell_recovery(told_before, name, alerting.channels, clock)
    return Watch(seen.conditions, (*again, *seen.deliveries))


def show(console: Console, seen: Watch) -> None:
    """What holds, a line each."""
    for condition in seen.conditions:
        style = "red" if condition.severity is Severity.CRITICAL else "yellow"
        console.print(f"[{style}]{condition.severity}[/]: {escape(condition.text)}")


def report(delivery: Delivery, output: Output) -> None:
    """Say what became of a delivery; a failed one is not silenced by --quiet."""
    if delivery.error is not None:
        output.warning(f"not delivered: {delivery.error}", delivery.error.hint)
    elif delivery.notices:
        output.console().print(f"alerts    {len(delivery.notices)} told by {delivery.channel}")
        told.info("%d alerts told by %s", len(delivery.notices), delivery.channel)
