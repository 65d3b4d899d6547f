"""What the commands of ``backfill_status.py`` share: an open database, durations as people read them, --watch."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lib.clock import Clock, SystemClock
from lib.commands.backfill import ROOT, of_demo, tell_database
from lib.commands.running import Output, set_up_logging
from lib.commands.tables import result_console
from lib.settings import Settings, load_settings
from lib.store.database import Database, open_database
from lib.store.records import Records


@dataclass(frozen=True, slots=True)
class Place:
    """Which database is looked into, as typed, and where the command talks."""

    output: Output
    database_url: str | None
    demo: bool
    insecure_http: bool = False

    def settings(self) -> Settings:
        """The settings to look with. Raises UsageError."""
        settings = load_settings(database_url=self.database_url, script_folder=ROOT)
        return of_demo(settings) if self.demo else settings


@dataclass(frozen=True, slots=True)
class Reading:
    """An open database and who reads its records."""

    settings: Settings
    clock: Clock
    database: Database
    records: Records


@asynccontextmanager
async def reading(place: Place, clock: Clock | None = None) -> AsyncIterator[Reading]:
    """The records of the database that is meant, for the block."""
    settings, clock = place.settings(), clock or SystemClock()
    set_up_logging(place.output, settings)
    tell_database(settings, place.output, demo=place.demo)
    async with open_database(settings, clock=clock) as database:
        yield Reading(settings, clock, database, Records(database))


async def watched(show: Callable[[], Awaitable[int]], every_seconds: int | None, clock: Clock) -> int:
    """The status of *show*; with *every_seconds* again and again on a cleared screen, until interrupted."""
    while True:
        if every_seconds is not None:
            result_console().clear()
        status = await show()
        if every_seconds is None:
            return status
        await clock.sleep(every_seconds)


def minute(moment: datetime | None) -> str:
    """An instant to the minute in UTC; nothing for None."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


def duration(seconds: float | None) -> str:
    """How long something took: ``0.4 s``, ``3 min 12 s``, ``2 h 5 min``."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3_600:.0f} h {seconds % 3_600 // 60:.0f} min"


def hours(age: timedelta | None) -> str:
    """An age in market time: ``12 min``, ``3.5 h``, ``40 h``."""
    if age is None:
        return ""
    minutes = age.total_seconds() / 60
    if minutes < 60:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 600 else f"{minutes / 60:,.0f} h"
