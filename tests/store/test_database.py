"""The way to PostgreSQL: what a session looks like, and how every failure of it is named."""

import asyncio
import re
import struct
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from lib import sql
from lib.clock import ScaledClock
from lib.errors import DatabaseError, DatabaseUnreachable, UsageError
from lib.settings import Settings
from lib.store.database import OLDEST_SERVER, POOL_SIZE, open_database, open_url
from lib.store.failures import translated
from lib.store.server import embedded_server_async

PASSWORD = "s3cret"
START = datetime(2025, 1, 2, tzinfo=UTC)


def socket_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0] + "/.s.PGSQL.5432"


@asynccontextmanager
async def listening(serve):
    """A TCP server on this machine, as its port; every connection is closed at the end."""
    writers = []

    async def handle(reader, writer):
        writers.append(writer)
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def over_tcp(url: str, *, refusals: list[bytes]):
    """The server of *url* on a TCP port, as a URL; its first clients get one of *refusals* each."""

    async def serve(reader, writer):
        if refusals:
            await _read_startup(reader)
            writer.write(refusals.pop(0))
            return
        back_reader, back_writer = await asyncio.open_unix_connection(socket_of(url))
        await asyncio.gather(_pump(reader, back_writer), _pump(back_reader, writer))

    async with listening(serve) as port:
        name = urlsplit(url).path
        yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}{name}?sslmode=disable"


async def _read_startup(reader):
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    await reader.readexactly(length - 4)


async def _pump(reader, writer):
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


def refusal(state: str, message: str) -> bytes:
    """An ErrorResponse of the PostgreSQL protocol."""
    fields = b"".join(
        kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", state), (b"M", message))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


class TestSession:
    @pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
    async def test_is_in_utc_without_jit_under_our_name(self, database):
        async with database.connection() as connection:
            shown = [
                await connection.fetchval(f"SHOW {name}") for name in ("TimeZone", "jit", "application_name")
            ]

        assert shown == ["UTC", "off", "market-backfill"]

    async def test_the_pool_has_eight_connections_and_the_ninth_waits(self, database):
        async def pid(hold: asyncio.Event) -> int:
            async with database.connection() as connection:
                await hold.wait()
                return await connection.fetchval("SELECT pg_backend_pid()")

        hold = asyncio.Event()
        asking = [asyncio.ensure_future(pid(hold)) for _ in range(POOL_SIZE + 1)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(10):
            hold.set()
            pids = await asyncio.gather(*asking)

        assert len(set(pids)) == POOL_SIZE

    async def test_a_cancelled_block_drops_its_connection_and_what_it_did(self, database):
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE filled (n integer)")
        used = []

        async def copy() -> None:
            async def endless():
                while True:
                    yield b"1\n" * 10_000
                    await asyncio.sleep(0)

            async with database.connection() as connection, connection.transaction():
                used.append(connection.get_server_pid())
                await connection.copy_to_table("filled", source=endless())

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await copy()
        async with asyncio.timeout(5), database.connection() as connection:
            assert connection.get_server_pid() not in used
            assert await connection.fetchval("SELECT count(*) FROM filled") == 0

    async def test_a_second_open_finds_the_schema(self, database_url, database):
        async with open_url(database_url) as second, second.connection() as connection:
            assert await connection.fetchval("SELECT count(*) > 0 FROM schema_migrations")

    async def test_it_works_in_a_schema_set_by_the_url(self, empty_database_url):
        connection = await asyncpg.connect(empty_database_url)
        await connection.execute("CREATE SCHEMA mine")
        await connection.close()
        async with (
            open_url(f"{empty_database_url}&options=-csearch_path%3Dmine") as database,
            database.connection() as connection,
        ):
            places = await connection.fetch(
                "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname IN ('mine', 'public')"
            )

        assert [row["schemaname"] for row in places] == ["mine"]


class TestOpenDatabase:
    async def test_the_url_of_the_settings_is_used(self, tmp_path, database_url):
        settings = Settings(home=tmp_path / "home", database_url=database_url)
        async with open_database(settings) as database, database.connection() as connection:
            name = await connection.fetchval("SELECT current_database()")

        assert name == urlsplit(database_url).path[1:]
        assert not (tmp_path / "home").exists()

    async def test_without_a_url_it_is_the_embedded_one(self, tmp_path):
        settings = Settings(home=tmp_path / "home")
        async with open_database(settings) as database, database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) > 0 FROM schema_migrations")
            assert database.name == f"embedded ({tmp_path / 'home'})"
        assert not (tmp_path / "home/postgres/data/postmaster.pid").exists()


class TestFailures:
    """Each is ours, has exit status 10, names the database, and never its password."""

    async def test_a_wrong_port(self, unused_tcp_port):
        with pytest.raises(DatabaseUnreachable) as failure:
            async with open_url(f"postgresql://someone:{PASSWORD}@127.0.0.1:{unused_tcp_port}/bars"):
                pass

        assert failure.value.exit_status == 10
        assert f"postgresql://someone@127.0.0.1:{unused_tcp_port}/bars" in str(failure.value)
        assert PASSWORD not in str(failure.value)

    @pytest.mark.parametrize(
        ("state", "message"),
        [
            ("28P01", 'password authentication failed for user "postgres"'),
            ("3D000", 'database "bars" does not exist'),
            ("53300", "sorry, too many clients already"),
        ],
    )
    async def test_a_server_that_refuses(self, database_url, state, message):
        async with over_tcp(database_url, refusals=[refusal(state, message)]) as url:
            with pytest.raises(DatabaseUnreachable, match=message) as failure:
                async with open_url(url):
                    pass

        assert failure.value.exit_status == 10
        assert PASSWORD not in str(failure.value)

    async def test_a_wrong_password(self, tmp_path):
        async with embedded_server_async(tmp_path) as url:
            hba = tmp_path / "postgres/data/pg_hba.conf"
            hba.write_text("local all someone scram-sha-256\n" + hba.read_text())
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE ROLE someone LOGIN PASSWORD 'right'; SELECT pg_reload_conf()")
            await connection.close()
            with pytest.raises(DatabaseUnreachable, match="password authentication failed") as failure:
                async with open_url(url.replace("postgres@", f"someone:{PASSWORD}@")):
                    pass

        assert PASSWORD not in f"{failure.value} {failure.value.hint}"

    async def test_a_missing_database(self, database_url):
        with pytest.raises(DatabaseUnreachable, match='database "no_such" does not exist'):
            async with open_url(urlsplit(database_url)._replace(path="/no_such").geturl()):
                pass

    async def test_a_server_that_never_answers(self, monkeypatch):
        monkeypatch.setattr("lib.store.database.CONNECT_SECONDS", 0.2)

        async with listening(lambda reader, _: reader.read()) as port:
            with pytest.raises(DatabaseUnreachable, match=f"no answer in time .*:{port}/bars"):
                async with open_url(f"postgresql://someone@127.0.0.1:{port}/bars?sslmode=disable"):
                    pass

    @pytest.mark.parametrize("url", ["postgresql://u:p/w@host/bars", "postgresql://u@[::1/bars"])
    async def test_a_url_that_cannot_be_read_is_not_repeated(self, url):
        with pytest.raises(UsageError) as failure:
            async with open_url(url):
                pass

        assert "p/w" not in f"{failure.value} {failure.value.hint}"

    async def test_a_url_with_a_wrong_option(self):
        with pytest.raises(UsageError, match="sslmode"):
            async with open_url("postgresql://u@localhost/bars?sslmode=wrong"):
                pass

    async def test_a_statement_that_fails_is_told_with_its_state(self, database):
        with pytest.raises(DatabaseError, match=r"division by zero \(22012\)") as failure:
            async with database.connection() as connection:
                await connection.fetch("SELECT 1 / 0")

        assert isinstance(failure.value.__cause__, asyncpg.DivisionByZeroError)
        assert not isinstance(failure.value, DatabaseUnreachable)

    @pytest.mark.parametrize("pause", [0, 0.05], ids=["noticed-by-nobody-yet", "noticed"])
    async def test_a_connection_that_was_cut_is_unreachable_and_the_next_one_works(self, database, pause):
        with pytest.raises(DatabaseUnreachable):
            async with database.connection() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                async with database.connection() as other:
                    await other.fetch("SELECT pg_terminate_backend($1)", pid)
                await asyncio.sleep(pause)
                await connection.fetch("SELECT pg_sleep(5)")
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1

    async def test_a_connection_that_is_cut_at_work_is_unreachable(self, database):
        async def cut(pid: int) -> None:
            await asyncio.sleep(0.1)
            async with database.connection() as other:
                await other.fetch("SELECT pg_terminate_backend($1)", pid)

        with pytest.raises(DatabaseUnreachable, match="terminating connection"):
            async with database.connection() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                await asyncio.gather(connection.fetch("SELECT pg_sleep(5)"), cut(pid))

    async def test_a_server_that_is_too_old(self, database_url):
        with pytest.raises(DatabaseError, match=r"runs PostgreSQL 18\.\d+, not 99 or later"):
            async with open_url(database_url, oldest=99):
                pass
        assert OLDEST_SERVER == 16

    def test_an_error_of_ours_passes_as_it_is(self):
        with pytest.raises(UsageError), translated("bars"):
            raise UsageError("mine")


class TestAServerThatIsStarting:
    STARTING = refusal("57P03", "the database system is starting up")

    async def test_is_waited_for(self, database_url):
        clock = ScaledClock(START, speed=20)
        async with (
            over_tcp(database_url, refusals=[self.STARTING] * 3) as url,
            open_url(url, clock=clock) as database,
            database.connection() as connection,
        ):
            assert await connection.fetchval("SELECT 1") == 1

    async def test_but_not_for_ever(self, database_url):
        clock = ScaledClock(START, speed=200)
        async with over_tcp(database_url, refusals=[self.STARTING] * 10_000) as url:
            with pytest.raises(DatabaseUnreachable, match="starting up"):
                async with open_url(url, clock=clock):
                    pass

        assert 60 <= clock.monotonic() < 200


@pytest.mark.parametrize("postgres_version", [16, 18], indirect=True)
async def test_every_query_is_understood_by_the_server(database):
    async with database.connection() as connection, connection.transaction():
        await connection.execute(sql.load("create_bar_stage"))
        for path in sorted(sql.QUERIES.glob("*.sql")):
            text = sql.load(path.stem)
            if not re.search(r"^(CREATE|TRUNCATE|LOCK)", text, re.MULTILINE):
                await connection.prepare(text)
