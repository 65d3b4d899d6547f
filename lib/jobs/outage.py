"""Telling that the database cannot be reached, once, and that it can be again."""

from collections.abc import Sequence
from datetime import datetime

from lib.alerts import Alert, Condition, Kind, Notice, Rule, Rules, Severity
from lib.clock import Clock
from lib.errors import DatabaseError
from lib.jobs.alerts import Delivery, Watch, deliver
from lib.notify import Channel, compose
from lib.notify.outage import OutageNote


async def tell_outage(
    note: OutageNote,
    error: DatabaseError,
    name: str,
    rules: Rules,
    channels: Sequence[Channel],
    clock: Clock,
) -> Watch:
    """Tell those of *channels* that do not know it yet that the database *name* failed with *error*."""
    if Rule.DATABASE in rules.off:
        return Watch(())
    told = note.told()
    due = [channel for channel in channels if channel.name not in told]
    done = [await _tell(Kind.RAISED, channel, str(error), name, clock) for channel in due]
    note.write(told | _arrived(done))
    return Watch([Condition(Rule.DATABASE, "database", Severity.CRITICAL, str(error))], done)


async def tell_recovery(
    note: OutageNote, name: str, channels: Sequence[Channel], clock: Clock
) -> list[Delivery]:
    """Tell those of *channels* that know of an outage that it is over."""
    told = note.told()
    text = f"the database {name} can be reached again"
    due = [channel for channel in channels if channel.name in told]
    done = [await _tell(Kind.RECOVERED, channel, text, name, clock) for channel in due]
    if told:
        note.write(told & {channel.name for channel in channels} - _arrived(done))
    return done


def _arrived(done: Sequence[Delivery]) -> set[str]:
    return {delivery.channel for delivery in done if delivery.error is None}


async def _tell(kind: Kind, channel: Channel, text: str, name: str, clock: Clock) -> Delivery:
    notice = Notice(kind, _alert(text, clock.now()))
    error = await deliver(channel, compose([notice], name, clock.now()), clock)
    return Delivery(channel.name, [notice], error)


def _alert(text: str, now: datetime) -> Alert:
    return Alert(0, Rule.DATABASE, "database", Severity.CRITICAL, text, now)
