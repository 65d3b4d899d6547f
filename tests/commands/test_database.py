"""scripts/database.py: psql on the database in use, and its URL."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/database.py", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_psql_opens_the_embedded_database_and_gets_the_other_arguments(tmp_path):
    home = {"BACKFILL_HOME": str(tmp_path / "home")}
    made = run("psql", "-c", "CREATE TABLE kept AS SELECT 42 AS n", **home)
    asked = run("psql", "-At", "-c", "SELECT n FROM kept", **home)
    refused = run("psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT no_such_column", **home)

    assert made.returncode == 0
    assert asked.stdout == "42\n"
    assert (refused.returncode, "no_such_column" in refused.stderr) == (1, True)


def test_the_demo_has_a_database_of_its_own_whatever_the_environment_says(tmp_path, database_url):
    found = run("url", "--demo", BACKFILL_HOME=str(tmp_path / "home"), DATABASE_URL=database_url)

    assert f"host={tmp_path / 'home/demo/postgres'}" in found.stdout


def test_psql_opens_the_database_of_the_url(database_url):
    asked = run("psql", "-At", "-c", "SELECT current_database()", DATABASE_URL=database_url)

    assert asked.stdout.strip() == urlsplit(database_url).path[1:]


def test_the_password_reaches_psql_but_is_not_shown(database_url):
    url = database_url.replace("postgres@", "postgres:p%40ss@")
    asked = run("psql", "-c", r"\! echo $PGPASSWORD; ps -o args= -p $PPID; true", DATABASE_URL=url)
    shown = run("url", DATABASE_URL="postgresql://me:p%40ss@localhost:1/bars?sslmode=disable")

    assert asked.stdout.startswith("p@ss\n")
    assert "p%40ss" not in asked.stdout
    assert shown.stdout == "postgresql://me@localhost:1/bars\n"


def test_a_server_that_cannot_start_is_status_10_with_the_reason(tmp_path):
    (tmp_path / "home").write_text("")
    failed = run("psql", BACKFILL_HOME=str(tmp_path / "home"))

    assert failed.returncode == 10
    assert failed.stderr.startswith("error: the embedded PostgreSQL in")
    assert failed.stdout == ""


HELP = """
import runpy, sys
sys.argv[1:] = ["--help"]
try:
    runpy.run_path("scripts/database.py", run_name="__main__")
finally:
    print(sorted({"asyncpg", "numpy", "pandas", "aiohttp"} & set(sys.modules)))
"""


def test_help_imports_nothing_heavy():
    told = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout.endswith("[]\n")
