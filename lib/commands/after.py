"""What a command does when its run is over, if asked: tell who should know, leave the figures for a monitor.

Nothing of it changes the exit status of the run.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lib.alerts import Rules, Severity, read_rules
from lib.audit import check_output_path, write_file
from lib.clock import Clock, SystemClock
from lib.commands.running import Output, told
from lib.errors import BackfillError, DatabaseError
from lib.jobs.alerts import Delivery, Watch, watch
from lib.jobs.metrics import read_metrics
from lib.jobs.outage import tell_outage, tell_recovery
from lib.notify import Channel, channels
from lib.notify.outage import OutageNote
from lib.settings import Settings
from lib.store.database import open_database

ROOT = Path(__file__).resolve().parents[2]
RULES_FILE = "alerts.toml"
OUTAGE_FILE = "database-outage"
METRICS_OPTION = "--metrics-file"


@dataclass(frozen=True, slots=True)
class Wanted:
    """As typed: ``--alert``, ``--metrics-file``."""

    alert: bool = False
    metrics_file: Path | None = None


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
    metrics_file: Path | None = None

    async def __call__(self, output: Output) -> None:
        """Never raises what went wrong in it: the run is over."""
        if self.metrics_file is not None:
            await self._warned("no metrics", self._metrics(self.metrics_file), output)
        if self.alerting is not None:
            await self._warned("no alert", self._alert(self.alerting, output), output)

    async def _warned(self, what: str, work: Awaitable[None], output: Output) -> None:
        try:
            await work
        except BackfillError as error:
            output.warning(f"{what} could be given: {error}", error.hint)

    async def _metrics(self, path: Path) -> None:
        await write_metrics(path, self.settings, SystemClock())

    async def _alert(self, alerting: Alerting, output: Output) -> None:
        seen = await look_and_tell(alerting, self.settings, SystemClock())
        show(output.console(always=True), seen)
        for delivery in seen.deliveries:
            report(delivery, output)


def after_run(wanted: Wanted, settings: Settings) -> AfterRun:
    """What is *wanted* after a run on the database of *settings*. Raises UsageError, AlertRulesInvalid."""
    if wanted.metrics_file is not None:
        check_output_path(wanted.metrics_file, METRICS_OPTION)
    return AfterRun(settings, alerting_of(settings) if wanted.alert else None, wanted.metrics_file)


async def write_metrics(path: Path, settings: Settings, clock: Clock) -> None:
    """Replace *path* by the figures of the database. Raises DatabaseError, UsageError."""
    async with open_database(settings, clock=clock) as database:
        text = await read_metrics(database, clock)
    write_file(path, text, METRICS_OPTION)


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
