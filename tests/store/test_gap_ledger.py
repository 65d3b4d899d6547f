"""``backfill_gaps``: a gap is one row, however many look at it at the same time."""

import asyncio
from datetime import UTC, date, datetime

from lib.gaps import State, Stretch
from lib.store.gaps import Seen, list_gaps, record_gaps
from lib.timeframe import Timeframe

NOW = datetime(2025, 1, 10, tzinfo=UTC)
SCANNED = (date(2025, 1, 1), date(2025, 2, 1))
GAP = Stretch(State.MISSING, date(2025, 1, 6), date(2025, 1, 8), 2)


async def test_a_gap_that_several_see_at_once_is_one_row(database):
    async def see(number):
        async with database.connection() as connection:
            await record_gaps(connection, "KO", Timeframe.M1, [GAP], SCANNED, NOW, Seen(f"run {number}"))

    await asyncio.gather(*(see(number) for number in range(6)))

    async with database.connection() as connection:
        rows = await list_gaps(connection, None, None, (None, None), filled_too=True)
    assert [(row["symbol"], row["gap_start"], row["filled"]) for row in rows] == [
        ("KO", date(2025, 1, 6), False)
    ]
