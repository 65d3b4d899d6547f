"""Numbered schema files: in order, once, one transaction each, by one process at a time."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from lib import sql
from lib.errors import DatabaseError, MigrationFailed
from lib.store.migrations import apply_migrations, schema_files

ROOT = Path(__file__).resolve().parents[2]
FIRST = "001_bookkeeping.sql"

# In this database: others of the server are other tests'.
ADVISORY_LOCKS = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
async def connection(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def folder(tmp_path):
    """A folder of schema files with the first one in it."""
    shutil.copy(sql.SCHEMA / FIRST, tmp_path)
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


async def versions(connection) -> list[int]:
    rows = await connection.fetch("SELECT version FROM schema_migrations ORDER BY applied_at, version")
    return [row["version"] for row in rows]


@pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
async def test_the_schema_of_the_toolkit_is_applied_once(connection):
    every = sorted(path.name for path in sql.SCHEMA.glob("*.sql"))

    assert await apply_migrations(connection) == every
    assert await apply_migrations(connection) == []


async def test_files_are_applied_in_the_order_of_their_numbers(connection, folder):
    write(folder, "010_b.sql", "ALTER TABLE t ADD COLUMN b integer")
    write(folder, "002_a.sql", "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)")

    assert await apply_migrations(connection, folder) == [FIRST, "002_a.sql", "010_b.sql"]
    assert dict(await connection.fetchrow("SELECT * FROM t")) == {"a": 1, "b": None}


async def test_only_what_is_new_is_applied(connection, folder):
    await apply_migrations(connection, folder)
    write(folder, "002_a.sql", "CREATE TABLE t (a integer)")

    assert await apply_migrations(connection, folder) == ["002_a.sql"]
    assert await versions(connection) == [1, 2]


async def test_with_nothing_to_do_it_asks_one_question(connection, folder):
    await apply_migrations(connection, folder)
    asked = []
    connection.add_query_logger(lambda record: asked.append(record.query))
    await apply_migrations(connection, folder)
    await asyncio.sleep(0)

    assert asked == [sql.load("read_migrations")]


async def test_a_file_that_fails_is_named_with_its_line_and_leaves_nothing(connection, folder):
    write(folder, "002_good.sql", "CREATE TABLE good ()")
    write(folder, "003_bad.sql", "CREATE TABLE bad ();\nALTER TABLE bad\n  ADD COLUMN x no_such_type;\n")
    write(folder, "004_later.sql", "CREATE TABLE later ()")

    with pytest.raises(MigrationFailed, match=r'003_bad\.sql, line 3: type "no_such_type"') as failure:
        await apply_migrations(connection, folder)

    assert failure.value.exit_status == 10
    assert await versions(connection) == [1, 2]
    assert await connection.fetchval("SELECT to_regclass('bad')") is None
    assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_a_file_and_its_record_are_one_transaction(connection, folder):
    record = "INSERT INTO schema_migrations (version, name) VALUES (2, 'in the way of its own record')"
    write(folder, "002_a.sql", f"CREATE TABLE t (); {record}")

    with pytest.raises(MigrationFailed, match=r"002_a\.sql: duplicate key"):
        await apply_migrations(connection, folder)
    assert await connection.fetchval("SELECT to_regclass('t')") is None


async def test_a_database_of_a_newer_checkout_is_refused(connection, folder):
    write(folder, "002_newer.sql", "CREATE TABLE t ()")
    await apply_migrations(connection, folder)
    (folder / "002_newer.sql").unlink()

    with pytest.raises(DatabaseError, match=r"002_newer\.sql") as failure:
        await apply_migrations(connection, folder)
    assert "update this checkout" in failure.value.hint


@pytest.mark.parametrize("name", ["extra.sql", "1_short.sql", "001_twice.sql"])
def test_a_name_without_a_number_of_its_own_is_refused(folder, name):
    write(folder, name, "")
    with pytest.raises(MigrationFailed, match=name):
        schema_files(folder)


async def test_tables_go_into_the_first_schema_of_the_search_path(connection, folder):
    await connection.execute("CREATE SCHEMA mine; SET search_path = mine")
    await apply_migrations(connection, folder)

    assert await connection.fetchval("SELECT to_regclass('mine.schema_migrations')::text") is not None
    assert await connection.fetchval("SELECT to_regclass('public.schema_migrations')::text") is None


RACER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from lib.store.migrations import apply_migrations
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    print(len(await apply_migrations(connection, Path(sys.argv[2]))))
    await connection.close()
asyncio.run(main())
"""


def test_two_processes_at_once_apply_each_file_once(empty_database_url, folder):
    for number in range(2, 12):
        write(folder, f"{number:03}_t.sql", f"CREATE TABLE t{number} (); SELECT pg_sleep(0.01)")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, empty_database_url, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    applied = sorted(int(racer.communicate()[0]) for racer in racers)

    assert [racer.returncode for racer in racers] == [0, 0]
    assert applied == [0, 11]


async def test_many_at_once_on_an_empty_database_are_safe(empty_database_url):
    connections = [await asyncpg.connect(empty_database_url) for _ in range(4)]
    applied = await asyncio.gather(*(apply_migrations(connection) for connection in connections))
    for connection in connections:
        await connection.close()

    assert sorted(map(len, applied)) == [0, 0, 0, len(schema_files(sql.SCHEMA))]
