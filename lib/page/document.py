"""The whole page: the finding first, then the facts of the run, the matrix, and a calendar a symbol.

One file that needs nothing else: styles, marks and script are inside; without the script it reads the same.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from lib.audit import Audit
from lib.gaps import GAPS, State, Stretch
from lib.page.heatmap import Axes, calendar
from lib.page.markup import Markup, joined, tag, void
from lib.page.matrix import matrix
from lib.page.words import WORDS, WORST_FIRST, Shown, dates, listed, many, unit_of
from lib.timeframe import Timeframe

MANY_STRETCHES = 25  # rows of the table of a symbol
MANY_OPEN = 8  # symbols whose calendars are open although nothing is wrong with them
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown of a run. *failures*: why some symbols are not shown. *problem*: what ended the run."""

    audit: Audit
    symbols: Sequence[Shown]
    failures: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    next_command: str | None = None


def render(page: Page) -> str:
    """The page as HTML."""
    axes = Axes()
    calendars = joined(*(_symbol(n, shown, axes, page) for n, shown in enumerate(page.symbols)))
    body = tag(
        "body",
        _marks(axes),
        tag("header", *_headline(page)),
        tag("main", *_main(page, calendars)),
        tag("footer", _run_facts(page)),
        tag("script", _file("script.js")),
    )
    html = tag("html", _head(page), body, lang="en")
    return f"<!doctype html>\n{html}\n"


@cache
def _file(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8").strip())


def _head(page: Page) -> Markup:
    script = b64encode(sha256(_file("script.js").encode()).digest()).decode()
    # Whatever a message may hold, nothing is loaded and no other script runs.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; base-uri 'none'"
    return tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        tag("title", f"{finding(page)} · {page.audit['timestamp'][:10]}"),
        tag("style", _file("style.css")),
    )


def _marks(axes: Axes) -> Markup:
    """The patterns of the states and the names on the axes, to be referred to."""
    definitions = tag("defs", _file("marks.svg"), axes.definitions())
    return tag("svg", definitions, width=0, height=0, aria_hidden="true", class_="marks")


def finding(page: Page) -> str:
    """What there is to know, in a sentence."""
    remaining = sum(shown.gaps for shown in page.symbols)
    if remaining:
        lacking = sum(shown.gaps > 0 for shown in page.symbols)
        verb = "remains" if remaining == 1 else "remain"
        return f"{many(remaining, 'gap')} {verb} in {lacking} of {many(len(page.symbols), 'symbol')}"
    if page.failures:
        return f"{many(len(page.failures), 'symbol')} not looked at"
    status = page.audit["status"]
    if status == "complete":
        return "Nothing is missing" if page.symbols else "Nothing was looked at"
    return "The run was interrupted" if status == "interrupted" else f"The run ended as {status}"


def _headline(page: Page) -> Iterator[Markup]:
    config = page.audit["config"]
    status = page.audit["status"]
    yield tag("p", "market-backfill", class_="eyebrow")
    yield tag("h1", finding(page), class_="good" if _good(page) else "bad")
    asked = f"{many(len(page.symbols) + len(page.failures), 'symbol')}, {config['start']} … {config['end']}"
    yield tag("p", f"{asked}; as of {_moment(page.audit['timestamp'])}. The run is {status}.", class_="lead")
    if page.problem:
        yield tag("p", page.problem, class_="problem")
    if page.next_command and not _good(page):
        yield tag("p", "Next: ", tag("code", page.next_command), class_="next")


def _good(page: Page) -> bool:
    return page.audit["status"] == "complete"


def _moment(stamp: str) -> str:
    """An instant of the audit for people: ``2025-11-14 15:30 UTC``."""
    return f"{stamp[:10]} {stamp[11:16]} UTC"


def _main(page: Page, calendars: Markup) -> Iterator[Markup]:
    yield tag("dl", *_figures(page), class_="figures")
    if page.failures:
        items = (tag("li", tag("b", name), f": {why}") for name, why in page.failures.items())
        yield tag("section", tag("h2", "Not looked at"), tag("ul", *items, class_="failures"))
    if page.symbols:
        yield tag("section", tag("h2", "Matrix"), _controls(page), matrix(page.symbols))
        yield tag("section", tag("h2", "Sessions"), _legend(page), tag("div", calendars, id="symbols"))


def _figures(page: Page) -> Iterator[Markup]:
    cells = [cell for shown in page.symbols for cell in shown.cells.values()]
    expected, complete = sum(c.expected for c in cells), sum(c.complete for c in cells)
    audit = page.audit
    gaps, sent, time = audit["summary"], audit["requests"], audit["timing"]
    if expected:
        told = f"{complete:,} of {many(expected, 'session')}"
        yield _figure("complete, all timeframes", _percent(complete, expected), told)
    yield _figure(
        "gaps", f"{gaps['gaps_remaining']:,}", f"{gaps['gaps_found']:,} found, {gaps['gaps_filled']:,} filled"
    )
    met = f"{sent['retries']} tried again, {sent['rate_limited']} answered 429"
    yield _figure("requests", f"{sent['total']:,}", met if sent["total"] else "nothing was asked")
    yield _figure("time", _duration(time["wall_seconds"]), f"most of it {_PART[time['bottleneck']]}")


_PART = {"api": "the vendor", "db": "the database", "compute": "computing"}


def _figure(name: str, value: str, note: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="note"))


def _percent(part: int, whole: int) -> str:
    """Rounded down to a tenth: 100 only if all of it."""
    tenths = 1000 * part // whole
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10}%"


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _controls(page: Page) -> Markup:
    """What the script needs; without it they stay hidden."""
    if len(page.symbols) < 2:
        return Markup()
    find = tag(
        "label", "find ", void("input", type="search", id="find", autocomplete="off", spellcheck="false")
    )
    only = tag("label", void("input", type="checkbox", id="only"), " only with gaps")
    order = tag("label", void("input", type="checkbox", id="worst"), " worst first")
    return tag("form", find, only, order, tag("output", "", for_="find only"), id="controls", hidden=True)


def _legend(page: Page) -> Markup:
    used = {s.state for shown in page.symbols for stretches in shown.series.values() for s in stretches}
    entries = [tag("li", _swatch(state), " ", WORDS[state]) for state in WORST_FIRST if state in used]
    note = "A cell is a session, in the state of its worst timeframe; a column is a week."
    return joined(tag("p", note, class_="quiet"), tag("ul", *entries, class_="legend"))


def _swatch(state: State) -> Markup:
    mark = tag("path", class_=state, d="M0 0h8v8H0z")
    return tag("svg", mark, width=12, height=12, viewBox="0 0 8 8", class_="swatch", aria_hidden="true")


def _symbol(number: int, shown: Shown, axes: Axes, page: Page) -> Markup:
    lacks = f"{many(shown.gaps, 'gap')}, {many(shown.lacking, 'session')} lacking" if shown.gaps else "no gap"
    summary = tag(
        "summary", tag("h3", shown.symbol), " ", tag("span", lacks, class_="bad" if shown.gaps else "quiet")
    )
    opened = shown.gaps > 0 or len(page.symbols) <= MANY_OPEN
    details = tag("details", summary, calendar(shown, axes), _stretches(shown), open=opened)
    return tag(
        "article",
        details,
        id=f"s{number}",
        data_symbol=shown.symbol,
        data_lacking=shown.lacking,
        data_order=number,
    )


def _stretches(shown: Shown) -> Markup:
    """What is not complete, gaps first, each with its cause; without what only has to settle."""
    found = sorted(_grouped(shown).items(), key=lambda item: (item[0][0].state not in GAPS, item[0][0].start))
    if not found:
        return Markup()
    names = ["dates", "how many", "timeframes", "state", "cause"]
    if not any(why for (_, why), _ in found):
        names.remove("cause")
    drawn = [tag("tr", *_stretch(*key, series)[: len(names)]) for key, series in found[:MANY_STRETCHES]]
    if len(found) > MANY_STRETCHES:
        command = tag("code", f"python scripts/backfill_gaps.py list --symbols {shown.symbol}")
        more = tag("td", f"… and {len(found) - MANY_STRETCHES:,} more: ", command, colspan=len(names))
        drawn.append(tag("tr", more))
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))
    return tag("table", head, tag("tbody", *drawn), class_="stretches")


def _grouped(shown: Shown) -> dict[tuple[Stretch, str], list[Timeframe]]:
    out: dict[tuple[Stretch, str], list[Timeframe]] = {}
    for timeframe, stretches in shown.series.items():
        for stretch in stretches:
            if stretch.state not in (State.COMPLETE, State.PENDING):
                why = shown.reasons.get(timeframe, "") if stretch.state in GAPS else ""
                out.setdefault((stretch, why), []).append(timeframe)
    return out


def _stretch(stretch: Stretch, why: str, timeframes: Sequence[Timeframe]) -> list[Markup]:
    return [
        tag("td", dates(stretch.start, stretch.end)),
        tag("td", many(stretch.units, unit_of(timeframes[0])), class_="number"),
        tag("td", listed(timeframes)),
        tag("td", _swatch(stretch.state), " ", WORDS[stretch.state], class_="state"),
        tag("td", why, class_="cause"),
    ]


def _run_facts(page: Page) -> Markup:
    audit, config = page.audit, page.audit["config"]
    facts = {
        "run": audit["run_id"],
        "ended": _moment(audit["timestamp"]),
        "status": audit["status"],
        "dates": f"{config['start']} … {config['end']}",
        "timeframes": " ".join(config["timeframes"]),
        "database": config["database"],
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()))
