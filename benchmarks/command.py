"""``scripts/benchmark.py``: which measurement, its tables, and --json."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from benchmarks.report import Finding

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Measure on this server, in databases made for it. Default: an embedded one made for it.",
    ),
]
Bars = Annotated[int, typer.Option(min=100_000, help="Bars of the larger run.")]
Pages = Annotated[int, typer.Option(min=2, help="Pages of 50,000 bars.")]
Pairs = Annotated[int, typer.Option(min=1, help="Alternating pairs, of which the median.")]

Repeats = Annotated[int, typer.Option(min=1, help="Repetitions, of which the median.")]
Symbols = Annotated[str | None, typer.Option(metavar="LIST", help="Comma list. Default: the 25 tracked.")]
Days = Annotated[int, typer.Option(min=1, help="The last N calendar days.")]
RateLimit = Annotated[
    int, typer.Option(min=0, help="Requests a minute that the emulator allows; 0: no limit.")
]
Latency = Annotated[float, typer.Option(min=0, max=3600, help="Seconds before each answer of the emulator.")]

Work = Callable[[], Coroutine[Any, Any, "Sequence[Finding]"]]


def _measure(title: str, work: Work, as_json: bool) -> None:
    _measure_all({title: work}, as_json)


def _measure_all(works: Mapping[str, Work], as_json: bool) -> None:
    """Carry out one after the other and show each when done; status 3 if a bound is missed, 1 if one fails."""
    from benchmarks.processes import MeasurementFailed
    from benchmarks.report import document, hold, show

    found = {}
    for title, work in works.items():
        try:
            found[title] = asyncio.run(work())
        except MeasurementFailed as failure:
            typer.echo(f"{title}: {failure}", err=True)
            raise typer.Exit(1) from failure
        show(title, found[title])
    if as_json:
        documents = {title: document(findings) for title, findings in found.items()}
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    if not all(map(hold, found.values())):
        raise typer.Exit(3)


@app.command()
def write(pages: Pages = 10, pairs: Pairs = 5, as_json: AsJson = False) -> None:
    """The write path: against a plain COPY, on an unchanged re-write, against json + executemany."""
    from benchmarks.write import measure

    _measure("write path", lambda: measure(pages, pairs), as_json)


@app.command()
def memory(bars: Bars = 10_000_000, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """The peak memory of the core fetch, and how it grows from a tenth of the bars to all of them."""
    from benchmarks.memory import measure

    _measure("memory", lambda: measure(bars, database_url), as_json)


@app.command()
def pacing(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """The rate limit, kept and used up; in real time, three minutes."""
    from benchmarks.pacing import measure

    _measure("pacing", lambda: measure(database_url), as_json)


@app.command()
def adjusted(pages: Pages = 10, pairs: Pairs = 9, as_json: AsJson = False) -> None:
    """Reading bars adjusted for splits, of a symbol with three and of one without: against the raw ones."""
    from benchmarks.adjusted import measure

    _measure("adjusted bars", lambda: measure(pages, pairs), as_json)


@app.command()
def sharing(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Two processes and one key: one limit, of which one that is killed leaves all; two minutes and a half."""
    from benchmarks.sharing import measure

    _measure("sharing", lambda: measure(database_url), as_json)


@app.command(name="all")
def everything(as_json: AsJson = False) -> None:
    """The write path, memory and pacing, as ``make bench`` does; some six minutes."""
    import benchmarks.memory
    import benchmarks.pacing
    import benchmarks.write

    works: dict[str, Work] = {
        "write path": benchmarks.write.measure,
        "memory": benchmarks.memory.measure,
        "pacing": benchmarks.pacing.measure,
    }
    _measure_all(works, as_json)


@app.command()
def baseline(
    symbols: Symbols = None,
    days: Days = 90,
    rate_limit: RateLimit = 150,
    latency: Latency = 0.2,
    output: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the result as JSON to this file.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="PATH", exists=True, help="An earlier result to compare with.")
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """A whole run against the emulator: seconds of API, database and computing, and the bottleneck."""
    from benchmarks.baseline import Setting, measure

    setting = Setting(symbols, days, rate_limit, latency)
    _measure("baseline", lambda: measure(setting, output, compare, database_url), as_json)


@app.command()
def peers(days: Days = 365, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Our way against the vendor's official client with pandas.to_sql, SQLAlchemy and executemany."""
    from benchmarks.peers import measure

    _measure("peers", lambda: measure(days, database_url), as_json)


@app.command()
def schedule(
    days: Days = 30,
    large: Annotated[
        bool, typer.Option("--large", help="Also 100 symbols for 365 days: some five minutes more.")
    ] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """25 symbols one by one, in groups with pauses, and as the default does; some five minutes."""
    from benchmarks.schedule import measure

    _measure("schedule", lambda: measure(days, large, database_url), as_json)


@app.command()
def growth(
    runs: Annotated[
        bool, typer.Option("--measure", help="Also seconds and memory of the runs, without a rate limit.")
    ] = False,
    most_rows: Annotated[
        int, typer.Option(min=1, help="With --measure: of the runs that store at most about so many bars.")
    ] = 30_000_000,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Requests and bytes of 25, 100 and 400 symbols over 30, 365 and 1825 days, by the plan; half a minute."""
    from benchmarks.growth import measure

    _measure("growth", lambda: measure(runs, most_rows, database_url), as_json)


@app.command(name="batch-size")
def batch_size(
    pages: Pages = 10, repeats: Repeats = 3, database_url: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """How many bars a transaction should hold on this database."""
    from benchmarks.batch_size import measure

    _measure("batch size", lambda: measure(pages, repeats, database_url), as_json)


@app.command()
def profile(pages: Pages = 10, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """The functions in which computing spends its time, from a compressed body to committed rows."""
    from benchmarks.profile import measure

    _measure("profile", lambda: measure(pages, database_url), as_json)


@app.command()
def detect(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Gap detection over 25 symbols, 8 timeframes and two years, against one count of the table; two minutes."""
    from benchmarks.detect import measure

    _measure("gap detection", lambda: measure(database_url), as_json)


@app.command()
def status(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Health, freshness and matrix of 500 symbols, 8 timeframes and 5 years, against one count; two minutes."""
    from benchmarks.status import measure

    _measure("status", lambda: measure(database_url), as_json)


@app.command()
def features(
    symbols: Symbols = None,
    years: Annotated[
        int,
        typer.Option(min=1, help="Years of the longest history; a half and a quarter of it are compared."),
    ] = 4,
    pairs: Pairs = 5,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Features against pandas, against COPY, and a night against two years; some seven minutes.

    In a minute: --symbols BTC,AAPL,KO --years 1 --pairs 1
    """
    from benchmarks.features import measure
    from lib.commands.options import parse_symbols

    names = parse_symbols(symbols)
    _measure("features", lambda: measure(names, years, pairs, database_url), as_json)


@app.callback()
def benchmark() -> None:
    """Measure the toolkit: every figure is a ratio against something else measured in the same run."""
