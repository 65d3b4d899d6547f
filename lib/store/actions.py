"""``splits`` and ``dividends``: what the vendor says, what of it is believed, what follows for the bars."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Generic

import asyncpg

from lib import sql
from lib.actions import Changes, Dividend, E, Split, Stored, compare
from lib.adjustment import Around, Verdict, basis, common_ratio, judge, shown, split_eras
from lib.clock import from_ms, to_ms
from lib.store.adjusted import write_eras
from lib.store.features import mark_stale
from lib.store.locks import lock_series
from lib.store.outage import Outage, outlasting
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, local_date, midnight_ms

_COMPARED_WITHIN = timedelta(days=11)


@dataclass(frozen=True, slots=True)
class Check:
    """When the vendor was last asked for the events of a symbol, and when for all of them."""

    checked_at: datetime
    full_at: datetime


@dataclass(frozen=True, slots=True)
class Listed(Generic[E]):
    """All *events* the vendor lists of *symbols* with dates from *since* on (None: ever).

    *unsure*: symbols of which it lists an event that cannot be used: they are asked again from the same date.
    """

    kind: type[E]
    symbols: Sequence[str]
    since: date | None
    events: Sequence[E]
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """A split, what the day bars say of it, and whether prices are adjusted for it. *new*: said now."""

    split: Split
    verdict: Verdict
    applied: bool
    new: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """Day bars of *day* that look like a split nobody knows of. *new*: found for the first time."""

    symbol: str
    day: date
    observed: float
    looks_like: str
    new: bool


@dataclass(slots=True)
class Settled:
    """What is applied now. *rebased*: symbols whose prices are adjusted anew, and by what."""

    suspects: list[Judged] = field(default_factory=list)
    rebased: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table(Generic[E]):
    """How one kind of event is kept: its statements, and its columns after the id."""

    name: str
    read: Callable[[], str]
    insert: Callable[[], str]
    update: Callable[[], str]
    mark: Callable[[], str]
    loaded: Callable[[asyncpg.Record], E]
    columns: Callable[[E], tuple[object, ...]]

    def transposed(self, events: Sequence[E]) -> list[list[object]]:
        """A list a column, the ids first."""
        return [list(column) for column in zip(*map(self.row, events), strict=True)]

    def row(self, event: E) -> tuple[object, ...]:
        """The event as it is stored, the id first."""
        return (event.event_id, *self.columns(event))


def _split(row: asyncpg.Record) -> Split:
    return Split(
        row["id"], row["symbol"], row["execution_date"], row["split_from"], row["split_to"], row["kind"]
    )


def _dividend(row: asyncpg.Record) -> Dividend:
    return Dividend(*(row[number] for number in range(10)))


_SPLITS: _Table[Split] = _Table(
    "splits",
    lambda: sql.load("read_splits"),
    lambda: sql.load("insert_splits"),
    lambda: sql.load("update_split"),
    lambda: sql.load("mark_splits"),
    _split,
    lambda s: (s.symbol, s.day, s.split_from, s.split_to, s.kind),
)
_DIVIDENDS: _Table[Dividend] = _Table(
    "dividends",
    lambda: sql.load("read_dividends"),
    lambda: sql.load("insert_dividends"),
    lambda: sql.load("update_dividend"),
    lambda: sql.load("mark_dividends"),
    _dividend,
    lambda d: (
        d.symbol,
        d.day,
        d.cash_amount,
        d.currency,
        d.kind,
        d.frequency,
        d.declaration_date,
        d.record_date,
        d.pay_date,
    ),
)


def _table(kind: type[E]) -> _Table[E]:
    tables: dict[type, _Table[E]] = {Split: _SPLITS, Dividend: _DIVIDENDS}  # type: ignore[dict-item]
    return tables[kind]


@outlasting
class ActionStore:
    """Reads and writes of the corporate actions. *connecting*: gives a connection for a block."""

    def __init__(
        self, connecting: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]], outage: Outage
    ) -> None:
        self._connecting = connecting
        self._outage = outage

    async def checks(self, kind: type[E], symbols: Sequence[str]) -> dict[str, Check]:
        """When the vendor was last asked; without the symbols never asked about."""
        async with self._connecting() as connection:
            rows = await connection.fetch(sql.load("read_action_checks"), symbols, _table(kind).name)
        return {row["symbol"]: Check(row["checked_at"], row["full_at"]) for row in rows}

    async def stored(self, kind: type[E], symbols: Sequence[str], since: date | None) -> list[Stored[E]]:
        """The events of *symbols* with dates from *since* on, those taken back included."""
        async with self._connecting() as connection:
            return await _read(connection, _table(kind), symbols, since, ())

    async def write(self, listed: Listed[E], now: datetime) -> tuple[Changes[E], Settled]:
        """Bring the tables, and what follows from them, to what the vendor lists; all or nothing."""
        table = _table(listed.kind)
        async with self._connecting() as connection, connection.transaction():
            await connection.execute(sql.load("lock_actions"))
            ids = [event.event_id for event in listed.events]
            stored = await _read(connection, table, listed.symbols, listed.since, ids)
            changes = compare(stored, listed.events, now)
            await _apply(connection, table, changes, now)
            sure = [symbol for symbol in listed.symbols if symbol not in listed.unsure]
            whole = listed.since is None
            await connection.execute(sql.load("write_action_checks"), sure, table.name, now, whole)
            touched = changes.symbols if listed.kind is Split else []
            return changes, await _settle(connection, touched, now)

    async def settle(self, symbols: Sequence[str], now: datetime) -> Settled:
        """Judge the splits of *symbols* by the bars there are now, and apply those whose day has come."""
        async with self._connecting() as connection, connection.transaction():
            await connection.execute(sql.load("lock_actions"))
            return await _settle(connection, symbols, now)

    async def find_jumps(self, symbols: Sequence[str], since: date | None, now: datetime) -> None:
        """Note the day bars after the date *since* that look like a split the vendor knows nothing of."""
        # Also the bars before that the first of them is compared with.
        start = None if since is None else from_ms(midnight_ms(since - _COMPARED_WITHIN, NEW_YORK))
        async with self._connecting() as connection, connection.transaction():
            found = _jumps(await connection.fetch(sql.load("find_price_jumps"), symbols, start))
            names, days = [jump.symbol for jump in found], [jump.day for jump in found]
            await connection.execute(sql.load("delete_price_jumps"), symbols, since, names, days)
            observed, looks = [jump.observed for jump in found], [jump.looks_like for jump in found]
            await connection.execute(sql.load("write_price_jumps"), names, days, observed, looks, now)

    async def jumps(self, symbols: Sequence[str], now: datetime) -> list[Jump]:
        """The jumps noted, without those dismissed by hand. *now*: what is noted then is new."""
        async with self._connecting() as connection:
            rows = await connection.fetch(sql.load("read_price_jumps"), symbols)
        return [
            Jump(
                row["symbol"], row["session_date"], row["observed"], row["looks_like"], row["noted_at"] == now
            )
            for row in rows
        ]

    async def unusable_dividends(self, symbols: Sequence[str], moment: datetime) -> list[tuple[str, str]]:
        """The dividends that total returns leave out: of which symbol, and a line that says which and why."""
        async with self._connecting() as connection:
            rows = await connection.fetch(sql.load("find_unusable_dividends"), symbols, moment)
        return [(row["symbol"], f"{row['symbol']} {row['ex_date']}: {row['reason']}") for row in rows]


async def _read(
    connection: asyncpg.Connection,
    table: _Table[E],
    symbols: Sequence[str],
    since: date | None,
    ids: Sequence[str],
) -> list[Stored[E]]:
    rows = await connection.fetch(table.read(), symbols, since, ids)
    return [
        Stored(table.loaded(row), row["missing_since"], withdrawn=row["withdrawn_at"] is not None)
        for row in rows
    ]


async def _apply(
    connection: asyncpg.Connection, table: _Table[E], changes: Changes[E], now: datetime
) -> None:
    if changes.new:
        await connection.execute(table.insert(), *table.transposed(changes.new), now)
    for before, after in changes.changed:
        await connection.execute(table.update(), before.event_id, *table.columns(after), now)
    for mark in ("missing", "withdrawn", "back"):
        if marked := [one.event_id for one in getattr(changes, mark)]:
            await connection.execute(table.mark(), marked, mark, now)


async def _settle(connection: asyncpg.Connection, symbols: Sequence[str], now: datetime) -> Settled:
    settled = Settled()
    if not symbols:
        return settled
    rows = await connection.fetch(sql.load("read_split_evidence"), symbols)
    evidence = {symbol: list(found) for symbol, found in groupby(rows, lambda row: row["symbol"])}
    bases = await connection.fetch(sql.load("read_split_bases"), symbols)
    known = {row["symbol"]: (row["applied"], row["basis"]) for row in bases}
    for symbol in sorted(evidence.keys() | known.keys()):
        judged = await _judge(connection, evidence.get(symbol, []))
        settled.suspects += [one for one in judged if one.verdict.word == "suspect"]
        applied = [one.split for one in judged if one.applied]
        await _rebase(connection, symbol, applied, known.get(symbol, ("", "")), now, settled)
    return settled


async def _judge(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> list[Judged]:
    """A verdict on each of the splits of a symbol; one that differs from the stored is written."""
    out = []
    for _, group in groupby(rows, lambda row: row["execution_date"]):
        same_day = list(group)
        splits = [_split(row) for row in same_day]
        for row, split, verdict in zip(same_day, splits, judge(splits, _around(same_day[0])), strict=True):
            applied = verdict.applied if row["forced"] is None else row["forced"]
            said = (verdict.word, applied, verdict.observed, verdict.reason)
            new = said != (row["verdict"], row["applied"], row["observed"], row["reason"])
            if new:
                await connection.execute(sql.load("write_split_verdict"), split.event_id, *said)
            out.append(Judged(split, verdict, applied, new))
    return out


def _around(row: asyncpg.Record) -> Around | None:
    before, opened, closed = row["close_before"], row["open_after"], row["close_after"]
    if before is None or opened is None or closed is None:
        return None
    return Around(before, opened, closed)


async def _rebase(
    connection: asyncpg.Connection,
    symbol: str,
    applied: Sequence[Split],
    known: tuple[str, str],
    now: datetime,
    settled: Settled,
) -> None:
    """Adjust the bars of *symbol* by *applied*; its features are stale if that makes a difference today."""
    today = local_date(to_ms(now), NEW_YORK)
    wanted = basis(applied), basis([split for split in applied if split.day <= today])
    if wanted == known:
        return
    for base in (Timeframe.M1, Timeframe.D1):
        await lock_series(connection, symbol, base)  # features are computed under these
    if wanted[0] != known[0]:
        await write_eras(connection, symbol, split_eras(applied))
    await connection.execute(sql.load("write_split_basis"), symbol, *wanted, now)
    if wanted[1] != known[1]:
        await mark_stale(connection, symbol)
        settled.rebased[symbol] = wanted[1]


def _jumps(rows: Sequence[asyncpg.Record]) -> list[Jump]:
    out = []
    for row in rows:
        ratio = common_ratio(Around(row["close_before"], row["open_after"], row["close_after"]))
        if ratio is not None:
            observed = row["close_before"] / row["close_after"]
            out.append(Jump(row["symbol"], row["session_date"], observed, shown(ratio), new=True))
    return out
