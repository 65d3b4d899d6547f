"""Files of bars: Parquet and CSV, written page by page, replaced whole or not at all."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import StrEnum
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lib.audit import check_output_path
from lib.bars import NO_TRADES
from lib.errors import UsageError
from lib.jobs.export import ExportRequest, Sink
from lib.store.feature_rows import NAMES
from lib.store.reading import Rows
from lib.timeframe import Timeframe

STDOUT = Path("-")
NUMBERS = ("open", "high", "low", "close", "volume", "vwap")


class Format(StrEnum):
    """Of a file of bars."""

    PARQUET = "parquet"
    CSV = "csv"


def check_target(path: Path, form: Format) -> None:
    """Make sure, before a run starts, that a file can be written to *path*; CSV may go to ``-``, the stdout.

    Raises UsageError saying what is in the way.
    """
    if path != STDOUT:
        check_output_path(path)
    elif form is not Format.CSV:
        raise UsageError("Parquet cannot go to the standard output", hint="--output PATH, or --format csv")


@contextmanager
def file_sink(path: Path, form: Format, request: ExportRequest) -> Iterator[Sink]:
    """A sink into *path*, which is replaced when the block ends well and stays what it was otherwise.

    Raises UsageError for a path that cannot be written.
    """
    check_target(path, form)
    with _replacing(path) as file:
        if form is Format.CSV:
            sink = _CsvSink(file, request)
            yield sink
            sink.end()
        else:
            with _ParquetSink(file, request) as parquet:
                yield parquet


def _replacing(path: Path) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdout.buffer) if path == STDOUT else _new_file(path)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="choose another --output"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


_ROWS_OF_TEXT = 5_000  # a page as texts would take ten times its memory


class _CsvSink:
    """``symbol,timeframe,timestamp,open,...``; stamps in ISO-8601 UTC, empty where there is no value.

    The head goes before the first row, or is written by ``end``: what fails before has written nothing.
    """

    def __init__(self, file: IO[bytes], request: ExportRequest) -> None:
        self._file = file
        features = NAMES if request.features else ()
        self._head = [("symbol", "timeframe", "timestamp", *NUMBERS, "trades", *features)]

    def write(self, symbol: str, timeframe: Timeframe, rows: Rows) -> None:
        for start in range(0, len(rows.bars), _ROWS_OF_TEXT):
            self._write_some(symbol, timeframe, rows.take(slice(start, start + _ROWS_OF_TEXT)))

    def end(self) -> None:
        """All has been written."""
        self._write(())

    def _write_some(self, symbol: str, timeframe: Timeframe, rows: Rows) -> None:
        columns = [*(getattr(rows.bars, name) for name in NUMBERS), _known(rows), *rows.features.values()]
        stamps = np.datetime_as_string(rows.bars.t.astype("M8[ms]"), unit="s", timezone="UTC").tolist()
        texts = [stamps, *map(_texts, columns)]
        self._write((symbol, timeframe.value, *row) for row in zip(*texts, strict=True))

    def _write(self, rows: Iterable[Sequence[str]]) -> None:
        lines = _Lines()
        csv.writer(lines, lineterminator="\n").writerows(chain(self._head, rows))
        self._head = []
        self._file.write("".join(lines).encode())


class _Lines(list[str]):
    """Collects what a csv writer writes."""

    write = list[str].append


def _known(rows: Rows) -> npt.NDArray[Any]:
    """The counts of trades, None where unknown."""
    trades = rows.bars.trades.astype(object)
    trades[rows.bars.trades == NO_TRADES] = None
    return trades


def _texts(column: npt.NDArray[Any]) -> list[str]:
    return ["" if value is None or value != value else repr(value) for value in column.tolist()]


class _ParquetSink:
    """One row group a page; symbol and timeframe as dictionaries, stamps in milliseconds UTC."""

    def __init__(self, file: IO[bytes], request: ExportRequest) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        words, number = pa.dictionary(pa.int32(), pa.string()), pa.float64()
        columns = [("symbol", words), ("timeframe", words), ("timestamp", pa.timestamp("ms", tz="UTC"))]
        columns += [(name, number) for name in NUMBERS] + [("trades", pa.int64())]
        columns += [(name, number) for name in NAMES] if request.features else []
        about = {"basis": request.basis.value, "as_of": request.moment.isoformat()}
        self._arrow = pa
        self._schema = pa.schema(columns, metadata=about)
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def __enter__(self) -> "_ParquetSink":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def write(self, symbol: str, timeframe: Timeframe, rows: Rows) -> None:
        pa, bars = self._arrow, rows.bars
        one = np.zeros(len(bars), np.int32)
        arrays = [
            pa.DictionaryArray.from_arrays(one, [symbol]),
            pa.DictionaryArray.from_arrays(one, [timeframe.value]),
            pa.array(bars.t, type=self._schema.field("timestamp").type),
            *(pa.array(getattr(bars, name), from_pandas=True) for name in NUMBERS),
            pa.array(bars.trades, mask=bars.trades == NO_TRADES),
            *(pa.array(column, from_pandas=True) for column in rows.features.values()),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
