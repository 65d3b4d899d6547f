"""Tests that leave a secret, each in another place. Not collected; ``test_leaks.py`` runs them: all must fail."""

import asyncio
import gzip
import logging
import subprocess
import sys
from base64 import b64encode
from urllib.parse import quote

import asyncpg
import psycopg
import pytest

from tests.leaks import DATABASE_PASSWORD, KEY, MAIL_PASSWORD, WEBHOOK_PATH

open_sessions = []
SAYS = "import sys; print(sys.argv[1], file=getattr(sys, sys.argv[2]))"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_said_by_a_process(stream):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SAYS, KEY, stream), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await asyncio.gather(process.stdout.readline(), process.stderr.readline())
    await process.wait()


def test_said_by_a_process_that_was_waited_for():
    subprocess.run([sys.executable, "-c", SAYS, MAIL_PASSWORD, "stdout"], capture_output=True, check=True)


def test_said_by_a_process_into_our_own_output():
    subprocess.run([sys.executable, "-c", SAYS, KEY, "stderr"], check=True)


def test_printed():
    sys.stdout.write(WEBHOOK_PATH)


def test_logged():
    logging.getLogger("lib.some").info("%s", DATABASE_PASSWORD)


@pytest.mark.parametrize(
    "content",
    [
        KEY.encode(),
        quote(DATABASE_PASSWORD, safe="").encode(),
        b"Basic " + b64encode(f"ann:{MAIL_PASSWORD}".encode()),
        gzip.compress(KEY.encode()),
        b"\x7fELF" + bytes(9000) + KEY.encode() + bytes(9000),
    ],
    ids=["plain", "in a URL", "in base64", "packed", "core"],
)
def test_in_a_file(tmp_path, content):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "core.7").write_bytes(content)


def test_in_the_name_of_a_file(tmp_path):
    (tmp_path / f"page-{quote(KEY, safe='')}.html").touch()


@pytest.mark.parametrize("kind", ["text", "text[]", "jsonb", "bytea"])
async def test_in_a_row(database_url, kind):
    value = {"text[]": f"{{{KEY}}}", "jsonb": f'"{KEY}"'}.get(kind, KEY)
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE SCHEMA other")
    await connection.execute(f"CREATE TABLE other.kept AS SELECT '{value}'::{kind} AS said")
    await connection.close()


def test_in_what_a_session_shows(database_url):
    open_sessions.append(psycopg.connect(database_url, application_name=KEY))


def test_where_it_belongs(tmp_path):
    """The one that has to pass: what a person has put there, and nothing else."""
    (tmp_path / ".env").write_text(f"POLYGON_API_KEY={KEY}\n")
