"""The commands as real processes: each test its own database, a vendor to be told what goes wrong."""

import json
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from lib.vendor.emulator.server import Emulator
from lib.vendor.emulator.simulated import SimulatedMarket

MASTER, OHLCV = "master_backfill.py", "scripts/backfill_ohlcv.py"
ONE_WEEK = ("--start", "2025-01-06", "--end", "2025-01-10")
NOBODY = "postgresql://nobody@127.0.0.1:1/none"


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
        return (MASTER, "--symbols", symbols, *ONE_WEEK, "--output", self.audit_path, *options)

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
def master(command, vendor, tmp_path):
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
