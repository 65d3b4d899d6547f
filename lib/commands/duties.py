"""What ``backfill_status.py`` does beside showing: tell, leave figures, print schedules, tidy up, check."""

from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run

app = typer.Typer()


@app.command()
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
    does (a database that cannot be reached is), 3 unknown. With --test 0 where all arrived, else 1.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands.status_alert import send_test, tell
        from lib.commands.status_reading import Place

        place = Place(out, database_url, demo)
        return await (send_test(place) if test else tell(place))

    run(main, out)
