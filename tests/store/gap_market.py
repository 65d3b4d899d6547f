"""A market for the tests of gaps: what the vendor answered, what another program wrote, and what is found then."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np

from lib.bars import Bars
from lib.clock import from_ms, to_ms
from lib.gaps import Stretch
from lib.sessions import Delay, SessionTable, parse_plans
from lib.store.answers import Answer, write_answer, write_not_entitled
from lib.store.gaps import Question, find_stretches
from lib.store.sessions import load_sessions
from lib.store.symbols import read_instruments
from lib.symbols import ALWAYS_OPEN, NYSE, Instrument
from lib.timeframe import MINUTE_MS, Timeframe
from lib.zones import midnight_ms

LATER = datetime(2026, 6, 1, tzinfo=UTC)  # when everything here is final
ZONES = ("UTC", "America/New_York", "America/Los_Angeles", "Asia/Tokyo")
INTRADAY = tuple(tf for tf in Timeframe if tf.intraday)


def utc(text: str) -> datetime:
    """``2025-01-08T20:31`` as an aware instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new_york(text: str) -> datetime:
    """The instant of a New York wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def bars_at(stamps_ms) -> Bars:
    t = np.array(sorted(stamps_ms), np.int64)
    price = np.full(len(t), 100.0)
    return Bars(t, price, price + 1, price - 1, price, price * 3, price, np.full(len(t), 3))


@dataclass
class Market:
    """One database with its calendars filled, seen through one connection."""

    connection: asyncpg.Connection
    tables: dict[str, SessionTable]

    async def instrument(self, symbol: str) -> Instrument:
        return (await read_instruments(self.connection, [symbol]))[0]

    async def zone(self, name: str) -> None:
        """Set the session's time zone, which must not matter."""
        await self.connection.execute("SELECT set_config('TimeZone', $1, false)", name)

    async def sessions(self, symbol: str, first: str, past: str) -> SessionTable:
        calendar = (await self.instrument(symbol)).calendar
        return self.tables[calendar].between(day(first), day(past))

    async def minutes(self, symbol: str, first: str, past: str, *, extended: bool = False) -> list[int]:
        """Every minute of the sessions of the dates [first, past)."""
        table = await self.sessions(symbol, first, past)
        opens, closes = table.open_ms, table.close_ms
        if extended:
            opens, closes = table.extended_open_ms, table.extended_close_ms
        return [t for a, b in zip(opens, closes, strict=True) for t in range(int(a), int(b), MINUTE_MS)]

    async def days(self, symbol: str, first: str, past: str) -> list[int]:
        """The local midnights of the sessions of the dates [first, past)."""
        table = await self.sessions(symbol, first, past)
        return [midnight_ms(date, table.zone) for date in table.dates()]

    async def answered(
        self, symbol, timeframe, first, past, stamps=None, *, at=LATER, derive=True, holes=()
    ) -> None:
        """The vendor answered the range [first, past) with bars at *stamps*; by default as a liquid name has them.

        Range and holes: local dates, or aware instants.
        """
        instrument, timeframe = await self.instrument(symbol), Timeframe(timeframe)
        span = [self._ms(edge, instrument) for edge in (first, past)]
        if stamps is None:
            dates = [_date(edge) for edge in (first, past)]
            dates[1] += timedelta(days=isinstance(past, datetime))
            make = self.minutes if timeframe.intraday else self.days
            stamps = await make(symbol, *(d.isoformat() for d in dates))
        inside = [int(t) for t in stamps if span[0] <= t < span[1]]
        gone = tuple((self._ms(a, instrument), self._ms(b, instrument)) for a, b in holes)
        answer = Answer(instrument, timeframe, *span, bars_at(inside), gone, at)
        await write_answer(self.connection, answer, self.tables[instrument.calendar], derive=derive)

    async def refused(self, symbol, timeframe, first, past, *, at=LATER) -> None:
        """The vendor said that the plan does not include the range."""
        instrument = await self.instrument(symbol)
        span = (self._ms(first, instrument), self._ms(past, instrument))
        await write_not_entitled(self.connection, instrument, Timeframe(timeframe), span, at)

    async def foreign(self, symbol: str, timeframe: str, stamps: Iterable[int | datetime]) -> None:
        """Another program wrote bars at these stamps."""
        moments = [t if isinstance(t, datetime) else from_ms(int(t)) for t in stamps]
        await self.connection.execute(
            """INSERT INTO market_data (symbol, timeframe, timestamp, fetched_at, open, high, low, close, volume,
                                        source)
               SELECT $1, $2, t, now(), 1, 1, 1, 1, 1, 'another' FROM unnest($3::timestamptz[]) AS t
               ON CONFLICT DO NOTHING""",
            symbol,
            timeframe,
            moments,
        )

    async def delete(self, symbol: str, timeframe: str, *span: datetime) -> int:
        """Delete the bars that start in [from, to), or the one that starts then; how many."""
        start, end = span if len(span) == 2 else (span[0], span[0] + timedelta(microseconds=1))
        status = await self.connection.execute(
            "DELETE FROM market_data WHERE symbol = $1 AND timeframe = $2 AND timestamp >= $3 AND timestamp < $4",
            symbol,
            timeframe,
            start,
            end,
        )
        return int(status.split()[1])

    async def find(
        self, symbols, timeframe, first, past, *, now=LATER, plan="advanced", derive=True, counted=True
    ) -> dict[str, list[Stretch]]:
        names = symbols.split(",")
        instrument = await self.instrument(names[0])
        question = Question(
            Timeframe(timeframe), day(first), day(past), now, delay_of(plan, instrument), derive, counted
        )
        return await find_stretches(self.connection, instrument.calendar, instrument.zone, names, question)

    async def states(self, symbol, timeframe, first, past, **how) -> list[tuple[str, str, str, int]]:
        """What is found of one symbol: state, first date, the date after the last, and units."""
        found = await self.find(symbol, timeframe, first, past, **how)
        return [(str(s.state), s.start.isoformat(), s.end.isoformat(), s.units) for s in found[symbol]]

    async def state(self, symbol, timeframe, date, **how) -> str:
        """The state of one session, or of the week that holds it."""
        past = (day(date) + timedelta(days=1)).isoformat()
        ((state, *_),) = await self.states(symbol, timeframe, date, past, **how)
        return state

    def _ms(self, edge: str | datetime, instrument: Instrument) -> int:
        return to_ms(edge) if isinstance(edge, datetime) else midnight_ms(day(edge), instrument.zone)


def _date(edge: str | datetime) -> date:
    return edge.date() if isinstance(edge, datetime) else day(edge)


def delay_of(plan: str, instrument: Instrument) -> Delay:
    return parse_plans(plan).terms(instrument.asset_class).delay


async def open_market(connection: asyncpg.Connection) -> Market:
    tables = {name: await load_sessions(connection, name) for name in (NYSE, ALWAYS_OPEN)}
    return Market(connection, tables)


def recorded(folder: Path, name: str, timeframe: str = "1m") -> list[int]:
    """The stamps (ms) of a file of real bars, e.g. ``etfs/UGA``."""
    with gzip.open(folder / name / f"{timeframe}.csv.gz", "rt") as file:
        next(file)
        return [to_ms(datetime.fromisoformat(line.split(",", 1)[0])) for line in file]
