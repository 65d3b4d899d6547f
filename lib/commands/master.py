"""``master_backfill.py``: groups of symbols -> OHLCV backfill -> gaps -> matrix -> audit."""

from pathlib import Path
from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run
from lib.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

DEFAULT_AUDIT = Path("/tmp/master_backfill_results.json")


@app.command()
def backfill(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    days: options.Days = None,
    start: options.Start = None,
    end: options.End = None,
    max_concurrent: options.MaxConcurrent = 3,
    pacing: Annotated[
        str,
        typer.Option(metavar="MODE", help="adaptive: the vendor's limit is the only brake; or staggered."),
    ] = "adaptive",
    stagger: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=86_400,
            help="Staggered: seconds between the starts in a group.",
        ),
    ] = 5.0,
    group_pause: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=86_400,
            help="Staggered: seconds between groups.",
        ),
    ] = 15.0,
    sequential: Annotated[bool, typer.Option("--sequential", help="One symbol at a time.")] = False,
    rate_limit: options.RateLimit = 150,
    plan: options.PlanOption = None,
    max_attempts: options.MaxAttempts = 5,
    max_requests: options.MaxRequests = None,
    max_outage: options.MaxOutage = 60.0,
    gap_retries: options.GapRetries = 2,
    derive: options.Derive = True,
    recheck: options.Recheck = False,
    corporate_actions: Annotated[
        bool,
        typer.Option(
            "--corporate-actions/--no-corporate-actions",
            help="Look for splits and dividends after the bars, once a day, or do not.",
        ),
    ] = True,
    worst_first: options.WorstFirst = False,
    output: Annotated[Path, typer.Option(metavar="PATH", help="The audit, a JSON file.")] = DEFAULT_AUDIT,
    output_html: options.OutputHtml = None,
    dry_run: options.DryRun = False,
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
    """Backfill the bars of many symbols into PostgreSQL and write an audit of the run.

    Safe to run twice, to kill and to run again: only what is missing is asked for.

    Example: python master_backfill.py --symbols AAPL,BTC,SPY --days 30

    Exit status: 0 complete, 1 failed, 2 usage, 3 partial, gaps remain, or splits and dividends could not be
    had (run it again), 10 database unreachable, 11 another run holds the lock, 12 the vendor refused the key,
    130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.after import Wanted
        from lib.commands.backfill import Job, execute
        from lib.jobs.report import Pacing

        if pacing not in ("adaptive", "staggered"):
            raise UsageError(f"--pacing {pacing!r} is unknown", hint="adaptive or staggered")
        job = Job(
            script="master_backfill",
            symbols=options.parse_symbols(symbols),
            request=options.parse_request(timeframes, days, start, end, derive=derive, recheck=recheck),
            pacing=Pacing(1 if sequential else max_concurrent, pacing == "staggered", stagger, group_pause),
            terms=options.parse_terms(
                rate_limit,
                plan,
                max_attempts,
                max_requests,
                max_outage,
                at_once=1 if sequential else max_concurrent,
                demo=demo,
                insecure_http=insecure_http,
            ),
            audit_path=output,
            exclusive=True,
            gap_retries=gap_retries,
            dry_run=dry_run,
            demo=demo,
            database_url=database_url,
            after=Wanted(alert, metrics_file),
            arguments=options.as_texts(arguments),
            worst_first=worst_first,
            html_path=output_html,
            actions=corporate_actions,
        )
        return await execute(job, out)

    run(main, out)
