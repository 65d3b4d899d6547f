"""What ``--dry-run`` prints: the requests of a run by kind, what they cost, and what is not asked and why."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.markup import escape

from lib.commands.summary import MANY_SYMBOLS, plain_table
from lib.estimate import Load, Purpose, Skipped, load_of
from lib.jobs.ohlcv import SeriesPlan
from lib.jobs.plan import RunPlan

WORDS = {
    Purpose.MINUTES: "minutes of one symbol",
    Purpose.DAYS: "days of one symbol",
    Purpose.MARKET_DAYS: "a day of a whole market",
    Purpose.RECHECKS: "answers to be confirmed",
    Purpose.LOOK_UPS: "symbols not known yet",
    Purpose.ACTIONS: "splits and dividends",
}
REASONS = {
    Skipped.COVERED: "covered",
    Skipped.PENDING: "not settled yet",
    Skipped.EMPTY: "verified empty",
    Skipped.NOT_ENTITLED: "not in the plan",
    Skipped.NOT_LISTED: "before the listing",
    Skipped.PRUNED: "dropped on purpose",
}
LEGEND = "estimated, at most: bars that answers may hold; compressed; rows on disk, derived too"


def show_plan(console: Console, run: RunPlan, skipped: Mapping[Skipped, int], rate_limit: int) -> None:
    """Print what a run would ask: by symbol where there are few, by kind, and what it leaves out."""
    _show_symbols(console, run)
    loads = run.loads
    table = plain_table(["asked for", "requests", "pages", "bars", "to receive", "on disk"])
    for kind, words in WORDS.items():
        if loads[kind].requests:
            table.add_row(words, *_cells(loads[kind]))
    table.add_row("[bold]in all[/]", *_cells(loads.total))
    console.print(table)
    console.print(f"[dim]{LEGEND}[/]")
    for count, reason in _skipped(skipped):
        console.print(f"not asked {count} sessions {reason}")
    total = loads.total
    console.print(f"{total.requests:,} requests, {total.pages:,} pages; {_at_limit(total.pages, rate_limit)}")
    console.print("dry run: nothing was sent, nothing was stored")


def _show_symbols(console: Console, run: RunPlan) -> None:
    asked = [(symbol, plan) for symbol, series in run.symbols.items() for plan in series if plan.windows]
    if len(run.symbols) + len(run.look_ups) > MANY_SYMBOLS or not (asked or run.look_ups):
        return
    table = plain_table(["symbol", "timeframe", "requests", "pages", "base bars"])
    for symbol, plan in asked:
        bars = sum(w.base_bars for w in plan.windows)
        table.add_row(
            escape(symbol), plan.timeframe, f"{len(plan.windows):,}", f"{pages(plan):,}", f"{bars:,}"
        )
    for symbol in run.look_ups:
        table.add_row(escape(symbol), "looked up first", "1", "1")
    console.print(table)
    console.print("[dim]base bars: minute or day bars the answers are made of; a page holds 50,000[/]\n")


def _cells(load: Load) -> Iterator[str]:
    yield from (f"{load.requests:,}", f"{load.pages:,}", f"{load.bars:,}" if load.bars else "")
    yield from (_size(load.wire_bytes), _size(load.disk_bytes))


def _size(count: int) -> str:
    """Bytes for people, e.g. ``12.3 MB``; nothing for none."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB" if count else ""


def _skipped(skipped: Mapping[Skipped, int]) -> Iterator[tuple[str, str]]:
    """How many sessions and why, the counts of one width."""
    width = max((len(f"{count:,}") for count in skipped.values()), default=0)
    for reason, count in skipped.items():
        yield f"{count:>{width},}", REASONS[reason]


def _at_limit(n_pages: int, rate_limit: int) -> str:
    if not rate_limit:
        return "no rate limit"
    minutes = minutes_at_limit(n_pages, rate_limit)
    return f"{f'about {minutes:,} min' if minutes else 'within a minute'} at {rate_limit} a minute"


def minutes_at_limit(n_pages: int, rate_limit: int) -> int:
    """The first minute's share goes out at once; each further share a minute later."""
    return max(0, n_pages - 1) // rate_limit if rate_limit else 0


def pages(plan: SeriesPlan) -> int:
    """Pages of a series' windows."""
    return sum(load_of(window, derive=False).pages for window in plan.windows)


def plan_document(run: RunPlan, skipped: Mapping[Skipped, int], rate_limit: int) -> dict[str, object]:
    """The plan for programs: in all, by kind, by series, and the sessions that are not asked for."""
    loads, total = run.loads, run.loads.total
    return {
        **_load(total),
        "minutes_at_limit": minutes_at_limit(total.pages, rate_limit),
        "by_kind": {kind: _load(loads[kind]) for kind in WORDS},
        "skipped_sessions": {reason: skipped.get(reason, 0) for reason in Skipped},
        "look_ups": list(run.look_ups),
        "symbols": {symbol: _series(series) for symbol, series in run.symbols.items()},
    }


def _load(load: Load) -> dict[str, int]:
    return {
        "requests": load.requests,
        "pages": load.pages,
        "bars": load.bars,
        "wire_bytes": load.wire_bytes,
        "disk_bytes": load.disk_bytes,
    }


def _series(series: Sequence[SeriesPlan]) -> dict[str, dict[str, int]]:
    return {s.timeframe: {"requests": len(s.windows), "pages": pages(s)} for s in series}
