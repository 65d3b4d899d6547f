"""Look into the database: psql, and the URL for other programs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from lib.commands.options import DatabaseUrl
from lib.commands.running import Output, leave_no_core
from lib.errors import BackfillError
from lib.redaction import Redaction
from lib.settings import Settings, load_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=__doc__,
)

CHECKOUT = Path(__file__).resolve().parent.parent.parent

OfDemo = Annotated[bool, typer.Option("--demo", help="The database of the demo, BACKFILL_HOME/demo.")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, database_url: DatabaseUrl = None, demo: OfDemo = False) -> None:
    """Open the database in psql; what else is given goes to psql.

    The embedded server is started for it if no script is using it.

    Example: python scripts/database.py psql -c "SELECT count(*) FROM market_data"

    Exit status: psql's own; 10 if the database cannot be reached.
    """
    from lib.store.binaries import program

    with _errors_told() as out, _reachable(_settings(out, database_url, demo=demo)) as (address, _):
        status = _run_psql(program("psql"), context.args, address)
    raise typer.Exit(status)


@app.command()
def url(database_url: DatabaseUrl = None, demo: OfDemo = False) -> None:
    """Print the URL of the database, without its password.

    The embedded server answers there as long as a script, or psql above, is running.

    Exit status: 0, or 10 if the embedded server does not start.
    """
    with _errors_told() as out, _reachable(_settings(out, database_url, demo=demo)) as (_, shown):
        typer.echo(shown)


@app.command()
def migrate(database_url: DatabaseUrl = None, demo: OfDemo = False) -> None:
    """Bring the schema of the database up to date, as every script does: for a role that owns it.

    Example: python scripts/database.py migrate

    Exit status: 0 up to date, 2 usage, 10 if the database cannot be reached or refuses.
    """
    import asyncio

    from lib.store.database import open_database

    async def apply(settings: Settings) -> None:
        async with open_database(settings):
            typer.echo(f"the schema of {settings.database_name} is up to date")

    with _errors_told() as out:
        asyncio.run(apply(_settings(out, database_url, demo=demo)))


def _settings(output: Output, database_url: str | None, *, demo: bool) -> Settings:
    settings = load_settings(database_url=database_url, script_folder=CHECKOUT)
    output.redaction = Redaction(settings.secrets)
    return replace(settings, home=settings.home / "demo", database_url=None) if demo else settings


@contextmanager
def _reachable(settings: Settings) -> Iterator[tuple[str, str]]:
    """The URL of the database while it can be reached, and the URL without its password."""
    from lib.store.server import embedded_server

    opened = nullcontext(settings.database_url) if settings.database_url else embedded_server(settings.home)
    with opened as address:
        yield address, settings.database_name if settings.database_url else address


@contextmanager
def _errors_told() -> Iterator[Output]:
    leave_no_core()
    output = Output()
    try:
        yield output
    except BackfillError as error:
        output.error(error)
        raise typer.Exit(error.exit_status) from error


def _run_psql(psql: Path, arguments: list[str], url: str) -> int:
    address, password = _without_secret(url)
    # Arguments can be read by every user of the machine, the environment cannot.
    environment = {**os.environ, "PGPASSWORD": password} if password else None
    # Ctrl-C cancels the query in psql; it must not end us, who keep the server.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(
            [psql, "--dbname", address, *arguments], env=environment, check=False
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _without_secret(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}")), unquote(password) or None
