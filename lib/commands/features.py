"""``backfill_features.py``: stored bars -> indicators in ``market_data_v2``."""

from pathlib import Path
from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run
from lib.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

# The contract of DESIGN §3: cron lines depend on it.
DEFAULT_AUDIT = Path("/tmp/backfill_features_results.json")


@app.command()
def features(
    symbols: options.Symbols = None,
    timeframes: options.Timeframes = None,
    days: Annotated[
        int | None,
        typer.Option(metavar="N", help="Write rows of the last N days only. Default: of all bars."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Write rows from this date on, YYYY-MM-DD; excludes --days."),
    ] = None,
    end: options.End = None,
    max_concurrent: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="Symbols at a time.")] = 5,
    full: Annotated[
        bool, typer.Option("--full", help="Compute everything anew; only what differs is written.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Recompute a sample from scratch and compare; nothing is written."),
    ] = False,
    output: Annotated[Path, typer.Option(metavar="PATH", help="The audit, a JSON file.")] = DEFAULT_AUDIT,
    alert: options.Alert = False,
    metrics_file: options.MetricsFile = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="On the database of the demo, BACKFILL_HOME/demo.")
    ] = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Compute the indicators of stored bars into the table market_data_v2, one row a bar.

    Only rows that are due are computed: those of new bars, and those a changed, late or older bar or a split
    made stale. May run beside a backfill and beside itself.

    Example: python backfill_features.py --symbols AAPL,BTC --timeframes 1h,1d

    Exit status: 0 complete, 1 failed, 2 usage, 3 partial (a symbol has no bars, or --verify found a
    difference), 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)
    arguments = {name: value for name, value in locals().items() if name not in ("out", "database_url")}

    async def main() -> int:
        from lib.commands.after import Wanted
        from lib.commands.feature_run import FeatureJob, execute
        from lib.jobs.features import FeatureRequest, Mode

        if full and verify:
            raise UsageError("--full and --verify exclude each other", hint="--verify writes nothing")
        asked = options.parse_request(timeframes, days, start, end, derive=True)
        limited = days is not None or start is not None
        job = FeatureJob(
            symbols=options.parse_symbols(symbols),
            request=FeatureRequest(
                asked.timeframes,
                asked.days if limited else None,
                asked.start,
                asked.end,
                Mode.FULL if full else Mode.VERIFY if verify else Mode.INCREMENTAL,
                max_concurrent,
            ),
            audit_path=output,
            demo=demo,
            database_url=database_url,
            after=Wanted(alert, metrics_file),
            arguments=options.as_texts(arguments),
        )
        return await execute(job, out)

    run(main, out)
