"""A lock on a file, held by the open file: it ends with its holder, however that one ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from lib.store.account import Account


class FileLock:
    """An flock on *path*. Opened unlocked; closing it gives it up.

    A process that inherits the open file holds the lock too, until it ends as well. The file belongs to
    *owner*; a link in its place is refused, for the folder may be the owner's while we are root.
    """

    def __init__(self, path: Path, owner: Account) -> None:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self.fd = os.open(path, flags)
        else:
            owner.give(self.fd)

    def take_exclusive(self) -> bool:
        """Whether we hold it alone now. False gives up what was held of it before."""
        return self._take(fcntl.LOCK_EX)

    def take_shared(self) -> bool:
        """Whether we hold it now, perhaps with others."""
        return self._take(fcntl.LOCK_SH)

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
