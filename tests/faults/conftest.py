"""Servers that may be killed."""

import pytest

from tests.end_to_end.conftest import Workbench, jump_clock, workbench_of
from tests.faults.server import MortalServer, proxied

__all__ = ["Workbench", "jump_clock", "workbench_of"]


@pytest.fixture
def mortal(tmp_path):
    """A server of the test's own."""
    server = MortalServer(tmp_path / "home")
    yield server
    server.leave()


@pytest.fixture
async def through_proxy(database_url):
    """A proxy before the test's database, and the URL through it."""
    async with proxied(database_url) as both:
        yield both
