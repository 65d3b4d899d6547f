"""What health, freshness and matrix cost over 500 symbols, 8 timeframes and 5 years: against one count.

Each of the three by itself may take a fifth of one count(*) over the audited sessions: the whole answer, from an
open connection to what is printed or dumped as JSON. The count is the same server's, right before, in the same
process, with the table in memory and as many parallel workers as the server gives by default; the figure is the
median over pairs of such a count and an answer. A first pair warms both up and does not count.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks.report import Figure, at_most, exactly, median_ratio, seconds, shown
from benchmarks.scratch import scratch
from lib.clock import ScaledClock
from lib.commands.status_freshness import freshness_document, matrix_document
from lib.commands.status_health import document as health_document
from lib.health import judge
from lib.jobs.status import SeriesState, matrix_of, read_facts, stored_series
from lib.settings import Settings
from lib.store.database import Database, open_database
from lib.store.records import Records

NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)

# Most are stocks. Some series are behind, some have gaps, some failed: what there is to tell of costs most.
FILL = (
    "ALTER TABLE session_audit SET (autovacuum_enabled = false)",  # it would come while we measure
    "UPDATE tracked_symbols SET active = false",
    """INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar)
       SELECT 'S' || lpad(n::text, 3, '0'), CASE WHEN n > 50 THEN 'stock' ELSE 'crypto' END,
              CASE WHEN n > 50 THEN '' ELSE 'X:' END || 'S' || n, CASE WHEN n > 50 THEN 'XNYS' ELSE '24/7' END
       FROM generate_series(1, 500) AS n""",
    """INSERT INTO session_audit (symbol, timeframe, session_date, n_bars, n_regular, first_ts, last_ts)
       SELECT t.symbol, f.timeframe, s.session_date, 390, 390, s.open_utc, s.close_utc
       FROM tracked_symbols AS t CROSS JOIN unnest(t.timeframes) AS f(timeframe)
       JOIN sessions AS s ON s.calendar = t.calendar
       WHERE t.active AND s.session_date BETWEEN '2020-01-01' AND '2025-01-05'""",
    """INSERT INTO series_status (symbol, timeframe, n_bars, first_ts, last_ts, answered_until, written_at,
                                  attempted_at, failures, error)
       SELECT symbol, timeframe, sum(n_bars), min(first_ts),
              max(last_ts) - CASE WHEN symbol LIKE '%7' THEN interval '3 days'
                                  ELSE interval '1 minute' * (1 + right(symbol, 2)::integer) END,
              NULL, now(), now(), (symbol LIKE '%9')::integer,
              CASE WHEN symbol LIKE '%9' THEN 'the service failed (500)' END
       FROM session_audit GROUP BY symbol, timeframe""",
    """INSERT INTO backfill_gaps
           (symbol, timeframe, gap_start, gap_end, days, state, detected_at, filled, filled_at)
       SELECT 'S' || lpad((n % 500 + 1)::text, 3, '0'), (ARRAY['1m', '5m', '1d'])[n % 3 + 1],
              '2020-01-06'::date + n % 1500, '2020-01-07'::date + n % 1500, 1, 'missing', now(), n % 50 > 0,
              CASE WHEN n % 50 > 0 THEN now() END
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO backfill_runs
           (run_id, script, started_at, finished_at, status, arguments, exit_status, requests)
       SELECT 'run' || n, (ARRAY['master_backfill', 'backfill_features', 'backfill_corporate_actions'])[n % 3 + 1],
              now() - n * interval '8 hours', now() - n * interval '8 hours' + interval '10 minutes', 'complete',
              '{}', 0, 500
       FROM generate_series(1, 5000) AS n""",
)


async def fill(connection: asyncpg.Connection) -> None:
    """Five years of 500 symbols as far as the records know of them; of bars there are none."""
    for statement in FILL:
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")  # nothing is left to be written while we measure


async def measure(database_url: str | None = None, pairs: int = 15) -> list[Figure]:
    """Each question as its command asks it, calendars and all read anew each time, against one count(*)."""
    async with scratch(database_url) as databases:
        settings = Settings(home=Path("/nonexistent"), database_url=await databases.database())
        async with open_database(settings) as database:
            asker = _Asker(database)
            await asker.series()  # fills the calendars
            async with database.connection() as connection:
                await fill(connection)
                rows = await connection.fetchval("SELECT count(*) FROM session_audit")
            figures = [
                shown("audited sessions", rows),
                exactly("series", len(await asker.series()), 4000),
            ]
            for name in ("health", "freshness", "matrix"):
                ask: Callable[[], Awaitable[object]] = getattr(asker, name)
                figures += await _against_count(name, ask, database, pairs)
    return figures


async def _against_count(
    name: str, ask: Callable[[], Awaitable[object]], database: Database, pairs: int
) -> list[Figure]:
    """What the whole answer takes, and of this the database for its statements."""
    spent: list[float] = []
    async with database.connection() as connection:  # of a pool that one asks: they all go over this one
        connection.add_query_logger(lambda query: spent.append(query.elapsed))
    taken = []
    for _ in range(pairs + 1):  # the first warms up
        async with database.connection() as connection:
            whole = await seconds(lambda: connection.fetchval("SELECT count(*) FROM session_audit"))
        spent.clear()
        answer = await seconds(ask)
        taken.append((sum(spent), answer, whole))
    statements = median_ratio([(database_s, whole) for database_s, _, whole in taken[1:]])
    answers = median_ratio([(answer, whole) for _, answer, whole in taken[1:]])
    return [
        at_most(f"{name}: the whole answer / count(*) (median of pairs)", answers, 0.2),
        shown(f"{name}: of this its statements", statements),
    ]


class _Asker:
    """The questions of the commands, up to what is printed or dumped as JSON."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = ScaledClock(NOW)

    async def series(self) -> list[SeriesState]:
        return await stored_series(self._database, self._clock)

    async def health(self) -> Mapping[str, object]:
        facts = await read_facts(Records(self._database), await self.series(), self._clock.now())
        return health_document(judge(facts))

    async def freshness(self) -> Mapping[str, object]:
        return freshness_document(await self.series())

    async def matrix(self) -> Mapping[str, object]:
        return matrix_document(matrix_of(await self.series()))
