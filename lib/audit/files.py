"""Files that others read: replaced whole or not at all, and never through a symbolic link."""

import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import UsageError
from lib.redaction import Redaction

_FILE_MODE = 0o644
_LONGEST_SHOWN = 100


def check_output_path(path: Path, option: str = "--output") -> None:
    """Make sure, before a run starts, that the file of *option* can be written to *path*.

    Raises UsageError saying what is in the way: a missing or closed folder, or a *path* that is no plain file
    (a symbolic link could lead anywhere).
    """
    try:
        _check_place(path, option)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{str(path)[:_LONGEST_SHOWN]} cannot be written: {why}", hint=f"choose another {option}"
        ) from error


def _check_place(path: Path, option: str) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder} for {path.name}",
            hint=f"make it (mkdir -p {folder}) or choose another {option}",
        )
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise UsageError(f"no permission to write into {folder}", hint=f"choose another {option}")
    try:
        present = path.lstat()
    except FileNotFoundError:
        return
    _check_replaceable(path, present, folder.stat(), option)


def _check_replaceable(path: Path, present: os.stat_result, folder: os.stat_result, option: str) -> None:
    if stat.S_ISLNK(present.st_mode):
        raise UsageError(
            f"{path} is a symbolic link, which is never followed",
            hint=f"name the file itself as {option}",
        )
    if not stat.S_ISREG(present.st_mode):
        raise UsageError(f"{path} is not a plain file", hint=f"choose another {option}")
    # In a folder like /tmp only the owner of a file, or of the folder, may replace it.
    owners = {present.st_uid, folder.st_uid, 0}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
        raise UsageError(f"{path} belongs to another user", hint=f"choose another {option}")


def write_audit(document: Mapping[str, object], path: Path, redaction: Redaction) -> None:
    """Put *document* at *path*, whole or not at all; whatever stood there stays until then.

    The secrets are taken out once more: the last door is the one that counts.
    Raises UsageError if the file cannot be written there.
    """
    text = json.dumps(redaction.document(document), ensure_ascii=False, indent=2, allow_nan=False)
    write_file(path, text + "\n")


def write_file(path: Path, text: str, option: str = "--output") -> None:
    """Replace *path* by a file of *text*: written beside it, synced, renamed. Never through a symbolic link.

    Raises UsageError if it cannot be written there.
    """
    check_output_path(path, option)
    try:
        with _folder(path.parent) as folder:
            _replace(folder, path.name, text.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint=f"make room there or choose another {option}"
        ) from error


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The folder, held open: it stays the same one even if its name is given to another meanwhile."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def _replace(folder: int, name: str, content: bytes) -> None:
    temporary = f".{name}.{secrets.token_hex(8)}.tmp"
    try:
        _write_new(folder, temporary, content)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _write_new(folder: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _FILE_MODE, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(
            file.fileno(), _FILE_MODE
        )  # whatever the umask: readable by dashboards, writable by us only
        os.fsync(file.fileno())
