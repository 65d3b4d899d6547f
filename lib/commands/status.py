"""``scripts/backfill_status.py``: what the person reads in the morning and the monitor polls."""

from typing import TYPE_CHECKING, Annotated

import typer

from lib.commands import duties, options
from lib.commands import symbols as symbols_app
from lib.commands.monitor import UNKNOWN, MonitorCommand
from lib.commands.running import Output, run

if TYPE_CHECKING:  # heavy: imported inside the functions, for --help must be quick
    from lib.commands.status_freshness import Wanted

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Say whether the data can be trusted: what the person reads in the morning and the monitor polls.",
)
app.add_typer(duties.app)
app.add_typer(symbols_app.app, name="symbols")

Watch = Annotated[
    int | None,
    typer.Option(
        metavar="SECONDS", min=1, max=86_400, help="Look again every so many seconds, until Ctrl-C."
    ),
]
PlanInUse = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="PLAN",
        help="basic, starter, developer or advanced; 'starter,crypto=basic' where they differ. "
        "Default: that of the last backfill.",
    ),
]
Limit = Annotated[
    int, typer.Option(metavar="N", min=1, max=10**6, help="Rows at most, the worst or newest first.")
]


@app.command(cls=MonitorCommand)
def health(
    plan: PlanInUse = None,
    watch: Watch = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Say in one word whether the data can be trusted, and why not; for monitors that read Nagios' statuses.

    Example: python scripts/backfill_status.py health --quiet

    Exit status: 0 ok, 1 warning, 2 critical, 3 unknown: the database cannot be reached, an option not be used, or
    whatever else went wrong; 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_health import show_health
        from lib.commands.status_reading import Place

        return await show_health(plan, Place(out, database_url, demo), watch)

    run(main, out, failed=UNKNOWN)


@app.command()
def freshness(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    plan: PlanInUse = None,
    fill: Annotated[bool, typer.Option("--fill", help="Backfill what lacks, as the master does.")] = False,
    rate_limit: options.RateLimit = 150,
    max_requests: options.MaxRequests = None,
    max_outage: options.MaxOutage = 60.0,
    limit: Limit = 40,
    watch: Watch = None,
    insecure_http: options.InsecureHttp = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Say how old every series is, in market time, counted from the newest bar that was due.

    fresh: less than an hour; aging: less than 6; stale: less than 24; older; missing: no bar is stored.

    Example: python scripts/backfill_status.py freshness --symbols AAPL,BTC --fill

    Exit status: 0 listed, 2 usage, 10 database unreachable, 130 or 143 interrupted; with --fill the master's.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands import status_freshness
        from lib.commands.status_reading import Place

        wanted, place = _wanted(symbols, timeframes, plan), Place(out, database_url, demo)
        if not fill:
            return await status_freshness.show_freshness(wanted, limit, place, watch)
        terms = options.parse_terms(
            rate_limit, plan, 5, max_requests, max_outage, insecure_http=insecure_http
        )
        return await status_freshness.fill(wanted, terms, place, options.as_texts(arguments))

    run(main, out)


def _wanted(symbols: str | None, timeframes: str | None, plan: str | None) -> "Wanted":
    from lib.commands.status_freshness import Wanted
    from lib.timeframe import parse_timeframes

    frames = parse_timeframes(timeframes) if timeframes else None
    return Wanted(options.parse_symbols(symbols), frames, plan)


@app.command()
def matrix(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    plan: PlanInUse = None,
    worst_first: options.WorstFirst = False,
    watch: Watch = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Print how complete every series is since its first bar, as the records say it; looks at no bar.

    Example: python scripts/backfill_status.py matrix --worst-first

    Exit status: 0 printed, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_freshness import show_stored_matrix
        from lib.commands.status_reading import Place

        wanted = _wanted(symbols, timeframes, plan)
        place = Place(out, database_url, demo)
        return await show_stored_matrix(wanted, place, watch, worst_first=worst_first)

    run(main, out)


@app.command()
def history(
    script: Annotated[
        str | None, typer.Option(metavar="NAME", help="Runs of this script only, e.g. master_backfill.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=options.MOST_DAYS, help="Of the last N days. Default: whenever."
        ),
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
