"""The ledger ``fetch_log``: which ranges of a series the vendor has answered."""

from collections.abc import Sequence

import asyncpg

from lib import sql
from lib.bars import IntArray
from lib.clock import from_ms, to_ms
from lib.coverage import NO_BARS, Answered, LedgerRow, Range, record
from lib.store.bars import Series


async def read_ledger(
    connection: asyncpg.Connection, series: Series, start_ms: int, end_ms: int
) -> list[LedgerRow]:
    """The rows of *series* that overlap or touch [start_ms, end_ms), oldest first."""
    [rows] = await read_ledgers(connection, [(series, (start_ms, end_ms))])
    return rows


async def read_ledgers(
    connection: asyncpg.Connection, wanted: Sequence[tuple[Series, Range]]
) -> list[list[LedgerRow]]:
    """For each series and range the rows that overlap or touch it, oldest first; in one round trip."""
    rows = await connection.fetch(
        sql.load("read_ledgers"),
        [series.symbol for series, _ in wanted],
        [series.timeframe for series, _ in wanted],
        [from_ms(start) for _, (start, _) in wanted],
        [from_ms(end) for _, (_, end) in wanted],
    )
    found: list[list[LedgerRow]] = [[] for _ in wanted]
    for row in rows:
        found[row["number"] - 1].append(_ledger_row(row))
    return found


def _ledger_row(row: asyncpg.Record) -> LedgerRow:
    return LedgerRow(
        to_ms(row["range_start"]),
        to_ms(row["range_end"]),
        Answered(row["outcome"]),
        row["n_bars"],
        row["attempt"],
        row["fetched_at"],
        row["verify_after"],
        row["id"],
    )


async def write_ledger(
    connection: asyncpg.Connection,
    series: Series,
    stored: Sequence[LedgerRow],
    answers: Sequence[LedgerRow],
    holes: Sequence[Range] = (),
    known_t: IntArray = NO_BARS,
) -> None:
    """Record *answers* of *series* over *stored*, the rows read for their range in this transaction.

    *holes*: what the answer leaves uncovered. *known_t*: stamps of the bars known in its range, ascending.
    """
    delete, insert = record(stored, answers, holes, known_t)
    if delete:
        await connection.execute(sql.load("delete_ledger_rows"), delete)
    if insert:
        await connection.execute(
            sql.load("insert_ledger_rows"),
            series.symbol,
            series.timeframe,
            [from_ms(row.start_ms) for row in insert],
            [from_ms(row.end_ms) for row in insert],
            [row.outcome for row in insert],
            [row.n_bars for row in insert],
            [row.attempt for row in insert],
            [row.fetched_at for row in insert],
            [row.verify_after for row in insert],
        )
