"""What the driver raises becomes ours: named, with what to do about it, and whether it may pass by itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from lib.errors import DatabaseAway, DatabaseConflict, DatabaseError, DatabaseUnreachable

# SQLSTATE: broken connection, shut down, crashed, starting, idle too long; too many clients, who may leave.
_AWAY = ("08", "57P01", "57P02", "57P03", "57P05", "53300")
# Wrong role or password, no such database, a database that is dropped.
_UNREACHABLE = ("28", "3D000", "57P")
_CONFLICT = ("40001", "40P01")

_HINTS = {
    "25006": "the server is a standby or set read-only: DATABASE_URL must name the one that takes writes",
    "53100": "the disk of the server is full: make room there, then run the same command again",
    "53300": "end other clients, or raise max_connections; the toolkit itself uses at most 10",
    "28": "check the user and the password in DATABASE_URL, and pg_hba.conf on the server",
    "3D000": "create the database, or check its name in DATABASE_URL",
    "57P04": "the database was dropped: create it, or check its name in DATABASE_URL",
    "42501": "the role needs the right to read and write the toolkit's tables",
}

# How the driver tells that a connection ended while nobody was looking; there is no class for it. One that ended
# in mid-COPY seems to be at work still.
_CLOSED = re.compile("(connection|pool) (is|was) clos|released back to the pool|operation is in progress")

# InternalClientError: a connection that is being closed by the server is asked before the driver knows.
LOST = (OSError, asyncpg.InternalClientError)

FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, *LOST)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what the driver raises as a DatabaseError about the database *name*."""
    try:
        yield
    except FOREIGN as exc:
        raise _ours(exc, name) from exc


def _ours(exc: Exception, name: str) -> DatabaseError:
    text, state = str(exc) or type(exc).__name__, getattr(exc, "sqlstate", None) or ""
    hint = next((hint for start, hint in _HINTS.items() if state.startswith(start)), None)
    if isinstance(exc, TimeoutError):
        return DatabaseAway(f"no answer in time from the database {name}")
    if isinstance(exc, LOST) or state.startswith(_AWAY) or _CLOSED.search(text):
        return DatabaseAway(f"no connection to the database {name}: {text}", hint=hint)
    if state.startswith(_UNREACHABLE):
        return DatabaseUnreachable(f"no connection to the database {name}: {text}", hint=hint)
    kind = DatabaseConflict if state.startswith(_CONFLICT) else DatabaseError
    return kind(f"the database {name} answered: {text}" + (f" ({state})" if state else ""), hint=hint)
