"""The nightly schedule of this checkout as cron lines, systemd units and log rotation: text only."""

import grp
import os
import pwd
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.errors import UsageError
from lib.settings import Settings

CRON_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the night: when it begins (UTC), and what is typed."""

    name: str
    hour: int
    script: str
    options: tuple[str, ...]
    what: str


JOBS = (
    Job("backfill", 2, "master_backfill.py", ("--days", "30"), "bring the bars of all symbols up to date"),
    Job("features", 3, "backfill_features.py", (), "compute the indicators of new bars"),
    Job("actions", 4, "scripts/backfill_corporate_actions.py", (), "fetch splits and dividends"),
)
AUDITED = {"backfill": "audit.json", "features": "features.json"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the lines are made of. *more*: options that each line gets. *logs*: where logs and audits go."""

    checkout: Path
    python: Path
    home: Path
    logs: Path
    more: tuple[str, ...] = ()

    def words(self, job: Job, *, log: bool = True) -> list[str]:
        """What is run for *job*, word by word."""
        words = [str(self.python), str(self.checkout / job.script), *job.options, "--quiet"]
        if job.name in AUDITED:
            words += ["--output", str(self.logs / AUDITED[job.name])]
        if log:
            words += ["--log-file", str(self.logs / f"{job.name}.log")]
        return [*words, *self.more]


def schedule_of(
    settings: Settings, checkout: Path, python: Path, *, alert: bool, metrics: Path | None
) -> Schedule:
    """The schedule of *checkout* as it is set up now.

    Raises UsageError for a path that would end its line.
    """
    for path in (metrics, settings.home):
        if path is not None and not str(path).isprintable():
            raise UsageError(f"{str(path)!r} cannot stand in a line of cron", hint="give it a plain name")
    more = ["--alert"] if alert else []
    if metrics is not None:
        more += ["--metrics-file", str(metrics.absolute())]
    return Schedule(checkout, python, settings.home, settings.home / "log", tuple(more))


def cron_lines(schedule: Schedule, *, utc: bool) -> Iterator[str]:
    """A crontab for ``crontab -``. *utc*: whether the machine's own time is."""
    yield f"# market-backfill in {schedule.checkout}. Times are UTC."
    if not utc:
        yield "# This machine's time is another: cronie obeys CRON_TZ; where cron does not (Debian), use the units"
        yield "# of --systemd, which say UTC themselves, or change the hours."
    yield "CRON_TZ=UTC"
    yield f"PATH={CRON_PATH}"
    yield f"BACKFILL_HOME={schedule.home}"
    yield f"# The key and DATABASE_URL stand in {schedule.checkout / '.env'}."
    for job in JOBS:
        # In a crontab % ends the command.
        command = f"cd {shlex.quote(str(schedule.checkout))} && {shlex.join(schedule.words(job))}"
        yield f"0 {job.hour} * * * {command.replace('%', chr(92) + '%')}"


def units(schedule: Schedule, user: str) -> Mapping[str, str]:
    """A service and a timer for each job, by file name."""
    files = {}
    for job in JOBS:
        name = f"market-backfill-{job.name}"
        files[f"{name}.service"] = _service(schedule, job, user)
        files[f"{name}.timer"] = _timer(job)
    return files


_SERVICE = """\
[Unit]
Description=market-backfill: {what}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=6h
StartLimitBurst=4

[Service]
Type=oneshot
User={user}
WorkingDirectory={checkout}
Environment={home}
ExecStart={command}
# 3: partial, the next night goes on; 11: another run is at it. What is worth waking somebody for, --alert tells.
SuccessExitStatus=3 11
# A database (10) may come back in minutes; the others do not by asking.
Restart=on-failure
RestartSec=15min
RestartPreventExitStatus=1 2 12
# A stopped run stores what it has and writes its audit.
TimeoutStopSec=90
UMask=0027
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
{capabilities}
"""


def _service(schedule: Schedule, job: Job, user: str) -> str:
    # Root's embedded server runs under an account of its own, which root has to be able to change to.
    capabilities = (
        "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL"
    )
    return _SERVICE.format(
        what=job.what,
        user=user,
        checkout=_path(schedule.checkout),
        home=_quoted(f"BACKFILL_HOME={schedule.home}"),
        command=" ".join(_quoted(word) for word in schedule.words(job)),
        writable=" ".join(_quoted(str(path)) for path in _writable(schedule)),
        capabilities=capabilities if user == "root" else "CapabilityBoundingSet=",
    )


def _writable(schedule: Schedule) -> list[Path]:
    metrics = [Path(word).parent for word in schedule.more if word.startswith("/")]
    return [schedule.home, *metrics]


def _timer(job: Job) -> str:
    return textwrap.dedent(f"""\
        [Unit]
        Description=market-backfill: {job.what}

        [Timer]
        OnCalendar=*-*-* {job.hour:02}:00:00 UTC
        Persistent=yes
        RandomizedDelaySec=60

        [Install]
        WantedBy=timers.target
        """)


def _quoted(word: str) -> str:
    """A word of a unit: % begins a specifier, $ a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return (
        f'"{escaped}"'
        if not escaped.replace("-", "").replace("/", "").replace(".", "").isalnum()
        else escaped
    )


def _path(path: Path) -> str:
    """A path that stands alone on its line, where quotes would be part of it."""
    return str(path).replace("%", "%%")


def log_rotation(schedule: Schedule) -> str:
    """A file for /etc/logrotate.d; a run that goes on writes into the file it began."""
    return textwrap.dedent(f"""\
        "{schedule.logs}/*.log" {{
            weekly
            rotate 8
            compress
            delaycompress
            missingok
            notifempty
            su {_owner(schedule.logs)}
        }}
        """)


def _owner(folder: Path) -> str:
    """The account and group that logrotate has to become: the folder is not root's alone."""
    status = folder.stat()
    return f"{pwd.getpwuid(status.st_uid).pw_name} {grp.getgrgid(status.st_gid).gr_name}"


def user_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
