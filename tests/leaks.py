"""The secrets of the tests, and the search for them in all that a test leaves: words, files, databases.

``conftest.py`` does it after every test, without its asking; ``planted.py`` shows that it finds something.
"""

import gzip
import os
import re
import subprocess
from asyncio.subprocess import SubprocessStreamProtocol
from base64 import b64encode
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from lib.store.binaries import program

# What stands between the signs that a URL, JSON or SQL may write otherwise is looked for.
CORES = ("Zq7RunsThroughNothing", "Xk3OpensTheDatabase", "T0B0CallsTheWebhook", "Vw5SendsTheMail")
KEY, DATABASE_PASSWORD, WEBHOOK_PATH, MAIL_PASSWORD = (
    form.format(core)
    for form, core in zip(("pk/{}+9=", "p@{}:/", "/services/{}", "pass {}"), CORES, strict=True)
)
# Files that hold a secret because a person has put it there.
WRITTEN_BY_THE_USER = {".env"}

_SEARCH = """
DO $$
DECLARE
    place text;
    words text;
    holding bigint;
BEGIN
    FOR place, words IN  -- numbers, times and flags can hold none, and most columns of most rows are such
        SELECT c.oid::regclass, string_agg(quote_ident(attname), ', ')
        FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid JOIN pg_type t ON t.oid = atttypid
        WHERE (relkind IN ('r', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
               OR c.oid = 'pg_stat_activity'::regclass)
            AND attnum > 0 AND NOT attisdropped AND typcategory NOT IN ('N', 'D', 'T', 'B')
        GROUP BY 1
    LOOP
        EXECUTE format('SELECT count(*) FROM %s WHERE concat_ws('' '', %s) ~ $1', place, words)
            INTO holding USING reverse('{reversed}');
        IF holding > 0 THEN
            RAISE EXCEPTION '% rows of % hold a secret', holding, place;
        END IF;
    END LOOP;
END $$
"""


def _forms(core):
    """*core* as it stands, in hexadecimal digits (bytea) and within base64, whatever stands before it."""
    yield core.encode()
    yield core.encode().hex().encode()
    for before in range(3):
        yield b64encode(b"\0" * before + core.encode())[before and before + 1 : -4]


FORMS = tuple(form for core in CORES for form in _forms(core))


def with_password(url):
    """*url* with a password, which the server of the tests does not ask for."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        return url
    return parts._replace(netloc=f"{user}:{quote(DATABASE_PASSWORD, safe='')}@{host}").geturl()


def holds_a_secret(content):
    """Whether *content*, packed or not, holds one."""
    content = content.encode(errors="replace") if isinstance(content, str) else content
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return any(form in content for form in FORMS)


def leaking_files(folder):
    """The files and folders anywhere below *folder* that hold a secret, or have it in their name."""
    return [
        path
        for place, folders, files in os.walk(folder)
        for path in map(Path(place).joinpath, folders + files)
        if holds_a_secret(path.name) or holds_a_secret(_content(path))
    ]


def _content(path):
    if path.is_symlink() or not path.is_file() or path.name in WRITTEN_BY_THE_USER:
        return b""
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a server that is being stopped removes some
        return b""


def search_database(url):
    """Raises AssertionError if a row of any table holds a secret, or what a session is doing."""
    # The other way round, for what the server logs and shows of this statement must not hold one either.
    pattern = "|".join(re.escape(form.decode()) for form in FORMS)[::-1].replace("'", "''")
    command = [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
    ended = subprocess.run(
        [*command, "-c", _SEARCH.replace("{reversed}", pattern)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


@contextmanager
def overheard():
    """All that processes started in the block wrote into our pipes, by process and stream, whoever read it."""
    heard = defaultdict(bytearray)
    receive, communicate = SubprocessStreamProtocol.pipe_data_received, subprocess.Popen.communicate

    def received(protocol, number, data):
        heard[protocol, number].extend(data)
        receive(protocol, number, data)

    def communicated(process, *arguments, **options):
        said = communicate(process, *arguments, **options)
        for number, text in enumerate(said):
            heard[process, number].extend(
                text.encode(errors="replace") if isinstance(text, str) else text or b""
            )
        return said

    SubprocessStreamProtocol.pipe_data_received, subprocess.Popen.communicate = received, communicated
    try:
        yield heard
    finally:
        SubprocessStreamProtocol.pipe_data_received, subprocess.Popen.communicate = receive, communicate
