"""The options the commands share, with their help texts; light to import."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lib.commands.console import visible
from lib.errors import UsageError

if TYPE_CHECKING:  # heavy: imported inside the functions, for --help must be quick
    from lib.jobs.report import Request
    from lib.wiring import VendorTerms


Symbols = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", help="Comma list, 'all', or @FILE with some a line. Default: all active ones."
    ),
]
Timeframes = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Comma list of 1m,5m,15m,30m,1h,4h,1d,1w, or 'all'. Default: the symbol's own.",
    ),
]
Days = Annotated[
    int | None, typer.Option(metavar="N", help="The last N calendar days, today included. Default: 365.")
]
Start = Annotated[str | None, typer.Option(metavar="DATE", help="First date, YYYY-MM-DD; excludes --days.")]
End = Annotated[str | None, typer.Option(metavar="DATE", help="Last date, inclusive. Default: today.")]
MaxConcurrent = Annotated[
    int, typer.Option(metavar="N", min=1, max=50, help="Symbols of one group, and requests, at a time.")
]
RateLimit = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, max=100_000, help="Requests a minute for the key; 0: a paid plan without a limit."
    ),
]
PlanOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="PLAN",
        help="basic, starter, developer or advanced; 'starter,crypto=basic' where they differ. "
        "Default: starter.",
    ),
]
MaxAttempts = Annotated[
    int, typer.Option(metavar="N", min=1, max=20, help="Tries per request after failures of the service.")
]
MaxRequests = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, max=10**9, help="Stop cleanly after N requests; the rest is for the next run."
    ),
]
MaxOutage = Annotated[
    float,
    typer.Option(
        metavar="MINUTES",
        min=0,
        max=1e6,
        help="How long to wait for a vendor that is down; 0: not at all.",
    ),
]
InsecureHttp = Annotated[
    bool, typer.Option("--insecure-http", help="Let the key go unencrypted to a vendor's address of http://.")
]
GapRetries = Annotated[
    int, typer.Option(metavar="N", min=0, max=10, help="Rounds over what is still missing.")
]
Recheck = Annotated[
    bool, typer.Option("--recheck", help="Ask again what the vendor had empty or refused, before its expiry.")
]
Derive = Annotated[
    bool, typer.Option("--derive/--no-derive", help="Fetch 1m and 1d and roll up the others, or fetch each.")
]
WorstFirst = Annotated[bool, typer.Option("--worst-first", help="The matrix by what is missing.")]
OutputHtml = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Write matrix and sessions as one page, readable by itself."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, send nothing.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="PostgreSQL 16 or later. Default: DATABASE_URL, else the embedded server."
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Built-in emulator and a database of its own; no key, no network.")
]
Alert = Annotated[
    bool, typer.Option("--alert", help="Afterwards tell what holds by webhook and mail, once per condition.")
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="Leave figures for Prometheus there (node exporter's textfile collector)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One machine-readable result on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")]
LogFile = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Append a log of everything to this file.")
]

DEFAULT_DAYS = 365
MOST_DAYS = 36_500  # a century: what reaches further was not meant
_LONGEST_LIST = 1_000_000  # characters: some hundred thousand symbols
YEARS = range(1970, 2100)  # those whose days the zones are laid out for


def parse_date(text: str, option: str) -> date:
    """The date of YYYY-MM-DD, of 1970 to 2099. Raises UsageError naming *option*."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text[:40]!r} is not a date", hint="dates look like 2025-01-31"
        ) from error
    if day.year not in YEARS:
        raise UsageError(f"{option} {day} has no bars", hint=f"years go from {YEARS[0]} to {YEARS[-1]}")
    return day


def parse_symbols(text: str | None) -> list[str] | None:
    """The symbols of a comma list or @file, each once, in the order given; None for ``all`` or nothing.

    Raises UsageError for a name that has not the form of a symbol, and for a file that cannot be read.
    """
    from lib.symbols import check_symbol

    if text is None or text.strip() == "all":
        return None
    if text.startswith("@"):
        text = _read_list(Path(text[1:]))
    names = [name.strip() for name in text.replace("\n", ",").split(",")]
    symbols = list(dict.fromkeys(check_symbol(name) for name in names if name))
    if not symbols:
        raise UsageError("--symbols names none", hint="give AAPL,SPY or all")
    return symbols


def _read_list(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LONGEST_LIST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"the list of symbols {str(path)[:100]} cannot be read: {why}") from error
    if len(text) > _LONGEST_LIST:
        raise UsageError(f"the list of symbols {path} is longer than {_LONGEST_LIST:,} characters")
    return ",".join(line.split("#", 1)[0].strip() for line in text.splitlines())


def parse_request(
    timeframes: str | None,
    days: int | None,
    start: str | None,
    end: str | None,
    *,
    derive: bool,
    recheck: bool = False,
) -> "Request":
    """What is asked for. Raises UsageError if the options contradict each other or cannot be read."""
    from lib.jobs.report import Request
    from lib.timeframe import parse_timeframes

    if days is not None and (start or end):
        raise UsageError("--days excludes --start and --end", hint="give the one or the others")
    if end and not start:
        raise UsageError("--end needs --start", hint="give both, or --days")
    if days is None and not start:
        days = DEFAULT_DAYS
    if days is not None and not 1 <= days <= MOST_DAYS:
        what = "nothing" if days < 1 else "more than a century"
        raise UsageError(f"--days {days} asks for {what}", hint=f"give 1 to {MOST_DAYS}")
    first = parse_date(start, "--start") if start else None
    last = parse_date(end, "--end") if end else None
    if first and last and last < first:
        raise UsageError(f"--end {last} lies before --start {first}")
    return Request(parse_timeframes(timeframes) if timeframes else None, days, first, last, derive, recheck)


def parse_terms(
    rate_limit: int,
    plan: str | None,
    max_attempts: int,
    max_requests: int | None,
    max_outage: float = 60.0,
    *,
    at_once: int = 3,
    demo: bool = False,
    insecure_http: bool = False,
) -> "VendorTerms":
    """How the vendor may be asked. *demo*: it is the run's own. Raises UsageError for an unknown plan."""
    from lib.sessions import Plans, parse_plans
    from lib.wiring import VendorTerms

    plans = parse_plans(plan) if plan else Plans()
    return VendorTerms(
        rate_limit, max_attempts, max_requests, plans, not demo, max_outage, insecure_http, at_once
    )


def as_texts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a run as they are stored: numbers and flags as such, paths as visible text."""
    return {name: visible(str(v)) if isinstance(v, Path) else v for name, v in arguments.items()}
