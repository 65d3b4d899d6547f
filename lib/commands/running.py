"""The one boundary: runs a command's coroutine, turns signals and errors into an exit status.

Everything a person reads goes to stderr, results go to stdout. Heavy imports happen inside the commands, so
that ``--help`` is quick.
"""

import asyncio
import errno
import gc
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, cast

import typer
from rich.markup import escape

from lib.commands.console import Console, visible
from lib.errors import BackfillError, RunInterrupted, UsageError
from lib.redaction import Redaction
from lib.settings import Settings

logger = logging.getLogger("backfill")
# What people were told already: for the log file only.
told = logging.getLogger("run")
told.addHandler(logging.NullHandler())

LOG_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
SHORT_LINE = "%(levelname)s: %(message)s"
INTERNAL_ERROR = 1
SIGNAL_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(slots=True)
class Output:
    """Where a command talks: people's text to stderr, one JSON document to stdout if asked for.

    *redaction* takes out of all of it what the settings keep secret, once they are known (``set_up_logging``).
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None
    redaction: Redaction = field(default_factory=Redaction)

    def console(self, *, always: bool = False) -> Console:
        """The console for people: stderr; plain if it is no terminal, silent with --quiet unless *always*."""
        quiet = self.quiet and not always
        return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not sys.stderr.isatty())

    def error(self, error: BackfillError) -> None:
        """Say what failed and what to do; not silenced by --quiet, for cron must hear of it."""
        self._tell("[bold red]error:[/]", str(error), error.hint)
        told.error("%s", error)

    def warning(self, text: str, hint: str = "") -> None:
        """Say what the user may not have meant; not silenced by --quiet either."""
        self._tell("[bold yellow]warning:[/]", text, hint)
        told.warning("%s", text)

    def result(self, document: dict[str, Any]) -> None:
        """With --json, the one result on stdout. Raises UsageError, once, if it cannot be written there."""
        if not self.as_json:
            return
        hint = "--json needs a standard output with room"
        stdout = sys.stdout.stream if isinstance(sys.stdout, _Said) else sys.stdout
        if stdout is None:
            self.as_json = False
            raise UsageError("the standard output is closed", hint=hint)
        try:
            stdout.write(self._as_json(document) + "\n")
            stdout.flush()
        except OSError as error:
            # What is left in its buffer must not fail again at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
            if not isinstance(error, BrokenPipeError):  # a reader may leave first; the run is none the worse
                raise UsageError(f"the result cannot be written: {error.strerror}", hint=hint) from error

    def _as_json(self, document: dict[str, Any]) -> str:
        text = json.dumps(document, indent=2, default=str)
        if self.redaction.text(text) == text:  # nearly always, and cheaper than to look at each value
            return text
        # Not from the text: a short secret may be a number or a word of JSON.
        return json.dumps(self.redaction.document(json.loads(text)), indent=2)

    def _tell(self, label: str, text: str, hint: str) -> None:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"{label} {escape(self.redaction.text(text))}")
        if hint:
            console.print(f"[dim]hint:[/]  {escape(self.redaction.text(hint))}")


class _Redacting(logging.Formatter):
    """Formats records, tracebacks included, without the secrets and with every sign visible."""

    def __init__(self, redaction: Redaction, line: str) -> None:
        super().__init__(line, "%Y-%m-%dT%H:%M:%S%z")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return visible(self._redaction.text(super().format(record)))


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment: above the progress bars while there are any."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # the base keeps the stream it was made with
        return sys.stderr


def set_up_logging(output: Output, settings: Settings) -> None:
    """Log warnings to stderr (everything with --verbose) and everything to --log-file if given.

    From now on no secret of *settings* is logged, nor said by *output*.
    """
    output.redaction = Redaction(settings.secrets)
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    for name in ("asyncio", "aiohttp", "asyncpg", "exchange_calendars"):
        logging.getLogger(name).setLevel(logging.WARNING)
    shown = _ToStderr()
    shown.setLevel(logging.DEBUG if output.verbose else logging.ERROR if output.quiet else logging.WARNING)
    shown.setFormatter(_Redacting(output.redaction, LOG_LINE if output.verbose else SHORT_LINE))
    shown.addFilter(lambda record: record.name != told.name)
    root.addHandler(shown)
    if output.log_file:
        kept = _log_file(output.log_file, output)
        kept.setFormatter(_Redacting(output.redaction, LOG_LINE))
        root.addHandler(kept)


class _ToFile(logging.FileHandler):
    """Appends to the log, never through a symbolic link; that it cannot (a full disk) is told once, no more."""

    _failed = False

    def __init__(self, path: Path, output: Output) -> None:
        self._output = output
        super().__init__(path, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_open_private)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002  the base's signature
        if not self._failed:
            self._failed = True
            self._output.warning(f"the log {self.baseFilename} is not whole: {sys.exc_info()[1]}")

    def close(self) -> None:
        with suppress(OSError):  # what its buffer still holds has been told of
            super().close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _log_file(path: Path, output: Output) -> logging.Handler:
    try:
        return _ToFile(path, output)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(
                f"{path} is a symbolic link, which is never followed",
                hint="name the file itself as --log-file",
            ) from error
        raise UsageError(
            f"the log file {path} cannot be written: {error.strerror}",
            hint="--log-file needs a folder that is there and may be written to",
        ) from error


class _Said:
    """A *stream* for people, which no secret reaches that *output* keeps."""

    def __init__(self, stream: TextIO, output: Output) -> None:
        self.stream, self._output = stream, output

    def write(self, text: str) -> int:
        self.stream.write(self._output.redaction.text(text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


class _Patient(_Said):
    """It may be full or closed: what it cannot take is lost, and ends no run."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()


def leave_no_core() -> None:
    """Let no core file be left of this process and of those it starts: the key is in their memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(main: Callable[[], Coroutine[Any, Any, int]], output: Output, *, failed: int | None = None) -> None:
    """Run *main* to its end and leave with its exit status; where that fails, with *failed* if it is given.

    SIGINT and SIGTERM cancel it, so that it can write its audit; then the status is 130 or 143.
    """
    leave_no_core()
    stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  open as long as we are
    sys.stderr = cast(TextIO, _Patient(stderr, output))
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, _Said(sys.stdout, output))
    try:
        status = asyncio.run(_with_signals(main, output))
    except BackfillError as error:
        output.error(error)
        status = error.exit_status if failed is None else failed
        _last_result(
            output, {"status": "failed", "error": str(error), "hint": error.hint, "exit_status": status}
        )
    except Exception:
        logger.exception("internal error")
        failure = BackfillError("this is a defect of the toolkit", hint="please report the traceback above")
        output.error(failure)
        status = INTERNAL_ERROR if failed is None else failed
        _last_result(output, {"status": "failed", "error": str(failure), "exit_status": status})
    raise typer.Exit(status)


def _last_result(output: Output, document: dict[str, Any]) -> None:
    """The result of what failed; that it cannot be written either changes nothing."""
    with suppress(UsageError):
        output.result(document)


def _spare_what_is_loaded() -> None:
    gc.freeze()
    gc.enable()


async def _with_signals(main: Callable[[], Coroutine[Any, Any, int]], output: Output) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[signal.Signals] = []

    def stop(which: signal.Signals) -> None:
        received.append(which)
        if task and len(received) == 1:
            if not output.quiet:
                # Not by a console of our own: progress bars on the screen have to make room for it.
                sys.stderr.write(f"{which.name}: stopping; what is stored stays\n")
            task.cancel()

    # What a command loads before it first waits stays to the end: nobody needs to look for garbage among it,
    # neither now nor when the interpreter ends. Together that is a fifth of a second.
    gc.disable()
    loop.call_soon(_spare_what_is_loaded)
    for which in SIGNAL_STATUS:
        loop.add_signal_handler(which, stop, which)
    try:
        status = await main()
    except (asyncio.CancelledError, RunInterrupted):
        if not received:
            raise
        status = INTERNAL_ERROR
    return SIGNAL_STATUS[received[0]] if received else status
