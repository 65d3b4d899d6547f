"""Whatever goes wrong: after some runs without faults the tables are those of an undisturbed run."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.outcome import RunStatus
from tests.faults.arena import SCALE, Bench, Databases, arena, difference, undisturbed
from tests.faults.schedules import HAZARDS, schedule_of
from tests.faults.server import MortalServer

SCHEDULES = 200
SHORT = (0, 1, 2, 3, 4, 5, 7, 8)  # in `make test`; the rest in `make faults`


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """The databases of a server that schedules may kill, one for each process of the tests."""
    server = MortalServer(tmp_path_factory.mktemp("mortal"))
    databases = Databases(server)
    apart(databases.prepare())
    yield databases
    server.leave()


@pytest.fixture(scope="session")
def wanted(databases):
    return apart(undisturbed(databases))


def apart(work):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.mark.parametrize(
    "seed", [s if s in SHORT else pytest.param(s, marks=pytest.mark.faults) for s in range(SCHEDULES)]
)
async def test_a_schedule_of_faults(seed, databases, wanted, tmp_path):
    schedule = schedule_of(seed)
    async with arena(schedule, databases, tmp_path) as fight:
        try:
            said = await fight.disturbed()
            bench = Bench(fight.database_url, fight.emulator, fight.clock)
            if RunStatus.COMPLETE in said:
                differs = difference(await bench.tables(), wanted)
                assert not differs, f"complete, and {differs}"
            further = await fight.further(wanted)
            differs = difference(await bench.tables(), wanted)
            assert not differs, f"{differs} after {said}, {further}; {fight.errors}"
        except BaseException as error:
            error.add_note(str(schedule))
            raise


def test_every_schedule_mixes_three_hazards_and_all_of_them_occur():
    schedules = [schedule_of(seed) for seed in range(SCHEDULES)]
    hazards = Counter(hazard for schedule in schedules for hazard in schedule.hazards)

    assert min(len(schedule.hazards) for schedule in schedules) >= 3
    assert hazards.keys() == HAZARDS.keys()
    assert min(hazards.values()) >= 15
    assert str(schedule_of(7)) == str(schedule_of(7))
    assert SCALE.speed > 1
