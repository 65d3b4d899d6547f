"""``backfill_status.py doctor``: each thing that can be wrong is named with what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.clock import ScaledClock
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

DOCTOR = ("scripts/backfill_status.py", "doctor", "--json")


@pytest.fixture
async def vendor():
    async with Emulator(SimulatedMarket()) as emulator:
        yield emulator


def levels(ended):
    return {check["check"]: check["level"] for check in ended.result["checks"] if check["level"] != "ok"}


async def test_a_set_up_that_is_whole_is_well(command, vendor, tmp_path):
    (tmp_path / ".env").touch(mode=0o600)
    ended = await command(*DOCTOR, POLYGON_BASE_URL=vendor.url)

    names = [check["check"] for check in ended.result["checks"]]
    assert set(names) == {"secrets", "disk", "database", "rights", "plan", "clock"}
    assert {"plan", "clock", "secrets", "rights", "database"} & set(levels(ended)) == set()
    assert vendor.counts.total == 2


@pytest.mark.parametrize(
    ("settings", "check", "level"),
    [
        ({"POLYGON_API_KEY": "another"}, "key", "critical"),
        ({"POLYGON_API_KEY": None}, "key", "critical"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "database", "critical"),
    ],
)
async def test_what_a_night_would_fail_by_is_critical(command, vendor, settings, check, level):
    ended = await command(*DOCTOR, **{"POLYGON_BASE_URL": vendor.url} | settings)

    assert ended.status == 2
    assert levels(ended)[check] == level
    assert all(one["do"] for one in ended.result["checks"] if one["level"] != "ok")


async def test_what_others_may_read_and_what_the_plan_lacks_are_warnings(command, vendor, tmp_path):
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(0o644)
    vendor.change(refused_markets=["crypto"])
    ended = await command(*DOCTOR, POLYGON_BASE_URL=vendor.url)

    assert ended.status == 1
    assert {"secrets": "warning", "plan": "warning"}.items() <= levels(ended).items()


async def test_a_clock_that_is_ahead_of_the_vendors_is_named(command):
    late = ScaledClock(datetime.now(UTC) - timedelta(minutes=10))
    async with Emulator(SimulatedMarket(), clock=late) as vendor:
        ended = await command(*DOCTOR, POLYGON_BASE_URL=vendor.url)

    assert levels(ended)["clock"] == "warning"
