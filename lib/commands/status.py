"""``scripts/backfill_status.py``: what the person reads in the morning and the monitor polls."""

from typing import Annotated

import typer

from lib.commands import duties, options
from lib.commands.running import Output, run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=__doc__,
)
app.add_typer(duties.app)

Watch = Annotated[
    int | None,
    typer.Option(metavar="SECONDS", min=1, help="Look again every so many seconds, until Ctrl-C."),
]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Rows at most, the worst or newest first.")]


@app.command()
def history(
    script: Annotated[
        str | None, typer.Option(metavar="NAME", help="Runs of this script only, e.g. master_backfill.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of the last N days. Default: whenever.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that were not complete.")] = False,
    limit: Limit = 20,
    watch: Watch = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """List the last runs of every script: how they ended, how long they took, and what they did.

    Example: python scripts/backfill_status.py history --days 7

    Exit status: 0 listed, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_history import Wanted, show_history
        from lib.commands.status_reading import Place

        return await show_history(Wanted(script, days, failed, limit), Place(out, database_url, demo), watch)

    run(main, out)


@app.command()
def gaps(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    limit: Limit = 40,
    watch: Watch = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """List the open gaps, the longest first; what several timeframes share is one row.

    Example: python scripts/backfill_status.py gaps --symbols AAPL,SPY

    Exit status: 0 listed, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_gaps import show_gaps
        from lib.commands.status_reading import Place
        from lib.timeframe import parse_timeframes

        frames = parse_timeframes(timeframes) if timeframes else None
        wanted = options.parse_symbols(symbols)
        return await show_gaps(wanted, frames, limit, Place(out, database_url, demo), watch)

    run(main, out)
