"""A schema other than public, an owner who migrates, and a role with no more than the documented rights."""

import re
import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

QUICKSTART = Path(__file__).parents[2] / "BACKFILL_QUICKSTART.md"


@pytest.fixture
async def roles(empty_database_url):
    """The documented statements, run by the superuser, with names of the test's own: roles are the server's."""
    text = re.search(r"```postgresql\n(.*?)```", QUICKSTART.read_text(), re.DOTALL)[1]
    suffix = secrets.token_hex(4)
    names = {name: f"{name}_{suffix}" for name in ("market_owner", "market_writer")}
    for name, own in names.items():
        text = text.replace(name, own)
    text = text.replace("DATABASE market ", f"DATABASE {urlsplit(empty_database_url).path.strip('/')} ")
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(text)
    try:
        yield {name: url_as(empty_database_url, own) for name, own in names.items()}
    finally:
        for own in names.values():
            await connection.execute(f"DROP OWNED BY {own} CASCADE; DROP ROLE {own}")
        await connection.close()


def url_as(url, role):
    """The documented URL: another role, and the schema by its options."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, f"options={quote('-csearch_path=market', safe='')}"]))
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{host}", query=query))


async def test_every_script_runs_with_the_documented_rights_in_a_schema_of_its_own(
    command, roles, empty_database_url
):
    writer = {"DATABASE_URL": roles["market_writer"]}
    migrated = await command("scripts/database.py", "migrate", DATABASE_URL=roles["market_owner"])
    assert migrated.status == 0, migrated.stderr

    async with Emulator(SimulatedMarket()) as emulator:
        writer["POLYGON_BASE_URL"] = emulator.url
        asked = ("--symbols", "AAPL,BTC", "--timeframes", "1h,1d", "--days", "10")
        for script, *options in (
            ("master_backfill.py", *asked, "--output", "audit.json"),
            ("scripts/backfill_ohlcv.py", *asked),
            ("scripts/backfill_gaps.py", "scan", *asked),
            (
                "backfill_features.py",
                "--symbols",
                "AAPL,BTC",
                "--timeframes",
                "1d",
                "--output",
                "features.json",
            ),
            (
                "scripts/backfill_corporate_actions.py",
                "--symbols",
                "AAPL",
                "--alert",
                "--metrics-file",
                "m.prom",
            ),
            (
                "scripts/backfill_status.py",
                "prune",
                "--before",
                "2020-01-01",
                "--timeframes",
                "1m",
                "--apply",
            ),
            ("scripts/backfill_status.py", "history"),
        ):
            ended = await command(script, *options, **writer)
            assert ended.status == 0, (script, ended.stderr)
            assert "could be given" not in ended.stderr, script

    connection = await asyncpg.connect(empty_database_url)
    try:
        homes = await connection.fetch(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
        )
        assert [row[0] for row in homes] == ["market"]
        assert await connection.fetchval("SELECT count(*) FROM market.market_data") > 100
    finally:
        await connection.close()


async def test_the_writing_role_can_neither_change_the_schema_nor_make_it(command, roles):
    refused = await command("scripts/backfill_status.py", "history", DATABASE_URL=roles["market_writer"])
    assert refused.status == 10
    assert "permission denied" in refused.stderr

    await command("scripts/database.py", "migrate", DATABASE_URL=roles["market_owner"])
    writer = await asyncpg.connect(roles["market_writer"])
    try:
        for statement in ("DROP TABLE market_data", "CREATE TABLE other ()", "TRUNCATE market_data"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await writer.execute(statement)
    finally:
        await writer.close()
