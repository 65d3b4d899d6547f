"""The embedded server: who starts it, who stops it, and what must not keep it from starting."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from lib.errors import EmbeddedServerFailed
from lib.store import server as server_module
from lib.store.account import account_for, known
from lib.store.binaries import program, wheel
from lib.store.cluster import Cluster
from lib.store.server import embedded_server, embedded_server_async

ROOT = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")

HOLDER = """
import sys
from pathlib import Path
from lib.store.server import embedded_server
with embedded_server(Path(sys.argv[1]), durable=False) as url:
    print(url, flush=True)
    sys.stdin.read()
"""

MAKER = """
import sys
from lib.store.account import created
print("ready", flush=True)
sys.stdin.read()
print(created(sys.argv[1]))
"""


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Path]:
    """A BACKFILL_HOME that is not there yet; no server outlives the test."""
    yield tmp_path / "home"
    with suppress(OSError):
        os.kill(postmaster(tmp_path / "home"), signal.SIGQUIT)


@pytest.fixture(scope="session")
def used_home(tmp_path_factory) -> Path:
    """A home whose server has run, to be copied: that is quicker than making a data folder."""
    home: Path = tmp_path_factory.mktemp("used") / "home"
    with fast_server(home):
        return home


@pytest.fixture
def home(empty_home: Path, used_home: Path) -> Path:
    """A BACKFILL_HOME whose server has run before."""
    copy_home(used_home, empty_home)
    return empty_home


def copy_home(used: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", used, new], check=True)


class Holder:
    """Another process that uses the server of *home* until ``end``."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        """Tell it to end, and do not wait for it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None

    def end(self) -> None:
        self.process.communicate("")
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def holder(home: Path, **environment: str) -> Iterator[Holder]:
    other = Holder(home, **environment)
    try:
        yield other
    finally:
        other.kill()


@contextmanager
def fast_server(home: Path, version: int = 18) -> Iterator[str]:
    with embedded_server(home, version=version, durable=False) as url:
        yield url


def ask(url: str, query: str) -> str:
    command = [program("psql"), "-XAt", "-d", url, "-c", query]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def postmaster(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().split()[0])


def alive(home: Path) -> bool:
    return Cluster(home / "postgres", 18, durable=False).alive()


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_server(home: Path) -> None:
    os.kill(postmaster(home), signal.SIGKILL)
    wait_until(lambda: not alive(home))


@pytest.mark.parametrize("version", [16, 18])
def test_it_runs_for_the_block_and_keeps_its_data_and_version(empty_home, version):
    with fast_server(empty_home, version) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS n")
    assert not alive(empty_home)

    with fast_server(empty_home) as url:
        assert ask(url, "SELECT n FROM kept") == "42"
        assert ask(url, "SHOW server_version_num")[:2] == str(version)


def test_it_is_durable_in_utc_and_not_on_the_network(empty_home):
    with embedded_server(empty_home) as url:
        names = ["fsync", "data_checksums", "TimeZone", "jit", "listen_addresses", "server_encoding"]
        shown = [ask(url, f"SHOW {name}") for name in names]
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        mode = folder.stat().st_mode & 0o777

    assert shown == ["on", "on", "UTC", "off", "", "UTF8"]
    assert mode == 0o700


def test_a_second_start_takes_a_second_or_two(home):
    begun = time.monotonic()
    with fast_server(home):
        pass

    assert time.monotonic() - begun < 2


def test_the_first_one_out_leaves_it_running_and_the_last_one_stops_it(home):
    with holder(home) as first, holder(home) as second:
        urls = {first.url(), second.url()}
        first.end()
        assert [ask(url, "SELECT 1") for url in urls] == ["1"]

        second.end()
        assert not alive(home)


def test_two_in_one_process_count_as_two(home):
    with fast_server(home):
        with fast_server(home):
            pass
        assert alive(home)
    assert not alive(home)


def test_two_processes_start_at_once_on_an_empty_home(empty_home):
    with holder(empty_home) as first, holder(empty_home) as second:
        assert ask(first.url(), "SELECT pg_postmaster_start_time()") == ask(
            second.url(), "SELECT pg_postmaster_start_time()"
        )


def test_it_starts_again_while_another_process_is_stopping_it(home):
    with holder(home) as leaving:
        leaving.url()
        leaving.leave()
        for _ in range(5):
            with fast_server(home) as url:
                assert ask(url, "SELECT 1") == "1"


def test_a_killed_script_leaves_it_to_the_next_which_stops_it(home):
    with holder(home) as killed:
        killed.url()
        pid = postmaster(home)
        killed.kill()
    assert alive(home)

    with fast_server(home) as url:
        assert postmaster(home) == pid
        assert ask(url, "SELECT 1") == "1"
    assert not alive(home)


def test_a_killed_server_is_started_again_with_what_was_committed(home):
    with fast_server(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS n")
        kill_server(home)
        with fast_server(home) as url:
            assert ask(url, "SELECT n FROM kept") == "42"


def test_a_stale_pid_that_now_belongs_to_another_process_is_no_obstacle(home):
    with fast_server(home):
        kill_server(home)
    account = account_for(home / "postgres")
    other = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.other else {}
    with subprocess.Popen(["sleep", "60"], **other) as foreign:
        for name in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            path = home / "postgres" / name
            path.write_text("\n".join([str(foreign.pid), *path.read_text().split("\n")[1:]]))
        with fast_server(home) as url:
            assert ask(url, "SELECT 1") == "1"
        foreign.kill()


def test_a_server_that_the_toolkit_did_not_start_is_not_touched(home):
    with fast_server(home) as url:
        (home / "postgres/server.lock").unlink()
        with pytest.raises(EmbeddedServerFailed, match=rf"pid {postmaster(home)}"), fast_server(home):
            pass
        assert ask(url, "SELECT 1") == "1"


def test_a_start_killed_while_it_makes_the_data_folder_is_made_good(empty_home):
    with holder(empty_home) as killed:
        wait_until((empty_home / "postgres/data.new/base").exists)
        killed.kill()

    with fast_server(empty_home) as url:
        assert ask(url, "SELECT 1") == "1"


def test_it_is_waited_for_while_it_is_alive_but_not_answering(home):
    with fast_server(home):
        pid = postmaster(home)
        os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))
        timer.start()
        begun = time.monotonic()
        with fast_server(home) as url:
            assert time.monotonic() - begun > 0.9
            assert ask(url, "SELECT 1") == "1"


def test_a_long_wait_is_told_once(home, monkeypatch, caplog):
    monkeypatch.setattr(server_module, "TELL_AFTER_SECONDS", 0.05)
    with fast_server(home):
        lock = Cluster(home / "postgres", 18, durable=False).lock("start")
        assert lock.take_exclusive()
        threading.Timer(0.5, lock.close).start()
        with fast_server(home):
            pass

    assert [r.message for r in caplog.records if "another script" in r.message] == [
        f"waiting for the embedded PostgreSQL: another script is starting or stopping it ({home}/postgres)"
    ]


async def test_a_cancelled_wait_ends_at_once(home):
    async with embedded_server_async(home):
        with Cluster(home / "postgres", 18, durable=False).lock("start") as lock:
            assert lock.take_exclusive()
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), embedded_server_async(home):
                    pass
            assert time.monotonic() - begun < 1
    assert not alive(home)


def test_a_server_that_cannot_start_says_why(home):
    with (home / "postgres/data/postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")

    with pytest.raises(EmbeddedServerFailed, match="no_such_setting") as failure, fast_server(home):
        pass
    assert failure.value.exit_status == 10


def test_a_home_that_is_a_file_is_named(empty_home):
    empty_home.write_text("")
    with pytest.raises(EmbeddedServerFailed, match=str(empty_home)), fast_server(empty_home):
        pass


def test_an_unknown_version_of_the_data_is_named(home):
    (home / "postgres/data/PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedServerFailed, match="version 17, only 16 and 18"), fast_server(home):
        pass


async def test_the_users_own_postgresql_settings_are_ignored(home, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with fast_server(home) as url:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


def test_a_big_log_is_put_aside(home, monkeypatch):
    with (home / "postgres/server.log").open("a") as log:
        log.truncate(20_000_000)
    with fast_server(home):
        assert (home / "postgres/server.log.1").stat().st_size == 20_000_000
        assert (home / "postgres/server.log").stat().st_size < 10_000


class TestALongPath:
    """A socket's path may have 107 bytes."""

    @pytest.fixture
    def home(self, tmp_path, used_home):
        home = tmp_path / ("h" * 100) / "home"
        copy_home(used_home, home)
        return home

    def test_puts_the_socket_into_a_short_private_folder_for_the_time(self, home):
        with fast_server(home) as url:
            assert ask(url, "SELECT 1") == "1"
            folder = Path(parse_qs(urlsplit(url).query)["host"][0])
            assert (folder.stat().st_mode & 0o777, len(str(folder)) < 80) == (0o700, True)
        assert not folder.exists()

    def test_survives_a_killed_server_and_another_temporary_folder(self, home, monkeypatch, tmp_path):
        with fast_server(home) as url:
            with holder(home, TMPDIR="/var/tmp") as other:
                assert other.url() == url
            kill_server(home)
            with fast_server(home) as url:
                assert ask(url, "SELECT 1") == "1"

    def test_refuses_a_folder_that_others_may_enter(self, home):
        with fast_server(home) as url:
            folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        folder.mkdir(mode=0o755)
        try:
            with pytest.raises(EmbeddedServerFailed, match="open to others"), fast_server(home):
                pass
        finally:
            folder.rmdir()


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of *folder*, of what is in it, and of every folder above it."""
    found = [folder, *folder.parents, *folder.rglob("*")]
    return {path: (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_gid) for path in found}


@needs_root
class TestAsRoot:
    """PostgreSQL runs under an account without rights, and nobody else's permissions are changed for it."""

    def test_it_works_below_a_private_folder_and_changes_no_permission_outside_its_own(self, tmp_path):
        tmp_path.chmod(0o700)
        home = tmp_path / "existing"
        home.mkdir(mode=0o700)
        before = modes(home) | modes(wheel())

        with fast_server(home) as url:
            assert ask(url, "SELECT 1") == "1"

        after = modes(home) | modes(wheel())
        assert {path: after[path] for path in before} == before
        assert {path.parent for path in after.keys() - before.keys() if path.parent in before} == {home}

    def test_the_server_has_an_account_of_its_own(self, home):
        with fast_server(home):
            account = account_for(home / "postgres")
            assert account.uid != 0
            assert rights_of(postmaster(home)) == {
                "Uid": {account.uid},
                "Gid": {account.gid},
                "Groups": set(),
            }

    def test_made_by_several_at_once_the_account_is_one(self, new_account):
        command = [sys.executable, "-c", MAKER, new_account]
        makers = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(6)
        ]
        for maker in makers:
            maker.stdout.readline()
        for maker in makers:
            maker.stdin.close()
        seen = {maker.stdout.read().strip() for maker in makers}
        for maker in makers:
            maker.stdout.close()
            maker.wait()
        assert seen == {str(known(new_account))}

    @pytest.fixture
    def new_account(self):
        """A name that no account has; what is made of it is removed."""
        name = f"mb-test-{os.getpid()}"
        yield name
        subprocess.run(["userdel", name], check=False, stderr=subprocess.DEVNULL)

    def test_a_folder_of_another_user_is_served_as_that_user(self, home):
        for path in (home / "postgres", *(home / "postgres").rglob("*")):
            os.chown(path, 12345, 12346)
        with fast_server(home) as url:
            assert ask(url, "SELECT 1") == "1"
            assert rights_of(postmaster(home)) == {"Uid": {12345}, "Gid": {12346}, "Groups": set()}

    def test_programs_below_a_private_folder_are_copied_into_the_home(self, private_wheel):
        home = Path(tempfile.mkdtemp(prefix="market-backfill-test-home-"))
        home.chmod(0o755)
        try:
            with holder(home, PYTHONPATH=str(private_wheel)) as other:
                assert ask(other.url(), "SELECT 1") == "1"
                assert running_program(home).is_relative_to(home / "postgres")
                other.end()
        finally:
            shutil.rmtree(home)

    def test_programs_and_home_below_private_folders_meet_in_a_third_for_the_time(self, home, private_wheel):
        with holder(home, PYTHONPATH=str(private_wheel)) as other:
            assert ask(other.url(), "SELECT 1") == "1"
            copy = running_program(home)
            assert copy.is_relative_to(tempfile.gettempdir()) and not copy.is_relative_to(home)
            other.end()
        assert not copy.exists()

    @pytest.fixture
    def private_wheel(self, tmp_path):
        """A folder for PYTHONPATH: the wheel, seen through a folder that only root may enter."""
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        for name in (wheel().name, f"{wheel().name}.libs"):
            (private / name).symlink_to(wheel().with_name(name))
        return private


def rights_of(pid: int) -> dict[str, set[int]]:
    """Every user and group that the process may act as."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: set(map(int, lines[name].split())) for name in ("Uid", "Gid", "Groups")}


def running_program(home: Path) -> Path:
    return Path(f"/proc/{postmaster(home)}/exe").readlink()
