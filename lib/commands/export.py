"""``scripts/export_bars.py``: stored bars into a file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lib.actions import Basis
from lib.commands import options
from lib.commands.running import Output, run
from lib.errors import UsageError

if TYPE_CHECKING:
    from lib.jobs.export import ExportRequest

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class FormatName(StrEnum):
    """The formats, as typed."""

    PARQUET = "parquet"
    CSV = "csv"


@app.command()
def export(
    output: Annotated[
        Path,
        typer.Option(metavar="PATH", help="The file, replaced when all is written; - for CSV on stdout."),
    ],
    symbols: options.Symbols = None,
    timeframes: Annotated[
        str | None,
        typer.Option(
            "--timeframes",
            "--timeframe",
            metavar="LIST",
            help="Comma list of 1m,5m,15m,30m,1h,4h,1d,1w, or 'all'. Default: the symbol's own.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="First date. Default: all there are.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="Last date, inclusive.")] = None,
    basis: Annotated[
        Basis,
        typer.Option(help="raw: as traded; adjusted: for splits; total-return: for splits and dividends."),
    ] = Basis.ADJUSTED,
    form: Annotated[FormatName, typer.Option("--format", help="parquet or csv.")] = FormatName.PARQUET,
    features: Annotated[
        bool, typer.Option("--features", help="The indicators too, as backfill_features.py left them.")
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="From the database of the demo, BACKFILL_HOME/demo.")
    ] = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Write stored bars to one file, page by page; needs no key and sends nothing.

    Example: python scripts/export_bars.py --symbols AAPL,SPY --timeframe 1d --format csv --output days.csv

    Exit status: 0 written, 1 a symbol is not tracked (nothing is written), 2 usage, 10 database unreachable,
    130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.export_run import ExportJob, execute
        from lib.jobs.export_files import STDOUT, Format

        if as_json and output == STDOUT:
            raise UsageError("--json and --output - both want the standard output", hint="give one a file")
        request = _request(symbols, timeframes, basis, start, end, features=features)
        job = ExportJob(request, output, Format(form.value), demo, database_url)
        return await execute(job, out)

    run(main, out)


def _request(
    symbols: str | None,
    timeframes: str | None,
    basis: Basis,
    start: str | None,
    end: str | None,
    *,
    features: bool,
) -> "ExportRequest":
    from datetime import UTC, datetime

    from lib.jobs.export import ExportRequest
    from lib.timeframe import parse_timeframes

    first = options.parse_date(start, "--start") if start else None
    last = options.parse_date(end, "--end") if end else None
    if first and last and last < first:
        raise UsageError(f"--end {last} lies before --start {first}")
    return ExportRequest(
        symbols=options.parse_symbols(symbols),
        timeframes=parse_timeframes(timeframes) if timeframes else None,
        basis=basis,
        moment=datetime.now(UTC),
        start=first,
        end=last,
        features=features,
    )
