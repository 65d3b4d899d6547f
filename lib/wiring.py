"""Opens what a job needs, in order, and closes it in the reverse: the one place that knows all rooms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

from lib.breaker import Breaker
from lib.budget import Budget
from lib.clock import Clock, Lag
from lib.entitlement import Entitlement
from lib.estimate import Loads
from lib.outcome import Busy
from lib.retry import RetryPolicy
from lib.sessions import Delay, Plans, SessionTable
from lib.settings import Settings, check_origin
from lib.store.database import Database, open_database
from lib.store.features import FeatureStore
from lib.store.sessions import load_sessions, refresh_sessions
from lib.store.shared_budget import shared_budget
from lib.store.store import Store
from lib.symbols import ALWAYS_OPEN, NYSE, Instrument
from lib.vendor.client import VendorClient

ANSWERS_IN_FLIGHT = 8  # each holds at most two pages of 50,000 bars: this bounds memory
UNLIMITED_AT_ONCE = 8  # without a limit the latency is what is left to wait for


@dataclass(frozen=True, slots=True)
class VendorTerms:
    """How the vendor may be asked. *rate_limit*: requests a minute, 0 = none but 100 a second.

    *shared*: with all who use the key and the database; not where the vendor is the run's own. *at_once*: as many
    requests on their way where there is a limit: three, 200 ms away, are 900 a minute.
    """

    rate_limit: int = 150
    max_attempts: int = 5
    max_requests: int | None = None
    plans: Plans = field(default_factory=Plans)
    shared: bool = True
    max_outage_minutes: float = 60.0
    insecure_http: bool = False
    at_once: int = 3

    @property
    def requests_at_once(self) -> int:
        return self.at_once if self.rate_limit else max(self.at_once, UNLIMITED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Toolkit:
    """What a job works with; whoever is handed it does not close it. *sent*: requests so far, by kind."""

    settings: Settings
    clock: Clock
    store: Store
    vendor: VendorClient
    budget: Budget
    plans: Plans
    sessions: dict[str, SessionTable]
    in_flight: asyncio.Semaphore
    api_busy: Busy
    entitlement: Entitlement = field(default_factory=Entitlement)
    lag: Lag = field(default_factory=Lag)
    sent: Loads = field(default_factory=Loads)
    windows_at_once: int = ANSWERS_IN_FLIGHT
    max_requests: int | None = None

    def now(self) -> datetime:
        """The present by our clock or the vendor's, whichever is behind: it decides what has settled."""
        return self.clock.now() - self.lag.ahead

    @property
    def budget_spent(self) -> bool:
        """Whether --max-requests leaves nothing to send."""
        return self.max_requests is not None and self.budget.sent >= self.max_requests

    def delay(self, instrument: Instrument) -> Delay:
        """How late the plan's data of this instrument is."""
        return self.plans.terms(instrument.asset_class).delay


@dataclass(frozen=True, slots=True)
class FeatureTools:
    """What the features are computed with; no vendor among it."""

    settings: Settings
    clock: Clock
    store: FeatureStore
    sessions: dict[str, SessionTable]


async def feature_tools(settings: Settings, clock: Clock, database: Database) -> FeatureTools:
    """The tools on an open database: calendars fresh. They need no closing."""
    return FeatureTools(settings, clock, FeatureStore(database), await calendars(database, clock))


async def calendars(database: Database, clock: Clock, since: date | None = None) -> dict[str, SessionTable]:
    """The trading calendars as they are in the database; filled first where they do not reach far enough.

    *since*: only sessions from this date on, which is quicker; None: all.
    """
    return await database.outage.outlast(lambda: _fresh_calendars(database, clock, since))


async def _fresh_calendars(database: Database, clock: Clock, since: date | None) -> dict[str, SessionTable]:
    async with database.connection() as connection:
        await refresh_sessions(connection, clock.now().date())
        return {name: await load_sessions(connection, name, since) for name in (NYSE, ALWAYS_OPEN)}


@asynccontextmanager
async def open_toolkit(
    settings: Settings, terms: VendorTerms, clock: Clock, database: Database
) -> AsyncIterator[Toolkit]:
    """The toolkit on an open database: calendars fresh, vendor reachable through one budget.

    Raises UsageError if the key would go over plain HTTP to another machine.
    """
    check_origin(settings.base_url, insecure_http=terms.insecure_http)
    sessions = await calendars(database, clock)
    async with (
        _budget(settings, terms, clock, database) as budget,
        VendorClient.open(
            base_url=settings.base_url,
            key=settings.api_key,
            budget=budget,
            clock=clock,
            policy=RetryPolicy(max_attempts=terms.max_attempts),
            requests_at_once=terms.requests_at_once,
            breaker=Breaker(clock, longest_outage_seconds=terms.max_outage_minutes * 60.0),
        ) as vendor,
    ):
        yield Toolkit(
            settings,
            clock,
            Store(database, clock),
            vendor,
            budget,
            terms.plans,
            sessions,
            asyncio.Semaphore(ANSWERS_IN_FLIGHT),
            Busy(clock),
            max_requests=terms.max_requests,
        )


@asynccontextmanager
async def _budget(
    settings: Settings, terms: VendorTerms, clock: Clock, database: Database
) -> AsyncIterator[Budget]:
    if not terms.shared:
        yield Budget(terms.rate_limit, clock, max_requests=terms.max_requests)
        return
    async with shared_budget(
        database, settings.api_key, terms.rate_limit, clock, max_requests=terms.max_requests
    ) as budget:
        yield budget


__all__ = [
    "ANSWERS_IN_FLIGHT",
    "FeatureTools",
    "Toolkit",
    "VendorTerms",
    "calendars",
    "feature_tools",
    "open_database",
    "open_toolkit",
]
