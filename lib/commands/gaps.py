"""``scripts/backfill_gaps.py``: the gaps that are known, those that are there now, and filling them."""

from typing import TYPE_CHECKING, Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run

if TYPE_CHECKING:  # heavy
    from lib.jobs.report import Request

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="List the gaps that are known, look for those there are now, or fill them.",
)

AnyDays = Annotated[
    int | None,
    typer.Option(metavar="N", help="The last N calendar days, today included. Default: whenever."),
]
DemoDays = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="The last N calendar days, today included. Default: 365; of the demo, 60."
    ),
]
DEMO_DAYS = 60  # what ``make demo`` stores


@app.command("list")
def list_gaps(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    days: AnyDays = None,
    start: options.Start = None,
    end: options.End = None,
    filled_too: Annotated[bool, typer.Option("--all", help="Those that were filled too.")] = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """List the open gaps as the last runs and scans left them in the ledger; looks at no bars.

    Example: python scripts/backfill_gaps.py list --symbols AAPL,SPY --all

    Exit status: 0 listed, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.ledger import Filter, show_ledger

        request = options.parse_request(timeframes, days, start, end, derive=True)
        wanted = Filter(
            options.parse_symbols(symbols), request.timeframes, request if days or start else None, filled_too
        )
        await show_ledger(wanted, out, database_url, demo=demo)
        return 0

    run(main, out)


@app.command()
def scan(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    days: DemoDays = None,
    start: options.Start = None,
    end: options.End = None,
    plan: options.PlanOption = None,
    derive: options.Derive = True,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Believe the audited counts: blind to deleted bars, so the ledger is not touched."
        ),
    ] = False,
    worst_first: options.WorstFirst = False,
    output_html: options.OutputHtml = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Look for gaps in the stored bars and note them in the ledger; sends nothing, needs no key.

    Example: python scripts/backfill_gaps.py scan --days 30 --output-html gaps.html

    Exit status: 0 no gap, 1 failed (every symbol), 2 usage, 3 gaps, or some symbol failed, 10 database
    unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.backfill import Job, Task, execute
        from lib.jobs.report import Pacing

        job = Job(
            script="backfill_gaps scan",
            symbols=options.parse_symbols(symbols),
            request=_request(timeframes, days, start, end, derive=derive, demo=demo),
            pacing=Pacing(),
            terms=options.parse_terms(0, plan, 1, None, insecure_http=True),  # nothing is sent
            audit_path=None,
            exclusive=False,
            gap_retries=None,
            dry_run=False,
            demo=demo,
            database_url=database_url,
            arguments=options.as_texts(arguments),
            worst_first=worst_first,
            html_path=output_html,
            task=Task.SCAN,
            counted=not fast,
        )
        return await execute(job, out)

    run(main, out)


@app.command()
def fill(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    days: DemoDays = None,
    start: options.Start = None,
    end: options.End = None,
    max_concurrent: options.MaxConcurrent = 3,
    rate_limit: options.RateLimit = 150,
    plan: options.PlanOption = None,
    max_attempts: options.MaxAttempts = 5,
    max_requests: options.MaxRequests = None,
    max_outage: options.MaxOutage = 60.0,
    gap_retries: options.GapRetries = 2,
    derive: options.Derive = True,
    worst_first: options.WorstFirst = False,
    output_html: options.OutputHtml = None,
    alert: options.Alert = False,
    metrics_file: options.MetricsFile = None,
    insecure_http: options.InsecureHttp = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Look for gaps, ask the vendor for exactly what is missing, and say what remains and why.

    Example: python scripts/backfill_gaps.py fill --symbols AAPL --start 2025-01-02 --end 2025-01-31

    Exit status: 0 no gap left, 1 failed, 2 usage, 3 gaps remain (run it again), 10 database unreachable,
    11 another run holds the lock, 12 the vendor refused the key, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.after import Wanted
        from lib.commands.backfill import Job, Task, execute
        from lib.jobs.report import Pacing

        job = Job(
            script="backfill_gaps fill",
            symbols=options.parse_symbols(symbols),
            request=_request(timeframes, days, start, end, derive=derive, demo=demo),
            pacing=Pacing(max_concurrent),
            terms=options.parse_terms(
                rate_limit,
                plan,
                max_attempts,
                max_requests,
                max_outage,
                at_once=max_concurrent,
                demo=demo,
                insecure_http=insecure_http,
            ),
            audit_path=None,
            exclusive=True,
            gap_retries=gap_retries,
            dry_run=False,
            demo=demo,
            database_url=database_url,
            after=Wanted(alert, metrics_file),
            arguments=options.as_texts(arguments),
            worst_first=worst_first,
            html_path=output_html,
            task=Task.FILL,
        )
        return await execute(job, out)

    run(main, out)


def _request(
    timeframes: str | None, days: int | None, start: str | None, end: str | None, *, derive: bool, demo: bool
) -> "Request":
    if demo and days is None and not start and not end:
        days = DEMO_DAYS
    return options.parse_request(timeframes, days, start, end, derive=derive)
