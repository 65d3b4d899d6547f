"""From what the database says to what each channel has been told: judge, note, deliver what is due."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.alerts import Condition, Notice, Rules, SeriesSeen, Severity, Situation, judge, notices
from lib.clock import Clock
from lib.errors import DeliveryFailed, DeliveryRefused
from lib.freshness import Freshness
from lib.jobs.status import SeriesState, stored_series
from lib.notify import Channel, Message, compose
from lib.retry import RetryPolicy, repeat
from lib.store.alerts import AlertStore
from lib.store.database import Database

# A run must not wait long for somebody who is not there; the next one tries again.
PATIENCE = RetryPolicy(max_attempts=3)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of telling one channel. *error* None: *notices* arrived, or there was nothing to say."""

    channel: str
    notices: Sequence[Notice]
    error: DeliveryFailed | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """What holds now, and what came of telling it."""

    conditions: Sequence[Condition]
    deliveries: Sequence[Delivery] = ()

    @property
    def worst(self) -> Severity | None:
        return max((c.severity for c in self.conditions), key=lambda s: s.rank, default=None)


async def watch(database: Database, rules: Rules, channels: Sequence[Channel], clock: Clock) -> Watch:
    """Judge the database and tell each of *channels* what it does not know; a failed delivery is in the result.

    Raises DatabaseError only.
    """
    series = await stored_series(database, clock)
    async with AlertStore.alone(database) as store:
        conditions = judge(await _situation(store, series, clock), rules)
        await store.write(conditions, clock.now())
        deliveries = [await _tell(store, channel, database.name, clock) for channel in channels]
    return Watch(conditions, deliveries)


async def _situation(store: AlertStore, series: Sequence[SeriesState], clock: Clock) -> Situation:
    now = clock.now()
    seen = [SeriesSeen(s.symbol, s.timeframe, s.age, s.freshness is Freshness.MISSING) for s in series]
    return Situation(now, await store.gaps(), await store.runs(now), seen)


async def _tell(store: AlertStore, channel: Channel, database: str, clock: Clock) -> Delivery:
    """One message for all that is due. If we are killed before it is noted, it is told twice, not never."""
    due = notices(await store.read(channel.name))
    if not due:
        return Delivery(channel.name, ())
    error = await deliver(channel, compose(due, database, clock.now()), clock)
    alerts = [notice.alert for notice in due]
    await store.note(channel.name, alerts, clock.now(), told=error is None)
    return Delivery(channel.name, due, error)


async def deliver(channel: Channel, message: Message, clock: Clock) -> DeliveryFailed | None:
    """Deliver *message*, with some patience; the failure if it could not be."""
    try:
        await repeat(lambda: channel.deliver(message), policy=PATIENCE, clock=clock, again=_may_pass)
    except DeliveryFailed as error:
        return error
    return None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, DeliveryFailed) and not isinstance(error, DeliveryRefused)
