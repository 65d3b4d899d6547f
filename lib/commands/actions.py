"""``scripts/backfill_corporate_actions.py``: splits and dividends from the vendor, and the price basis."""

from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def actions(
    symbols: options.Symbols = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Ask for all events, not only for those since the last time."),
    ] = False,
    rate_limit: options.RateLimit = 150,
    max_attempts: options.MaxAttempts = 5,
    max_requests: options.MaxRequests = None,
    max_outage: options.MaxOutage = 60.0,
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
    """Fetch splits and dividends, check the splits against the stored bars, and adjust prices by them.

    No bar is fetched or changed: the view market_data_adjusted divides as it is read. May run beside a
    backfill.

    Example: python scripts/backfill_corporate_actions.py --symbols AAPL,KO --full

    Exit status: 0 complete, 1 failed, 2 usage, 3 partial (an event was refused, a symbol is not tracked, or a
    part could not be had), 10 database unreachable, 12 the vendor refused the key or entitles it to neither,
    130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.action_run import ActionJob, execute
        from lib.commands.after import Wanted

        job = ActionJob(
            symbols=options.parse_symbols(symbols),
            full=full,
            terms=options.parse_terms(
                rate_limit,
                None,
                max_attempts,
                max_requests,
                max_outage,
                demo=demo,
                insecure_http=insecure_http,
            ),
            demo=demo,
            database_url=database_url,
            after=Wanted(alert, metrics_file),
            arguments=options.as_texts(arguments),
        )
        return await execute(job, out)

    run(main, out)
