"""The commands as real processes: each test its own database, a vendor to be told what goes wrong."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from lib.store.sessions import refresh_sessions
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

ONE_WEEK = ("--start", "2025-01-06", "--end", "2025-01-10")
_copies: dict[str, io.BytesIO] = {}


@pytest.fixture
async def vendor():
    """A running emulator; ``change`` makes it misbehave, ``counts`` tells what it was asked."""
    async with Emulator(SimulatedMarket(size=50)) as emulator:
        yield emulator


@dataclass
class Master:
    """The main job on the test's database and vendor, one week of data unless told otherwise."""

    command: object
    vendor: Emulator
    audit_path: Path

    def _arguments(self, symbols, options):
        return ("master_backfill.py", "--symbols", symbols, *ONE_WEEK, "--output", self.audit_path, *options)

    async def __call__(self, symbols, *options, **settings):
        settings = {"POLYGON_BASE_URL": self.vendor.url} | settings
        return await self.command(*self._arguments(symbols, options), **settings)

    async def start(self, symbols, *options, **settings):
        settings = {"POLYGON_BASE_URL": self.vendor.url} | settings
        return await self.command.start(*self._arguments(symbols, options), **settings)

    @property
    def audit(self):
        return json.loads(self.audit_path.read_text())


@pytest.fixture
async def calendars(database_url):
    """The trading calendar is in the database already: the library takes a second, so it is asked once."""
    connection = await asyncpg.connect(database_url)
    try:
        if not _copies:
            await refresh_sessions(connection, datetime.now(UTC).date())
            for table in ("calendars", "trading_sessions"):
                _copies[table] = io.BytesIO()
                await connection.copy_from_table(table, output=_copies[table], format="binary")
            return
        for table, rows in _copies.items():
            rows.seek(0)
            await connection.copy_to_table(table, source=rows, format="binary")
    finally:
        await connection.close()


@pytest.fixture
def master(command, vendor, tmp_path, calendars):
    return Master(command, vendor, tmp_path / "audit.json")


@pytest.fixture
def fetch(database_url):
    """Asks the test's database."""

    async def ask(query, *arguments):
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    return ask
