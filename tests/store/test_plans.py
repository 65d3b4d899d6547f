"""How PostgreSQL finds gaps: by the primary keys, without sorting bars or converting the zone of each."""

import json
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from lib import sql
from lib.store.binaries import NEWEST
from lib.store.sessions import refresh_sessions
from tests.conftest import run_apart
from tests.store.gap_market import LATER, day

SYMBOLS = ["AAPL", "MSFT", "JPM", "KO"]
FIRST, PAST = day("2024-01-02"), day("2024-12-31")
FRAMES = {"1m": ("1m", 390), "5m": ("1m", 78), "1h": ("1m", 7), "1d": ("1d", 1), "1w": ("1d", 1)}

# Bars at the first minutes of each date, which is as good as any: enough of them for the planner to prefer
# reading whole tables wherever it may. And the audits of many other symbols.
FILL = """
    INSERT INTO market_data (symbol, timeframe, timestamp, fetched_at, open, high, low, close, volume, source)
    SELECT symbol, $2, u.bars_start + k * u.grid, now(), 1, 1, 1, 1, 1, 'polygon'
    FROM unnest($1::text[]) AS symbol, session_units('XNYS', $2, $3, $4) AS u, generate_series(0, $5 - 1) AS k
"""
BOOKS = """
    INSERT INTO session_audit (symbol, timeframe, session_date, n_bars, n_regular)
    SELECT symbol, timeframe, unit_date, $3, $3
    FROM unnest($1::text[]) AS symbol, unnest($2::text[]) AS timeframe, session_units('XNYS', timeframe, $4, $5)
"""


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await refresh_sessions(connection, LATER.date())
    for timeframe, (_, bars) in FRAMES.items():
        await connection.execute(FILL, SYMBOLS, timeframe, FIRST, PAST, bars)
        await connection.execute(BOOKS, SYMBOLS, [timeframe], bars, FIRST, PAST)
    others = [f"X{number}" for number in range(50)]
    await connection.execute(BOOKS, others, list(FRAMES), 1, FIRST, PAST)
    await connection.execute(
        """INSERT INTO fetch_log (symbol, timeframe, rng, outcome, n_bars, attempt, fetched_at)
           SELECT symbol, timeframe, '[2023-01-01, 2026-01-01)', 'data', 1, 1, now()
           FROM unnest($1::text[]) AS symbol, unnest('{1m,1d}'::text[]) AS timeframe""",
        SYMBOLS,
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@pytest.fixture(scope="module")
def filled_url(_test_servers) -> Iterator[str]:
    with _test_servers(NEWEST).migrated() as url:
        run_apart(_fill(url))
        yield url


@pytest.fixture
async def connection(filled_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(filled_url, server_settings={"jit": "off", "TimeZone": "Asia/Tokyo"})
    yield connection
    await connection.close()


def nodes(plan, above=()):
    """Every node of a plan with the nodes above it, nearest first."""
    yield plan, above
    for child in plan.get("Plans", ()):
        yield from nodes(child, (plan, *above))


def arguments(timeframe, counted):
    ledger, _ = FRAMES[timeframe]
    return (SYMBOLS, timeframe, ledger, "XNYS", FIRST, PAST, LATER, counted, LATER)


async def explained(connection, query, *arguments):
    (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) {query}", *arguments)
    return list(nodes(json.loads(row[0])[0]["Plan"]))


async def test_the_table_is_large_enough_for_a_plan_to_matter(connection):
    plan = await explained(connection, "SELECT symbol, count(*) FROM market_data GROUP BY symbol")
    assert any(node["Node Type"] == "Seq Scan" for node, _ in plan), [node["Node Type"] for node, _ in plan]


@pytest.mark.parametrize("timeframe", FRAMES)
@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
async def test_bars_are_counted_by_the_primary_key_alone(connection, timeframe, mode):
    await connection.execute("SELECT set_config('plan_cache_mode', $1, false)", mode)
    plan = await explained(connection, sql.load("find_gaps"), *arguments(timeframe, True))
    probes = [(node, above) for node, above in plan if node.get("Relation Name") == "market_data"]

    assert {(node["Node Type"], node["Index Name"]) for node, _ in probes} == {
        ("Index Only Scan", "market_data_pkey")
    }
    assert sum(node["Actual Loops"] for node, _ in probes) >= len(SYMBOLS) * 50
    for node, above in probes:
        told = json.dumps(node)
        assert all(
            name in node["Index Cond"] for name in ("symbol", "timeframe", "bars_start", "bars_end")
        ), told
        assert "timezone(" not in told
        assert "AT TIME ZONE" not in told
        assert above[0]["Node Type"] == "Aggregate"
        assert above[0]["Strategy"] == "Plain", "grouping bars would sort or hash them"


def audit_reads(plan):
    """How often session_audit is entered, by the way in: its primary key's name, or the node that uses none."""
    ways = {}
    for node, _ in plan:
        name = node.get("Index Name", "").startswith("session_audit") and node["Index Name"]
        if name or (node.get("Relation Name") == "session_audit" and node["Node Type"] == "Seq Scan"):
            way = name or "Seq Scan"
            ways[way] = max(ways.get(way, 0), node["Actual Loops"])
    return {way: loops for way, loops in ways.items() if loops}


@pytest.mark.parametrize("timeframe", FRAMES)
@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
async def test_believed_counts_leave_the_bars_alone(connection, timeframe, mode):
    await connection.execute("SELECT set_config('plan_cache_mode', $1, false)", mode)
    plan = await explained(connection, sql.load("find_gaps"), *arguments(timeframe, False))

    assert {node["Actual Loops"] for node, _ in plan if node.get("Relation Name") == "market_data"} <= {0}
    # Once a symbol, and no probe a unit.
    (way, loops), *others = audit_reads(plan).items()
    assert (way, others) == ("session_audit_pkey", [])
    assert loops <= len(SYMBOLS)


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
async def test_the_audit_is_read_once_a_symbol(connection, mode):
    await connection.execute("SELECT set_config('plan_cache_mode', $1, false)", mode)
    plan = await explained(connection, sql.load("find_gaps"), *arguments("5m", True))

    (way, loops), *others = audit_reads(plan).items()
    assert (way, others) == ("session_audit_pkey", [])
    assert loops <= len(SYMBOLS)


async def test_minutes_for_the_statistics_are_read_session_by_session(connection):
    plan = await explained(connection, sql.load("regular_minutes"), "AAPL", "XNYS", FIRST, PAST)

    probes = [node for node, _ in plan if node.get("Relation Name") == "market_data"]
    assert {(node["Node Type"], node["Index Name"]) for node in probes} == {
        ("Index Only Scan", "market_data_pkey")
    }
    assert all("timezone(" not in json.dumps(node) for node in probes)
    assert all(
        above[0]["Node Type"] != "Sort" for node, above in plan if node.get("Relation Name") == "market_data"
    )


async def test_contradictions_are_looked_for_by_the_primary_key(connection):
    plan = await explained(
        connection, sql.load("find_contradictions"), "AAPL", "1h", "1m", "XNYS", FIRST, PAST
    )
    probes = [node for node, _ in plan if node.get("Relation Name") == "market_data"]
    assert {node.get("Index Name") for node in probes} == {"market_data_pkey"}
    assert all("timezone(" not in json.dumps(node) for node in probes)


STATUS = {
    "read_series_columns": (None, None),
    "read_symbol_records": (None,),
    "read_watched_gaps": (),
    "list_gaps": (None, None, None, None, False),
    "read_run_statistics": (),
    "read_runs": (None, None, False, 20),
}


@pytest.mark.parametrize("query", STATUS)
async def test_the_status_is_read_without_a_look_at_bars_or_audited_counts(connection, query):
    plan = await explained(connection, sql.load(query), *STATUS[query])

    relations = {node.get("Relation Name") for node, _ in plan} - {None}
    assert relations
    assert relations.isdisjoint({"market_data", "session_audit"})
