"""PostgreSQL's binary COPY format from and to columns, without a Python object per row.

A row is a field count and, per field, a length and a value, all big-endian. Without NULLs every row has the
same length, so a numpy structured array *is* the stream. Rows that share a pattern of NULLs share a length
too: each pattern gets an array of its own. (speed.md, "Techniques in words"; PostgreSQL manual, COPY.)
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"
EPOCH_MS = 946_684_800_000  # 2000-01-01, PostgreSQL's epoch, in ms since 1970-01-01
CHUNK_BYTES = 1 << 19

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a COPY stream: its numpy type as it stands on the wire (big-endian or bytes)."""

    name: str
    wire: str

    @property
    def width(self) -> int:
        return np.dtype(self.wire).itemsize


def timestamps(t_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """timestamptz on the wire: microseconds since 2000-01-01 UTC, from ms since 1970-01-01 UTC."""
    return (t_ms - EPOCH_MS) * 1000


@cache
def _row_type(fields: tuple[Field, ...], absent: frozenset[str]) -> np.dtype[Any]:
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for field in fields:
        parts.append((f"{field.name} length", ">i4"))
        if field.name not in absent:
            parts.append((field.name, field.wire))
    return np.dtype(parts)


def encode(
    fields: Sequence[Field], columns: dict[str, Any], nulls: dict[str, Mask], n_rows: int
) -> list[memoryview]:
    """The rows as parts of a COPY stream, without signature and trailer.

    *columns*: per field an array of shape (n_rows,) or one value for all rows. *nulls*: for nullable fields
    the rows in which they are NULL. Rows with NULLs may come after rows without.
    """
    if not n_rows:
        return []
    if not any(mask.any() for mask in nulls.values()):
        return [_encode_pattern(tuple(fields), columns, frozenset(), slice(None), n_rows)]
    pattern = np.zeros(n_rows, np.int64)
    for bit, mask in enumerate(nulls.values()):
        pattern |= mask.astype(np.int64) << bit
    parts = []
    for code in np.unique(pattern):
        rows = slice(None) if (pattern == code).all() else np.flatnonzero(pattern == code)
        absent = frozenset(name for bit, name in enumerate(nulls) if int(code) >> bit & 1)
        parts.append(_encode_pattern(tuple(fields), columns, absent, rows, n_rows))
    return parts


def _encode_pattern(
    fields: tuple[Field, ...],
    columns: dict[str, Any],
    absent: frozenset[str],
    rows: slice | npt.NDArray[np.int64],
    n_rows: int,
) -> memoryview:
    count = n_rows if isinstance(rows, slice) else len(rows)
    stream = np.empty(count, _row_type(fields, absent))
    stream["fields"] = len(fields)
    for field in fields:
        stream[f"{field.name} length"] = -1 if field.name in absent else field.width
        if field.name not in absent:
            value = columns[field.name]
            stream[field.name] = value[rows] if isinstance(value, np.ndarray) else value
    return stream.view(np.uint8).data


async def stream(parts: Sequence[memoryview]) -> AsyncIterator[bytes]:
    """The whole COPY stream of *parts* in chunks the driver can send without copying them together."""
    yield SIGNATURE
    for part in parts:
        for start in range(0, len(part), CHUNK_BYTES):
            yield bytes(part[start : start + CHUNK_BYTES])
    yield TRAILER


async def collect(
    copy_out: Callable[[Callable[[bytes], Coroutine[Any, Any, None]]], Awaitable[object]],
) -> bytes:
    """Everything a COPY ... TO STDOUT sends. *copy_out* is given the sink."""
    chunks: list[bytes] = []

    async def sink(chunk: bytes) -> None:
        chunks.append(chunk)

    await copy_out(sink)
    return b"".join(chunks)


def decode(fields: Sequence[Field], data: bytes) -> npt.NDArray[Any]:
    """The rows of a binary COPY stream in which no field is NULL, as a structured array of *fields*.

    Raises ValueError if the stream is not of that layout.
    """
    row_type = _row_type(tuple(fields), frozenset())
    body = len(data) - len(SIGNATURE) - len(TRAILER)
    if body < 0 or body % row_type.itemsize or not data.endswith(TRAILER):
        raise ValueError("the COPY stream does not hold rows of the expected layout")
    return np.frombuffer(data, row_type, body // row_type.itemsize, len(SIGNATURE))


def of_array(sent: bytes, wire: str) -> npt.NDArray[Any]:
    """The values of a one-dimensional array without NULLs, as array_send gives it; *wire*: the type of each.

    A head of 20 bytes (dimensions, NULLs, type, length, first index), then length and value by turns.
    """
    return np.frombuffer(sent, [("length", ">i4"), ("value", wire)], offset=20)["value"]


def instants_ms(micros: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """timestamptz as it stands on the wire, in ms since 1970-01-01 UTC."""
    return micros.astype(np.int64) // 1000 + EPOCH_MS
