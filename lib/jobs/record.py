"""How a run ended, for its row in the database: the same for every script."""

from collections.abc import Mapping
from typing import Any, Protocol

from lib.clock import Clock
from lib.errors import BackfillError
from lib.outcome import RunStatus
from lib.redaction import Redaction
from lib.settings import Settings
from lib.store.runs import RunEnd

# The scripts that bring bars, by the names under which their runs are recorded.
FETCHING = ("master_backfill", "backfill_ohlcv", "backfill_gaps fill", "backfill_status freshness")


class Ended(Protocol):
    """What every script's report knows of its run."""

    settings: Settings
    clock: Clock
    interrupted: bool
    error: BackfillError | None

    @property
    def status(self) -> RunStatus: ...
    @property
    def exit_status(self) -> int: ...


def run_end(report: Ended, audit: Mapping[str, Any]) -> RunEnd:
    """The end of a run with its *audit*. Which signal interrupted it is not known here."""
    error = Redaction(report.settings.secrets).text(str(report.error)) if report.error else None
    exit_status = None if report.interrupted else report.exit_status
    return RunEnd(report.clock.now(), str(report.status), exit_status, error, audit)
