"""``backfill_status.py cron``: the schedule of this checkout, to be piped where it belongs."""

import sys
import time
from pathlib import Path

from rich.markup import escape

from lib.commands.after import ROOT
from lib.commands.running import Output
from lib.commands.schedule import cron_lines, log_rotation, schedule_of, units, user_name
from lib.errors import UsageError
from lib.settings import load_settings


def print_schedule(
    output: Output, form: str, *, alert: bool, metrics: Path | None, write_to: Path | None
) -> int:
    """Print the schedule in one of its forms; units are also written into the folder *write_to* if given."""
    python = ROOT / ".venv" / "bin" / "python"
    settings = load_settings(script_folder=ROOT)
    schedule = schedule_of(
        settings, ROOT, python if python.exists() else Path(sys.executable), alert=alert, metrics=metrics
    )
    _make_folder(schedule.logs, output)
    if form == "cron":
        files = {"crontab": "\n".join(cron_lines(schedule, utc=_is_utc())) + "\n"}
    elif form == "systemd":
        files = dict(units(schedule, user_name()))
    else:
        files = {"market-backfill.logrotate": log_rotation(schedule)}
    for name, text in files.items():
        if write_to is not None:
            _write(write_to / name, text)
            output.console().print(f"written: {escape(str(write_to / name))}")
        elif not output.as_json:
            sys.stdout.write((f"# --- {name}\n" if len(files) > 1 else "") + text)
    output.result({"files": files})
    return 0


def _make_folder(logs: Path, output: Output) -> None:
    """What is printed shall run as it is. Raises UsageError."""
    if logs.is_dir():
        return
    try:
        logs.mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"the folder of the logs {logs} cannot be made: {error.strerror}",
            hint="BACKFILL_HOME names another place",
        ) from error
    output.console().print(f"made: {escape(str(logs))}")


def _write(path: Path, text: str) -> None:
    """Raises UsageError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="--write-to names a folder that is there"
        ) from error


def _is_utc() -> bool:
    return time.timezone == 0 and not time.daylight
