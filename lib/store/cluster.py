"""One data folder of PostgreSQL and its server: how it is made, started, asked and stopped.

Everything lies in one private folder, the room: ``data``, ``server.log``, the socket and the lock files.
Only one process at a time may change anything here; ``lib.store.server`` sees to that.
"""

import hashlib
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from lib.errors import EmbeddedServerFailed
from lib.store import binaries
from lib.store.account import account_for, ourselves
from lib.store.filelock import FileLock

SUPERUSER = "postgres"
PORT = "5432"  # a part of the socket's name; no port is opened
SOCKET = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES = 107
LOG_BYTES = 10_000_000
LOG_TAIL_LINES = 8
PROCESSES = Path("/proc")  # absent on some systems: there PostgreSQL judges a stale pid by itself


class Cluster:
    """The PostgreSQL in *room*, which is made if it is not there.

    *version* is for a new data folder; an existing one is served by the version that made it.
    *durable* False: no fsync, for tests.
    """

    def __init__(self, room: Path, version: int, *, durable: bool) -> None:
        self.room = room
        self.log_file = room / "server.log"
        self._data = room / "data"
        self._version = version
        self._durable = durable
        self._account = account_for(room)
        self._make_room()

    def _make_room(self) -> None:
        self.room.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.room.mkdir(mode=0o700)
        found = self.room.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise EmbeddedServerFailed(f"{self.room} is not a folder", hint="set another BACKFILL_HOME")
        if found.st_uid == os.geteuid():
            self._account.give(self.room)

    def lock(self, name: str) -> FileLock:
        """A lock file in the room, open and not yet taken; the caller closes it."""
        return FileLock(self.room / f"{name}.lock", self._account)

    @property
    def url(self) -> str:
        """How to reach the running server. The port is named lest PGPORT be believed."""
        return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(self._socket_folder()))}&port={PORT}"

    def alive(self) -> bool:
        """Whether any process of the server lives, answering or not: they all inherited its lock."""
        with self.lock("server") as lock:
            return not lock.take_exclusive()

    def accepts(self) -> bool:
        """Whether the server takes connections: not while it recovers or shuts down."""
        asking: list[str | Path] = [binaries.program("pg_isready"), "--dbname", self.url]
        return ourselves().run(asking, cwd=Path("/")).returncode == 0

    def launch(self, start_lock: FileLock) -> None:
        """Start the server, which must not be alive; not waited for. Makes the data folder if needed."""
        self._clear_remains()
        self._ensure_data(start_lock)
        self._turn_log()
        with self.lock("server") as server_lock:
            server_lock.take_exclusive()
            options = shlex.join(_options(self._prepare_socket_folder(), durable=self._durable))
            self._pg_ctl("start", "--log", "../server.log", "--options", options, keep_open=server_lock)

    def stop(self, start_lock: FileLock) -> None:
        """Ask the server to end its sessions and shut down, without waiting for it."""
        self._pg_ctl("stop", "--mode=fast", keep_open=start_lock)

    def tidy(self) -> None:
        """Once the server is down, leave nothing outside the room."""
        folder = _outside(self.room)
        if folder.exists() and self._is_private(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def log_tail(self) -> str:
        """The last words of the server, under the name of its log."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join([f"{self.log_file}:", *text.splitlines()[-LOG_TAIL_LINES:]])

    def _clear_remains(self) -> None:
        """What a dead server left is no obstacle; a server started by hand on this folder is one.

        PostgreSQL itself would take a reused pid, or an unreaped zombie in a container, for a live server.
        """
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists() or not PROCESSES.exists():
            return
        pid = pid_file.read_text().split("\n", 1)[0].strip()
        if _is_postgres_in(pid, self._data):
            raise EmbeddedServerFailed(
                f"a PostgreSQL that this toolkit did not start (pid {pid}) uses {self._data}",
                hint="stop it first",
            )
        pid_file.unlink()
        (self.room / f"{SOCKET}.lock").unlink(missing_ok=True)
        self.tidy()

    def _ensure_data(self, start_lock: FileLock) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        scratch = self.room / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        self._account.give(scratch)
        options = ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale"]
        options += ["--data-checksums"] if self._durable else ["--data-checksums", "--no-sync"]
        # Should we be killed, initdb goes on: it keeps the start lock, and the next script waits for it.
        self._run_in(scratch, "initdb", *options, keep_open=start_lock)
        scratch.rename(self._data)
        _sync(self.room)

    def _turn_log(self) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
            self.log_file.replace(self.log_file.with_name("server.log.1"))

    def _pg_ctl(self, *arguments: str, keep_open: FileLock) -> None:
        self._run_in(self._data, "pg_ctl", *arguments, "--no-wait", "--silent", keep_open=keep_open)

    def _run_in(self, folder: Path, name: str, *arguments: str, keep_open: FileLock) -> None:
        """Run one of PostgreSQL's programs on *folder*; it inherits the lock *keep_open*."""
        programs = binaries.programs_for(self._account, self._version_of(folder), self._copy_folder)
        command: list[str | Path] = [programs / name, *arguments, "--pgdata", self._seen_from_inside(folder)]
        done = self._account.run(command, cwd=folder, keep_open=(keep_open.fd,))
        if done.returncode != 0:
            raise EmbeddedServerFailed(f"{name} failed: {done.stdout.strip()[-1000:]}\n{self.log_tail()}")

    def _seen_from_inside(self, folder: Path) -> str:
        # The account need not be able to walk there (the home may lie below a private folder, whose
        # permissions are not ours to change): it is put there, and PostgreSQL stays where it is put.
        return "/proc/self/cwd" if self._account.other and (PROCESSES / "self/cwd").exists() else str(folder)

    def _version_of(self, folder: Path) -> int:
        try:
            return int((folder / "PG_VERSION").read_text())
        except FileNotFoundError:
            return self._version

    def _copy_folder(self) -> Path:
        return self.room if self._account.can_read(self.room) else self._make_outside()

    def _socket_folder(self) -> Path:
        """Where the running server says its socket is: TMPDIR may have been another when it started."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return self.room
        recorded = lines[4] if len(lines) > 4 else ""
        return Path(recorded) if recorded.startswith("/") else self.room

    def _prepare_socket_folder(self) -> str:
        """As the server is to be told: ``..`` is the room, seen from its data folder."""
        fits = len(os.fsencode(self.room / SOCKET)) <= SOCKET_PATH_BYTES
        return ".." if fits else str(self._make_outside())

    def _make_outside(self) -> Path:
        """A short private folder of the account's, for what cannot be in the room."""
        folder = _outside(self.room)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not self._is_private(folder):
            raise EmbeddedServerFailed(
                f"{folder} belongs to somebody else, or is open to others",
                hint="set BACKFILL_HOME to a shorter path that every account can enter, or set TMPDIR",
            )
        if folder.lstat().st_uid == os.geteuid():
            self._account.give(folder)
        if not self._account.other or self._account.can_read(folder):
            return folder
        raise EmbeddedServerFailed(
            f"the account PostgreSQL runs under cannot enter {folder.parent}",
            hint="set TMPDIR to a folder that every account can enter",
        )

    def _is_private(self, folder: Path) -> bool:
        found = folder.lstat()
        owned = found.st_uid in (os.geteuid(), self._account.uid)
        return stat.S_ISDIR(found.st_mode) and owned and found.st_mode & 0o077 == 0


def _options(socket_folder: str, *, durable: bool) -> Iterator[str]:
    """Settings on the command line win over the data folder's files: a newer toolkit's apply at once."""
    settings = {
        "cluster_name": "market-backfill",
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": '"' + socket_folder.replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "max_connections": "50",
        "shared_buffers": f"{_shared_buffers_mb()}MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "log_checkpoints": "off",
        "client_connection_check_interval": "2s",  # a killed script's query ends, and its locks with it
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        "fsync": "on" if durable else "off",
    }
    for name, value in settings.items():
        yield from ("-c", f"{name}={value}")


def _shared_buffers_mb() -> int:
    """256, or an eighth of a small machine's memory."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(16, min(256, memory_mb // 8))


def _outside(room: Path) -> Path:
    name = f"market-backfill-{hashlib.sha256(os.fsencode(room)).hexdigest()[:16]}"
    folder = Path(tempfile.gettempdir()) / name
    return folder if len(os.fsencode(folder / SOCKET)) <= SOCKET_PATH_BYTES else Path("/tmp") / name


def _is_postgres_in(pid: str, data: Path) -> bool:
    """Whether process *pid* is a PostgreSQL server at work in *data*."""
    process = PROCESSES / pid
    try:
        return (process / "comm").read_text().strip() == "postgres" and (process / "cwd").samefile(data)
    except OSError:
        return False


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
