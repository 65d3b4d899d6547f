"""Who the embedded PostgreSQL runs as: it refuses to be root."""

import fcntl
import logging
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEDICATED = "market-backfill"
FALLBACK = "nobody"
ATTEMPTS = 5
ATTEMPT_PAUSE_SECONDS = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that own the server's files and processes."""

    uid: int
    gid: int

    @property
    def other(self) -> bool:
        """True when it is not the one this process runs as, which is root then."""
        return self.uid != os.geteuid()

    def give(self, target: int | Path) -> None:
        """Make *target*, a path or an open file of ours, the account's. Never what a link points to."""
        if isinstance(target, int):
            os.fchown(target, self.uid, self.gid)
        else:
            os.chown(target, self.uid, self.gid, follow_symlinks=False)

    def can_read(self, path: Path) -> bool:
        """Whether the account reaches *path* and may read it, folders above included."""
        return self.run(["test", "-r", str(path)], cwd=Path("/")).returncode == 0

    def run(
        self, command: Sequence[str | Path], *, cwd: Path, keep_open: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as the account and wait; stdout holds both its streams.

        *cwd* is entered before root's rights are given up. *keep_open*: open files the command inherits.
        Its environment is bare, so that no PG* variable of the user's reaches a server others share.
        """
        return subprocess.run(
            command,
            cwd=cwd,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            pass_fds=keep_open,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=[] if self.other else None,
        )


def ourselves() -> Account:
    """Who this process runs as."""
    return Account(os.geteuid(), os.getegid())


def account_for(folder: Path) -> Account:
    """Who shall serve *folder*: ourselves; for root, whoever owns it, else an account made for it."""
    if os.geteuid() != 0:
        return ourselves()
    owner = _owner(folder)
    return owner if owner and owner.uid != 0 else _dedicated()


def _owner(folder: Path) -> Account | None:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return None
    return Account(found.st_uid, found.st_gid) if stat.S_ISDIR(found.st_mode) else None


def _dedicated() -> Account:
    return known(DEDICATED) or created(DEDICATED) or known(FALLBACK) or Account(65534, 65534)


def known(name: str) -> Account | None:
    """The account *name*; None if there is none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def created(name: str) -> Account | None:
    """The system account *name*, made if it is not there; None if it cannot be made."""
    useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    if useradd is None:
        return None
    with _alone():
        return known(name) or _added(useradd, name)


@contextmanager
def _alone() -> Iterator[None]:
    """One process of ours at a time: two useradds at once both find the name free, and the later one replaces
    the account under whose number a server already runs."""
    folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _added(useradd: str, name: str) -> Account | None:
    options = [
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/",
        "--shell",
        "/usr/sbin/nologin",
    ]
    for _ in range(ATTEMPTS):
        made = subprocess.run([useradd, *options, name], capture_output=True, text=True, check=False)
        if account := known(name):
            return account
        time.sleep(ATTEMPT_PAUSE_SECONDS)  # another program may hold the lock of the accounts
    _log.warning(
        "no account %s could be made (%s): PostgreSQL runs as %s", name, made.stderr.strip(), FALLBACK
    )
    return None
