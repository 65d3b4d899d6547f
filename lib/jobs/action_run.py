"""One run of ``scripts/backfill_corporate_actions.py``, recorded from its start to its end."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lib.clock import Clock
from lib.errors import BackfillError, DatabaseError, UsageError
from lib.jobs.action_outcome import ActionsOutcome
from lib.jobs.actions import Asking, Refresh
from lib.jobs.record import run_end
from lib.outcome import (
    COMPLETE_STATUS,
    FAILED_STATUS,
    PARTIAL_STATUS,
    REFUSED_STATUS,
    RunStatus,
    SeriesStatus,
)
from lib.settings import Settings
from lib.wiring import Toolkit

SCRIPT = "backfill_corporate_actions"


@dataclass(slots=True)
class ActionReport:
    """A run as it goes and as it ended. *unknown*: names that are not tracked."""

    run_id: str
    settings: Settings
    clock: Clock
    started_at: datetime
    full: bool
    symbols: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    outcome: ActionsOutcome | None = None
    requests: int = 0
    interrupted: bool = False
    error: BackfillError | None = None

    @property
    def status(self) -> RunStatus:
        """Partial where a name is unknown, an event was refused or a part could not be had."""
        if self.interrupted:
            return RunStatus.INTERRUPTED
        outcome = self.outcome
        if self.error or outcome is None or outcome.failed or (self.unknown and not self.symbols):
            return RunStatus.FAILED
        return RunStatus.COMPLETE if outcome.whole and not self.unknown else RunStatus.PARTIAL

    @property
    def exit_status(self) -> int:
        """Of a run that was not interrupted."""
        if self.error:
            return self.error.exit_status
        kinds = (self.outcome.splits, self.outcome.dividends) if self.outcome else ()
        if kinds and all(kind.status is SeriesStatus.NOT_ENTITLED for kind in kinds):
            return REFUSED_STATUS
        return {RunStatus.COMPLETE: COMPLETE_STATUS, RunStatus.FAILED: FAILED_STATUS}.get(
            self.status, PARTIAL_STATUS
        )

    def document(self) -> dict[str, Any]:
        """The run for programs; kept in backfill_runs."""
        outcome = self.outcome or ActionsOutcome()
        return {
            "schema_version": 1,
            "run_id": self.run_id,
            "timestamp": self.clock.now().isoformat(),
            "status": str(self.status),
            "error": str(self.error) if self.error else None,
            "config": {
                "symbols": self.symbols,
                "full": self.full,
                "database": self.settings.database_name,
            },
            "unknown_symbols": self.unknown,
            "corporate_actions": outcome.document(),
            "summary": {
                "symbols": len(self.symbols),
                "requests": self.requests,
                "new_splits": len(outcome.splits.new),
                "new_dividends": len(outcome.dividends.new),
                "suspect_splits": len(outcome.suspects),
                "unexplained_jumps": len(outcome.jumps),
                "features_stale": len(outcome.rebased),
            },
        }


def new_action_report(settings: Settings, clock: Clock, *, full: bool) -> ActionReport:
    """A run that begins now, under a name that sorts by time."""
    now = clock.now()
    return ActionReport(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", settings, clock, now, full)


async def carry_out_actions(
    toolkit: Toolkit, names: Sequence[str] | None, report: ActionReport, arguments: Mapping[str, Any]
) -> None:
    """The whole run on an open toolkit. *names* None: every active symbol.

    What ends it early (a signal, a refused key, the database) is noted in *report*, not raised.
    """
    try:
        await toolkit.store.start_run(report.run_id, SCRIPT, report.started_at, arguments)
        instruments = await toolkit.store.instruments(names)
        report.symbols = [i.symbol for i in instruments]
        report.unknown = [name for name in names or () if name not in report.symbols]
        report.outcome = ActionsOutcome()
        asking = Asking.FULL if report.full else Asking.RECENT
        refresh = Refresh(toolkit, instruments, report.outcome, asking)
        await refresh.ask()
        await refresh.settle()
    except asyncio.CancelledError:
        report.interrupted = True
    except UsageError:
        raise
    except BackfillError as error:
        report.error = error
    report.requests = toolkit.vendor.counters.total_requests
    if not isinstance(report.error, DatabaseError):
        try:
            await toolkit.store.finish_run(report.run_id, run_end(report, report.document()))
        except DatabaseError as error:
            report.error = error
