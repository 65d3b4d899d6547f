"""A database with calendars for the tests of gaps; each test's changes are rolled back."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from lib.store.binaries import NEWEST
from lib.store.sessions import refresh_sessions
from tests.conftest import run_apart
from tests.store.gap_market import LATER, Market, open_market


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await refresh_sessions(connection, LATER.date())
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@pytest.fixture(scope="session")
def calendar_url(_test_servers) -> Iterator[str]:
    """A database with the calendars filled, shared by tests that leave nothing behind."""
    with _test_servers(NEWEST).migrated() as url:
        run_apart(_fill(url))
        yield url


@pytest.fixture
async def market(calendar_url: str) -> AsyncIterator[Market]:
    """The market of the test's own: nothing was answered yet."""
    connection = await asyncpg.connect(calendar_url, server_settings={"jit": "off"})
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield await open_market(connection)
    finally:
        await transaction.rollback()
        await connection.close()
