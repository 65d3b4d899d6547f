"""``backfill_status.py doctor``: is everything there that a night needs, and what to do if not."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape

from lib.clock import Clock, SystemClock, to_ms
from lib.commands.after import ROOT
from lib.commands.backfill import demo_vendor
from lib.commands.running import set_up_logging
from lib.commands.status_reading import Place
from lib.commands.tables import result_console
from lib.errors import DatabaseError, NotEntitled, VendorError
from lib.health import Level
from lib.settings import Settings
from lib.store.database import Database, open_database
from lib.store.records import Records
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from lib.wiring import Toolkit, VendorTerms, open_toolkit
from lib.zones import floor_to_window

GIGABYTE = 10**9
TIGHT_BYTES, FULL_BYTES = 5 * GIGABYTE, 1 * GIGABYTE
PROBES = (Instrument("AAPL", AssetClass.STOCK, "AAPL"), Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD"))
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "red"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. *remedy*: what to do where it is not ok."""

    name: str
    level: Level
    text: str
    remedy: str = ""


async def examine(place: Place) -> int:
    """Print every check; the worst is the exit status: 0 ok, 1 a warning, 2 critical."""
    async with AsyncExitStack() as stack:
        settings = place.settings()
        if place.demo:
            settings = await stack.enter_async_context(demo_vendor(settings))
        set_up_logging(place.output, settings)
        checks = [
            *_of_machine(settings),
            *[check async for check in _of_services(place, settings, SystemClock())],
        ]
    place.output.result({"checks": [_document(check) for check in checks]})
    if not place.output.as_json:
        _show(checks)
    return max(check.level for check in checks)


def _show(checks: list[Check]) -> None:
    console = result_console()
    for check in checks:
        word = f"[{_COLOURS[check.level]}]{check.level.name.lower():<8}[/]"
        console.print(f"{word} {check.name:<9} {escape(check.text)}", soft_wrap=True)
        if check.remedy:
            console.print(f"         [dim]do:[/]       {escape(check.remedy)}", soft_wrap=True)


def _of_machine(settings: Settings) -> Iterator[Check]:
    for folder in dict.fromkeys((Path.cwd(), ROOT)):
        if (file := folder / ".env").is_file():
            yield _private(file)
    place = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    level = Level.CRITICAL if free < FULL_BYTES else Level.WARNING if free < TIGHT_BYTES else Level.OK
    remedy = "make room, or see: python scripts/backfill_status.py prune" if level else ""
    yield Check("disk", level, f"{free / GIGABYTE:.1f} GB free at {place}", remedy)


def _private(file: Path) -> Check:
    if file.stat().st_mode & 0o077:
        return Check("secrets", Level.WARNING, f"others may read {file}", f"chmod 600 {file}")
    return Check("secrets", Level.OK, f"only its owner may read {file}")


async def _of_services(place: Place, settings: Settings, clock: Clock) -> AsyncIterator[Check]:
    try:
        async with open_database(settings, clock=clock) as database:
            async for check in _of_database(settings, database):
                yield check
            async for check in _of_vendor(place, settings, database, clock):
                yield check
    except DatabaseError as error:
        yield Check("database", Level.CRITICAL, str(error), error.hint)


async def _of_database(settings: Settings, database: Database) -> AsyncIterator[Check]:
    rights = await Records(database).rights()
    kind = "embedded" if settings.database_url is None else "of your own"
    size = rights["size_bytes"] / GIGABYTE
    yield Check(
        "database", Level.OK, f"PostgreSQL {rights['version']}, {kind}, {size:.2f} GB, schema up to date"
    )
    who = f"role {rights['role']} in schema {rights['schema']}"
    if not rights["writes"]:
        yield Check(
            "rights",
            Level.CRITICAL,
            f"{who} may not write",
            "grant it what BACKFILL_QUICKSTART.md section 3 lists",
        )
    else:
        more = "write and migrate" if rights["migrates"] else "write; its owner migrates"
        yield Check("rights", Level.OK, f"{who} may {more}")


async def _of_vendor(
    place: Place, settings: Settings, database: Database, clock: Clock
) -> AsyncIterator[Check]:
    if not settings.api_key:
        yield Check(
            "key", Level.CRITICAL, "no API key is set", "set POLYGON_API_KEY in .env or the environment"
        )
        return
    terms = VendorTerms(max_attempts=2, shared=not place.demo, insecure_http=place.insecure_http)
    async with open_toolkit(settings, terms, clock, database) as toolkit:
        for instrument in PROBES:
            check = await _probe(toolkit, instrument)
            yield check
            if check.level is Level.CRITICAL:
                return
    yield _of_clock(toolkit)


async def _probe(toolkit: Toolkit, instrument: Instrument) -> Check:
    """Day bars of the last week but the last days: every plan includes them."""
    now = toolkit.clock.now()
    start, end = (
        floor_to_window(to_ms(now - timedelta(days=days)), Timeframe.D1, instrument.zone) for days in (12, 5)
    )
    name = f"{instrument.asset_class} bars"
    try:
        async for page in toolkit.vendor.pages(instrument, Timeframe.D1, start, end):
            if page.vendor_now:
                toolkit.lag.observe(toolkit.clock.now(), page.vendor_now)
    except NotEntitled as error:
        return Check(
            "plan", Level.WARNING, f"no {name}: {error}", "fine if you want none; else upgrade the plan"
        )
    except VendorError as error:
        return Check("key", Level.CRITICAL, str(error), error.hint)
    return Check("plan", Level.OK, f"the key is accepted and includes {name}")


def _of_clock(toolkit: Toolkit) -> Check:
    ahead = toolkit.lag.ahead.total_seconds()
    if ahead:
        return Check(
            "clock",
            Level.WARNING,
            f"this machine is {ahead:.0f} s ahead of the vendor",
            "let NTP set the clock",
        )
    return Check("clock", Level.OK, "not ahead of the vendor's")


def _document(check: Check) -> dict[str, Any]:
    return {"check": check.name, "level": check.level.name.lower(), "text": check.text, "do": check.remedy}
