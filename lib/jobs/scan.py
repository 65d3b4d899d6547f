"""What is missing, looked at only: nothing is sent, no run is recorded."""

from collections.abc import Sequence

from lib.audit import Audit
from lib.jobs.gaps import GapReport, look
from lib.jobs.report import Report
from lib.jobs.run import untouched
from lib.outcome import SymbolOutcome
from lib.wiring import Toolkit


async def scan(
    toolkit: Toolkit, names: Sequence[str] | None, report: Report, *, counted: bool = True
) -> Audit:
    """Find the gaps of *names* (None: every active symbol) and note them in the ledger.

    *counted* False believes the audited counts: quicker, blind to bars that were deleted; the ledger is then
    left as it is. A name that is not tracked becomes a failed outcome.
    """
    known = {i.symbol: i for i in await toolkit.store.instruments(names)}
    wanted = names if names is not None else list(known)
    instruments = [known[name] for name in wanted if name in known]
    report.outcomes.extend(
        SymbolOutcome(name, error="not tracked: never backfilled") for name in wanted if name not in known
    )
    report.outcomes.extend(untouched(toolkit, instruments, report))
    report.look_at(instruments)
    report.gaps = GapReport()
    outcomes = {outcome.symbol: outcome for outcome in report.outcomes}
    await look(toolkit, report.scopes, outcomes, report.gaps, counted=counted)
    return report.audit(toolkit)
