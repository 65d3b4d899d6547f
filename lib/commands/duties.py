"""What ``backfill_status.py`` does beside showing: tell, leave figures, print schedules, tidy up, check."""

from pathlib import Path
from typing import Annotated

import typer

from lib.commands import options
from lib.commands.monitor import UNKNOWN, MonitorCommand
from lib.commands.running import Output, run
from lib.errors import UsageError

app = typer.Typer()


@app.command(cls=MonitorCommand)
def alert(
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message to every channel; judge nothing.")
    ] = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Judge the database by the rules and tell what is new by webhook and mail, once per condition.

    Example: python scripts/backfill_status.py alert --quiet

    Exit status, as monitors of the Nagios kind read it: 0 nothing holds, 1 a warning does, 2 something critical
    does (a database that cannot be reached is), 3 unknown: an option or a setting cannot be used, or whatever else
    went wrong. With --test 0 where all arrived, else 1.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_alert import send_test, tell
        from lib.commands.status_reading import Place

        place = Place(out, database_url, demo)
        return await (send_test(place) if test else tell(place))

    run(main, out, failed=UNKNOWN)


@app.command()
def metrics(
    metrics_file: options.MetricsFile = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Print the figures of the database in the text format of Prometheus, or leave them in a file.

    Example: python scripts/backfill_status.py metrics --metrics-file /var/lib/node_exporter/market_backfill.prom

    Exit status: 0 written, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(quiet=quiet, verbose=verbose, log_file=log_file)

    async def main() -> int:
        from lib.commands.status_metrics import show_metrics
        from lib.commands.status_reading import Place

        return await show_metrics(Place(out, database_url, demo), metrics_file)

    run(main, out)


@app.command()
def cron(
    systemd: Annotated[bool, typer.Option("--systemd", help="As systemd services and timers.")] = False,
    logrotate: Annotated[bool, typer.Option("--logrotate", help="The rotation of the logs.")] = False,
    with_alert: Annotated[bool, typer.Option("--alert/--no-alert", help="Each line with --alert.")] = True,
    metrics_file: options.MetricsFile = None,
    write_to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the files there instead of printing them.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the nightly schedule of this checkout: as a crontab, as systemd units, or the rotation of its logs.

    Example: python scripts/backfill_status.py cron --systemd --write-to /etc/systemd/system

    Exit status: 0 printed, 2 usage.
    """
    out = Output(as_json)

    async def main() -> int:
        from lib.commands.status_cron import print_schedule

        if systemd and logrotate:
            raise UsageError("--systemd and --logrotate exclude each other")
        form = "systemd" if systemd else "logrotate" if logrotate else "cron"
        return print_schedule(out, form, alert=with_alert, metrics=metrics_file, write_to=write_to)

    run(main, out)


@app.command()
def prune(
    older_than: Annotated[
        int,
        typer.Option(
            metavar="DAYS",
            min=1,
            max=options.MOST_DAYS,
            help="Audits, results and alerts that ended so long ago.",
        ),
    ] = 90,
    before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Bars of --timeframes with dates before this one too.")
    ] = None,
    timeframes: Annotated[
        str | None, typer.Option(metavar="LIST", help="Of which timeframes; needed with --before and --lift.")
    ] = None,
    symbols: options.Symbols = None,
    lift: Annotated[
        bool, typer.Option("--lift", help="Want bars again that were dropped: the next run fetches them.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, it is only said.")] = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Say what could go, and with --apply let it go: split ledger rows, old audits and, with --before, old bars.

    Bars that were dropped are no gap, and no run asks for them again until --lift.

    Example: python scripts/backfill_status.py prune --before 2023-01-01 --timeframes 1m,5m --apply

    Exit status: 0 said or done, 2 usage, 10 database unreachable, 11 another run holds the lock, 130 or 143
    interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_prune import Wanted, prune
        from lib.commands.status_reading import Place
        from lib.timeframe import parse_timeframes

        if bool(timeframes) != (lift or before is not None):
            raise UsageError("--before and --lift need --timeframes, and it needs one of them")
        if lift and before:
            raise UsageError("--lift and --before exclude each other")
        wanted = Wanted(
            older_than,
            options.parse_date(before, "--before") if before else None,
            parse_timeframes(timeframes) if timeframes else (),
            options.parse_symbols(symbols),
            lift,
            apply,
        )
        return await prune(wanted, Place(out, database_url, demo))

    run(main, out)


@app.command()
def doctor(
    insecure_http: options.InsecureHttp = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Check the set-up: secrets, disk, database, rights, key, plan and clock; two requests. Says what to do.

    Example: python scripts/backfill_status.py doctor

    Exit status: 0 all is well, 1 a warning, 2 something a night would fail by, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_doctor import examine
        from lib.commands.status_reading import Place

        return await examine(Place(out, database_url, demo, insecure_http))

    run(main, out)
