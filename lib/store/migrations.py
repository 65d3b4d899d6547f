"""The schema: numbered files, applied once each, in order, forward only."""

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from lib import sql
from lib.errors import DatabaseError, MigrationFailed

_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """``NNN_name.sql``. What makes the table ``schema_migrations`` is the first of them."""

    version: int
    path: Path


async def apply_migrations(connection: asyncpg.Connection, folder: Path = sql.SCHEMA) -> list[str]:
    """Apply the files of *folder* that the database does not have; their names, in order.

    Each file is one transaction. Processes that come at once take turns. With nothing to do, one query.

    Raises MigrationFailed; DatabaseError for a database that a newer checkout made.
    """
    files = schema_files(folder)
    if not await _pending(connection, files):
        return []
    await connection.execute(sql.load("lock_migrations"))
    try:
        pending = await _pending(connection, files)
        for file in pending:
            await _apply(connection, file)
        return [file.path.name for file in pending]
    finally:
        if not connection.is_closed():
            await connection.execute(sql.load("unlock_migrations"))


def schema_files(folder: Path) -> list[SchemaFile]:
    """The schema files of *folder* by number. Raises MigrationFailed for a missing or repeated number."""
    files: dict[int, SchemaFile] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if not match:
            raise MigrationFailed(f"{path} is not named NNN_name.sql", hint="rename it")
        version = int(match[1])
        if version in files:
            raise MigrationFailed(
                f"{files[version].path.name} and {path.name} have one number", hint="rename one"
            )
        files[version] = SchemaFile(version, path)
    return [files[version] for version in sorted(files)]


async def _pending(connection: asyncpg.Connection, files: list[SchemaFile]) -> list[SchemaFile]:
    try:
        rows = await connection.fetch(sql.load("read_migrations"))
    except asyncpg.UndefinedTableError:
        return files
    applied = {row["version"]: row["name"] for row in rows}
    unknown = applied.keys() - {file.version for file in files}
    if unknown:
        raise DatabaseError(
            f"the database has a schema file that this checkout does not know: {applied[max(unknown)]}",
            hint="a newer version of the toolkit made it: update this checkout",
        )
    return [file for file in files if file.version not in applied]


async def _apply(connection: asyncpg.Connection, file: SchemaFile) -> None:
    text = file.path.read_text(encoding="utf-8")
    try:
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(sql.load("record_migration"), file.version, file.path.name)
    except asyncpg.PostgresError as exc:
        if connection.is_closed():
            raise
        raise MigrationFailed(f"{file.path.name}{_line_of(exc, text)}: {exc}") from exc


def _line_of(error: asyncpg.PostgresError, text: str) -> str:
    position = getattr(error, "position", None)
    return f", line {text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
