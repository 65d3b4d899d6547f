"""What a person reads at the end of a run: a table of symbols, the totals, where the time went."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from lib.audit import Audit
from lib.commands.progress import MARK
from lib.jobs.ohlcv import SeriesPlan
from lib.jobs.run import Report
from lib.outcome import SeriesStatus, SymbolOutcome
from lib.plan import PAGE_BASE_BARS

MANY_SYMBOLS = 40


def show_summary(console: Console, report: Report, audit: Audit) -> None:
    """Print the summary table and the totals of a run."""
    console.print(_table(report.outcomes))
    total, time, sent = audit["summary"], audit["timing"], audit["requests"]
    console.print(
        f"[bold]{audit['status']}[/]: {total['succeeded']} of {total['symbols']} symbols whole"
        + (f", {total['failed']} failed" if total["failed"] else "")
        + f"; {total['total_records']:,} bars in the range asked for"
    )
    console.print(
        f"requests {sent['total']:,} ({sent['retries']} retried, {sent['rate_limited']} answered 429); "
        f"{time['wall_seconds']:.1f} s: API {time['api_seconds']:.1f} s, database {time['db_seconds']:.1f} s, "
        f"compute {time['compute_seconds']:.1f} s (they overlap); bottleneck: {time['bottleneck']}"
    )
    console.print(f"database: {report.settings.database_name}")


def _table(outcomes: Sequence[SymbolOutcome]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name, side in (
        ("symbol", "left"),
        ("status", "left"),
        ("bars", "right"),
        ("new", "right"),
        ("changed", "right"),
        ("requests", "right"),
        ("range", "left"),
    ):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=name != "range")
    for outcome in outcomes[:MANY_SYMBOLS]:
        table.add_row(*_row(outcome))
    if len(outcomes) > MANY_SYMBOLS:
        table.add_row("…", f"{len(outcomes) - MANY_SYMBOLS} more in the audit")
    return table


def _row(outcome: SymbolOutcome) -> tuple[str, ...]:
    if outcome.error:
        return (outcome.symbol, "[red]failed[/]", "", "", "", "", outcome.error)
    series = outcome.series
    worst = max((s.status for s in series), key=list(SeriesStatus).index, default=SeriesStatus.OK)
    firsts, lasts = [s.first for s in series if s.first], [s.last for s in series if s.last]
    span = f"{min(firsts):%Y-%m-%d} .. {max(lasts):%Y-%m-%d}" if firsts else "no bars"
    return (
        outcome.symbol,
        MARK[worst],
        f"{sum(s.bars for s in series):,}",
        f"{sum(s.inserted for s in series):,}",
        f"{sum(s.updated for s in series):,}",
        f"{sum(s.requests for s in series):,}",
        span,
    )


def show_plan(console: Console, plans: Mapping[str, list[SeriesPlan] | None], rate_limit: int) -> None:
    """Print what a run would ask, by symbol and timeframe."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name in ("symbol", "timeframe", "requests", "pages", "base bars"):
        table.add_column(name, justify="left" if name in ("symbol", "timeframe") else "right")
    for symbol, plan in plans.items():
        if plan is None:
            table.add_row(symbol, "not tracked yet: it would be looked up", "1")
        for series in plan or ():
            bars = sum(w.base_bars for w in series.windows)
            table.add_row(symbol, series.timeframe, str(len(series.windows)), str(pages(series)), f"{bars:,}")
    console.print(table)
    document = plan_document(plans, rate_limit)
    limit = f"about {document['minutes_at_limit']} minutes at {rate_limit} a minute" if rate_limit else "no limit"
    console.print(f"{document['requests']} requests, {document['pages']} pages; {limit}. Nothing was sent.")


def pages(plan: SeriesPlan) -> int:
    """Pages of a plan: at least one a request, more where a window may hold more than a page."""
    return sum(max(1, -(-w.base_bars // PAGE_BASE_BARS)) for w in plan.windows)


def plan_document(plans: Mapping[str, list[SeriesPlan] | None], rate_limit: int) -> dict[str, object]:
    """The plan for programs: requests, pages and minutes at the limit, in all and by series."""
    by_series = {
        symbol: {s.timeframe: {"requests": len(s.windows), "pages": pages(s)} for s in plan or ()}
        for symbol, plan in plans.items()
    }
    unknown = [symbol for symbol, plan in plans.items() if plan is None]
    total = len(unknown) + sum(s["requests"] for series in by_series.values() for s in series.values())
    n_pages = len(unknown) + sum(s["pages"] for series in by_series.values() for s in series.values())
    return {
        "requests": total,
        "pages": n_pages,
        # The first minute's share goes out at once; each further share a minute later.
        "minutes_at_limit": max(0, n_pages - 1) // rate_limit if rate_limit else 0,
        "look_ups": unknown,
        "symbols": by_series,
    }


