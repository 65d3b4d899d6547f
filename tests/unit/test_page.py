"""The page as HTML: all that was found is in it, nothing a message holds becomes markup, it stays light."""

import random
import re
from datetime import date
from html.parser import HTMLParser

import pytest

from lib.gaps import Sign, State
from lib.page import Page, Shown, render
from lib.page.heatmap import MANY_RUNS, blocks, runs
from lib.page.markup import Markup, joined, tag
from lib.page.words import WORDS, WORST_FIRST
from lib.timeframe import Timeframe
from tests.unit.pages import INTRADAY, all_states, audit, every_day, shown, stretches, weekdays

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
VOID = {"meta", "input"}


class Parsed(HTMLParser):
    """The elements of a page in order; fails where they are not closed in the order they were opened."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, name, **attributes):
        return [a for tag, a in self.elements if tag == name and attributes.items() <= a.items()]


def test_text_is_escaped_and_markup_is_not():
    assert joined("<b>", Markup("<b>"), 3) == "&lt;b&gt;<b>3"
    assert tag("a", "<", href='"&', hidden=True, title=None) == '<a href="&quot;&amp;" hidden>&lt;</a>'


def test_nothing_that_a_symbol_a_reason_or_a_setting_holds_becomes_markup():
    gap = shown(HOSTILE, marks={3: State.MISSING}, reasons=dict.fromkeys(INTRADAY, HOSTILE))
    page = Page(
        audit("partial", database=HOSTILE, start=HOSTILE), [gap, gap], {HOSTILE: HOSTILE}, HOSTILE, HOSTILE
    )

    parsed = Parsed(render(page))

    assert len(parsed.of("script")) == 1
    assert parsed.of("img") == []
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert sum(HOSTILE in text for text in parsed.texts) >= 8, "shown as it is"


def test_the_page_needs_nothing_but_itself():
    html = render(all_states())
    parsed = Parsed(html)

    loading = [a[name] for _, a in parsed.elements for name in ("src", "href", "action") if name in a]
    assert [address for address in loading if not address.startswith("#")] == []
    assert "@import" not in html
    assert set(re.findall(r"url\(([^)]*)\)", html)) == {f"#p-{state}" for state in State}
    [policy] = parsed.of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")


def test_every_reference_within_the_page_finds_its_target():
    parsed = Parsed(render(all_states()))
    targets = [a["id"] for _, a in parsed.elements if "id" in a]

    assert len(targets) == len(set(targets))
    assert {a["href"][1:] for _, a in parsed.elements if a.get("href", "").startswith("#")} <= set(targets)


def test_every_state_has_its_place_its_words_its_mark_and_is_drawn():
    html = render(all_states())
    parsed = Parsed(html)

    assert set(WORST_FIRST) == set(WORDS) == set(State)
    for state in State:
        assert parsed.of("pattern", id=f"p-{state}"), state
        assert f"path.{state} {{ fill: url(#p-{state}); }}" in html
        assert len(parsed.of("path", **{"class": str(state)})) >= 2, f"{state}: legend and calendar"
        assert html.count(WORDS[state]) >= 2, state


def test_the_matrix_says_in_words_what_its_signs_mean():
    parsed = Parsed(render(all_states()))

    told = {(cell["class"], cell["title"]) for cell in parsed.of("td") if "title" in cell}
    assert {
        ("complete", "complete: 523 of 523 sessions"),
        ("complete", "complete: 105 of 105 weeks"),
        ("partial", "some sessions incomplete: 513 of 518 sessions"),
        ("not_asked", "not asked"),
    } <= told
    assert set(Sign) > {text for text in parsed.texts if text in set(Sign)} > {Sign.COMPLETE, Sign.PARTIAL}


def test_the_headline_is_the_finding():
    gap = shown("KO", marks={3: State.MISSING})

    def headline(page):
        return re.search(r"<h1[^>]*>(.*?)</h1>", render(page))[1]

    assert headline(Page(audit(), [shown("KO")])) == "Nothing is missing"
    assert headline(Page(audit("partial"), [gap, shown("SPY")])) == "6 gaps remain in 1 of 2 symbols"
    assert headline(Page(audit("partial"), [], {"A": "unknown"})) == "1 symbol not looked at"
    assert headline(Page(audit("interrupted"), [])) == "The run was interrupted"
    assert headline(Page(audit("failed"), [], {}, "no database")) == "The run ended as failed"


def test_a_session_is_as_bad_as_its_worst_timeframe_and_says_which():
    days = weekdays(date(2025, 1, 6), date(2025, 1, 10))
    some = shown("KO", days, {1: State.LOST, 2: State.PENDING}, {1: State.MISSING})

    assert [(run.first, run.past, run.worst) for run in runs(some)] == [
        (0, 1, State.COMPLETE),
        (1, 2, State.MISSING),
        (2, 3, State.PENDING),
        (3, 5, State.COMPLETE),
    ]
    html = render(Page(audit("partial"), [some]))
    assert "2025-01-07 (1 session): missing: 1d; bars lost: 1m 5m 15m 30m 1h 4h; complete: 1w" in html
    assert "2025-01-09 … 2025-01-10 (2 sessions): complete" in html
    assert "KO, 2025-01-06 … 2025-01-10: 1 missing, 1 not settled yet, 3 complete" in html


def test_a_week_marks_its_sessions_also_where_it_reaches_beyond_them():
    days = weekdays(date(2025, 1, 8), date(2025, 1, 14))
    weeks = stretches([date(2025, 1, 5), date(2025, 1, 12)], {0: State.MISSING}, length=7)

    found = runs(Shown("KO", days, {Timeframe.W1: weeks}))

    assert [(run.first, run.past, run.worst) for run in found] == [
        (0, 3, State.MISSING),
        (3, 5, State.COMPLETE),
    ]


@pytest.mark.parametrize("days", [weekdays(), every_day()], ids=["stocks", "coins"])
def test_each_session_is_one_cell_at_its_own_place(days):
    chance = random.Random(5)
    marks = {index: chance.choice(list(State)) for index in range(0, len(days), 30)}
    some = Shown("KO", days, {Timeframe.M1: stretches(days, marks)})
    assert len(runs(some)) <= MANY_RUNS

    drawn = cells_of(render(Page(audit("partial"), [some])))

    assert len(drawn) == len(blocks(days)) == 4
    expected = []
    for block in blocks(days):
        states = {block.place(days[i]): marks.get(i, State.COMPLETE) for i in range(block.first, block.past)}
        assert len(states) == block.past - block.first, "no two sessions in one place"
        expected.append(states)
    assert drawn == expected


def test_very_many_runs_are_drawn_by_state_and_every_cell_is_still_there():
    days = weekdays()
    marks = dict.fromkeys(range(0, len(days), 2), State.MISSING)
    some = shown("KO", days, marks)
    assert len(runs(some)) > MANY_RUNS

    html = render(Page(audit("partial"), [some]))

    assert sum(map(len, cells_of(html))) == len(days)
    assert "missing: 66 sessions" in html
    assert "more: <code>python scripts/backfill_gaps.py list --symbols KO</code>" in html


def cells_of(html):
    """By calendar block: the state drawn at each column and row; fails where two paths meet."""
    found = []
    for svg in re.findall(r'<svg [^>]*role="img".*?</svg>', html, re.DOTALL):
        cells = {}
        for state, path in re.findall(r'<path class="(\w+)" d="([^"]*)"', svg):
            for x, y, w, h in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\3z", path):
                for column in range(int(x) // 10, (int(x) + int(w)) // 10):
                    for row in range(int(y) // 10, (int(y) + int(h)) // 10):
                        assert (column, row) not in cells
                        cells[column, row] = State(state)
        found.append(cells)
    return found


def test_the_months_stand_where_they_begin():
    html = render(Page(audit(), [shown("KO", weekdays(date(2025, 1, 1), date(2025, 4, 30)))]))

    names = re.findall(r'<text x="(\d+)" y="-5">(\w+)</text>', html)
    assert names == [("0", "Jan"), ("50", "Feb"), ("90", "Mar"), ("130", "Apr")]


@pytest.mark.parametrize("sessions", [weekdays(), weekdays(date(2025, 1, 6), date(2025, 1, 6)), []])
def test_ranges_of_any_length_can_be_shown(sessions):
    Parsed(render(Page(audit(), [shown("KO", sessions)])))


def test_a_hundred_symbols_over_two_years_stay_light():
    symbols = [shown(f"S{n:03}") for n in range(100)]

    assert len(render(Page(audit(), symbols)).encode()) < 600_000


def test_symbols_of_which_no_two_sessions_are_alike_stay_light_too():
    chance = random.Random(3)
    reasons = dict.fromkeys(INTRADAY, "the vendor failed: 503 Service Unavailable, after 5 tries in 31 s")
    symbols = [
        shown(f"S{n:03}", marks={i: chance.choice(list(State)) for i in range(523)}, reasons=reasons)
        for n in range(20)
    ]

    assert len(render(Page(audit("partial"), symbols)).encode()) < 3_000_000 / 100 * len(symbols)
