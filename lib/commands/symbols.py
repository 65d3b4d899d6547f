"""``backfill_status.py symbols``: list what is tracked, add, remove, pause and resume."""

from typing import Annotated

import typer

from lib.commands import options
from lib.commands.running import Output, run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="List what is tracked, add, remove, pause and resume.",
)

Names = Annotated[str, typer.Argument(metavar="SYMBOLS", help="Comma list, or @FILE with some a line.")]


@app.command("list")
def list_symbols(
    symbols: options.Symbols = None,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """List the tracked symbols, paused ones too: records, first and last bar, open gaps.

    Example: python scripts/backfill_status.py symbols list

    Exit status: 0 listed, 2 usage, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands import status_symbols
        from lib.commands.status_reading import Place

        return await status_symbols.list_symbols(
            options.parse_symbols(symbols), Place(out, database_url, demo)
        )

    run(main, out)


@app.command()
def add(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="The name it is stored under.")],
    vendor_ticker: Annotated[
        str | None, typer.Option(metavar="TICKER", help="What the vendor calls it, e.g. X:LTCUSD.")
    ] = None,
    asset_class: Annotated[
        str | None, typer.Option(metavar="CLASS", help="stock, etf or crypto. Default: the vendor is asked.")
    ] = None,
    insecure_http: options.InsecureHttp = False,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Track a symbol from now on.

    Example: python scripts/backfill_status.py symbols add LTC --vendor-ticker X:LTCUSD

    Exit status: 0 tracked, 1 the vendor does not know it, 2 usage, 10 database unreachable, 12 the vendor refused
    the key, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands import status_symbols
        from lib.commands.status_reading import Place

        return await status_symbols.add(
            symbol, vendor_ticker, asset_class, Place(out, database_url, demo, insecure_http)
        )

    run(main, out)


@app.command()
def remove(
    symbols: Names,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Track symbols no longer; their bars stay.

    Example: python scripts/backfill_status.py symbols remove IBM,KO

    Exit status: 0 done, 2 one of them is not tracked, 10 database unreachable, 130 or 143 interrupted.
    """
    out = Output(as_json, quiet, verbose, log_file)

    async def main() -> int:
        from lib.commands import status_symbols
        from lib.commands.status_reading import Place

        names = options.parse_symbols(symbols) or []
        return await status_symbols.remove(names, Place(out, database_url, demo))

    run(main, out)


@app.command()
def pause(
    symbols: Names,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Fetch symbols no more, unless a run names them; nothing is reported of them until they are resumed.

    Example: python scripts/backfill_status.py symbols pause DOGE

    Exit status: 0 done, 2 one of them is not tracked, 10 database unreachable, 130 or 143 interrupted.
    """
    _set_active(symbols, Output(as_json, quiet, verbose, log_file), database_url, demo=demo, active=False)


@app.command()
def resume(
    symbols: Names,
    demo: options.Demo = False,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_file: options.LogFile = None,
) -> None:
    """Fetch paused symbols again.

    Example: python scripts/backfill_status.py symbols resume DOGE

    Exit status: 0 done, 2 one of them is not tracked, 10 database unreachable, 130 or 143 interrupted.
    """
    _set_active(symbols, Output(as_json, quiet, verbose, log_file), database_url, demo=demo, active=True)


def _set_active(symbols: str, out: Output, database_url: str | None, *, demo: bool, active: bool) -> None:
    async def main() -> int:
        from lib.commands import status_symbols
        from lib.commands.status_reading import Place

        names = options.parse_symbols(symbols) or []
        return await status_symbols.set_active(names, Place(out, database_url, demo), active=active)

    run(main, out)
