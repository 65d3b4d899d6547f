"""``scripts/backfill_ohlcv.py``: the core fetch as a command of its own."""

from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def backfill(
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
    days: options.Days = None,
    start: options.Start = None,
    end: options.End = None,
    max_concurrent: options.MaxConcurrent = 3,
    rate_limit: options.RateLimit = 150,
    plan: options.PlanOption = None,
    max_attempts: options.MaxAttempts = 5,
    max_requests: options.MaxRequests = None,
    max_outage: options.MaxOutage = 60.0,
    derive: options.Derive = True,
    recheck: options.Recheck = False,
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
    """Fetch the missing bars of some symbols and store them. May run beside a master backfill.

    Example: python scripts/backfill_ohlcv.py --symbols AAPL,BRK.B --timeframe 1h --days 30

    Exit status: 0 complete, 1 failed, 2 usage, 3 partial (run it again), 10 database unreachable, 12 the
    vendor refused the key, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.after import Wanted
        from lib.commands.backfill import Job, execute
        from lib.jobs.report import Pacing

        job = Job(
            script="backfill_ohlcv",
            symbols=options.parse_symbols(symbols),
            request=options.parse_request(timeframes, days, start, end, derive=derive, recheck=recheck),
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
            exclusive=False,
            gap_retries=None,
            dry_run=dry_run,
            demo=demo,
            database_url=database_url,
            after=Wanted(alert, metrics_file),
            arguments=options.as_texts(arguments),
        )
        return await execute(job, out)

    run(main, out)
