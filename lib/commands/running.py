"""The one boundary: runs a command's coroutine, turns signals and errors into an exit status.

Everything a person reads goes to stderr, results go to stdout. Heavy imports happen inside the commands, so
that ``--help`` is quick.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from lib.errors import BackfillError, UsageError
from lib.settings import Secret, Settings

logger = logging.getLogger("backfill")

INTERNAL_ERROR = 1
SIGNAL_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(slots=True)
class Output:
    """Where a command talks: people's text to stderr, one JSON document to stdout if asked for."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None

    def console(self) -> Console:
        """The console for people: stderr; plain when it is no terminal, silent with --quiet."""
        return Console(stderr=True, quiet=self.quiet, highlight=False, soft_wrap=not sys.stderr.isatty())

    def error(self, error: BackfillError) -> None:
        """Say what failed and what to do; not silenced by --quiet, for cron must hear of it."""
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]error:[/] {_escape(str(error))}")
        if error.hint:
            console.print(f"[dim]hint:[/]  {_escape(error.hint)}")

    def result(self, document: dict[str, Any]) -> None:
        """With --json, the one result on stdout."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
            sys.stdout.flush()


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


class _Redacting(logging.Formatter):
    """Formats records, tracebacks included, with the API key blotted out."""

    def __init__(self, secret: Secret) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._secret = secret

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text.replace(self._secret.reveal(), "***") if self._secret else text


def set_up_logging(output: Output, settings: Settings) -> None:
    """Log warnings to stderr (everything with --verbose) and everything to --log-file if given."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    for name in ("asyncio", "aiohttp", "asyncpg", "exchange_calendars"):
        logging.getLogger(name).setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(
        logging.DEBUG if output.verbose else logging.ERROR if output.quiet else logging.WARNING
    )
    if output.log_file:
        try:
            handlers.append(logging.FileHandler(output.log_file, encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"the log file {output.log_file} cannot be written: {error.strerror}", hint="check --log-file"
            ) from error
    for handler in handlers:
        handler.setFormatter(_Redacting(settings.api_key))
        root.addHandler(handler)


def run(main: Callable[[], Coroutine[Any, Any, int]], output: Output) -> None:
    """Run *main* to its end and leave with its exit status.

    SIGINT and SIGTERM cancel it, so that it can write its audit; then the status is 130 or 143.
    """
    try:
        status = asyncio.run(_with_signals(main))
    except BackfillError as error:
        output.error(error)
        status = getattr(error, "status", None) or error.exit_status
        output.result({"status": "failed", "error": str(error), "hint": error.hint, "exit_status": status})
    except Exception:
        logger.exception("internal error")
        failure = BackfillError("this is a defect of the toolkit", hint="please report the traceback above")
        output.error(failure)
        output.result({"status": "failed", "error": str(failure), "exit_status": INTERNAL_ERROR})
        status = INTERNAL_ERROR
    _leave(status)


async def _with_signals(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[signal.Signals] = []

    def stop(which: signal.Signals) -> None:
        received.append(which)
        if task and len(received) == 1:
            task.cancel()

    for which in SIGNAL_STATUS:
        loop.add_signal_handler(which, stop, which)
    try:
        return await main()
    except asyncio.CancelledError:
        if not received:
            raise
        return SIGNAL_STATUS[received[0]]


def _leave(status: int) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe may leave first
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(status)
