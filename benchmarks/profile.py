"""Where the time of computing goes: from compressed bodies to committed rows, under cProfile."""

import cProfile
import gzip
import pstats
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from yarl import URL

from benchmarks.processes import ROOT
from benchmarks.report import Finding, Listing, Note, shown
from benchmarks.scratch import scratch
from benchmarks.write import COIN, body_of, http_answer, simulated_pages
from lib.bars import Bars
from lib.sessions import SessionTable
from lib.store.answers import Answer, write_answer
from lib.store.database import open_url
from lib.store.sessions import load_sessions
from lib.symbols import ALWAYS_OPEN
from lib.timeframe import MINUTE_MS, Timeframe
from lib.vendor.decode import BarsAnswer, decode
from lib.vendor.paging import PageRequest, read_page

TOP = 20
_ORIGIN = URL("http://127.0.0.1")
_LONGEST_NAME = 50
_WAITS = "method 'poll'"  # of the event loop: for the database

_Place = tuple[str, int, str]  # file, line and name of a function, as pstats has them


async def measure(pages: int, database_url: str | None = None) -> Sequence[Finding]:
    """*pages* of 50,000 minutes with derived timeframes, one after the other, in one thread."""
    bodies = [(bars, gzip.compress(body_of(bars), 1)) for bars in simulated_pages(pages + 1)]
    profiler = cProfile.Profile()
    async with (
        scratch(database_url) as databases,
        open_url(await databases.database()) as database,
        database.connection() as connection,
    ):
        sessions = await load_sessions(connection, ALWAYS_OPEN)
        await _page(connection, sessions, *bodies[0])  # the first one loads and compiles things
        profiler.enable()
        for bars, body in bodies[1:]:
            await _page(connection, sessions, bars, body)
        profiler.disable()
    return _findings(profiler, pages)


async def _page(connection: asyncpg.Connection, sessions: SessionTable, bars: Bars, body: bytes) -> None:
    start, end = int(bars.t[0]), int(bars.t[-1]) + MINUTE_MS
    answer = http_answer(body, "gzip")
    document = decode(answer, BarsAnswer)
    assert isinstance(document, BarsAnswer)
    page, _ = read_page(PageRequest(COIN, Timeframe.M1, start, end), answer, document, _ORIGIN)
    stored = Answer(COIN, Timeframe.M1, start, end, page.bars, (), datetime.now(UTC))
    await write_answer(connection, stored, sessions, derive=True)


def _findings(profiler: cProfile.Profile, pages: int) -> list[Finding]:
    own = _own_seconds(profiler)
    waiting = sum(seconds for place, (_, seconds) in own.items() if _WAITS in place[2])
    computing = {place: taken for place, taken in own.items() if _WAITS not in place[2]}
    total = sum(seconds for _, seconds in computing.values())
    longest = sorted(computing.items(), key=lambda item: -item[1][1])[:TOP]
    rows = tuple(
        (_named(place), calls / pages, 1000 * seconds / pages, 100 * seconds / total)
        for place, (calls, seconds) in longest
    )
    return [
        Listing(f"the {TOP} longest, own time", ("function", "calls/page", "ms/page", "%"), rows),
        shown("computing, the profiler's cost included", 1000 * total / pages, "ms/page"),
        shown("waiting for the database", 1000 * waiting / pages, "ms/page"),
        Note(f"{pages} pages of 50,000 minutes, from gzip to the commit of six timeframes."),
    ]


def _own_seconds(profiler: cProfile.Profile) -> dict[_Place, tuple[int, float]]:
    """Calls and seconds in itself, without what it called, of every function."""
    stats: dict[_Place, tuple[int, int, float, float, object]]
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # typeshed has only its methods
    return {place: (calls, own) for place, (_, calls, own, _, _) in stats.items()}


def _named(place: _Place) -> str:
    file, line, name = place
    if file == "~":
        return name[:_LONGEST_NAME]
    path = Path(file)
    short = path.relative_to(ROOT) if path.is_relative_to(ROOT / "lib") else Path(*path.parts[-2:])
    return f"{short}:{line} {name}"[:_LONGEST_NAME]
