"""The text a person reads: within the terminal, nothing of it lost, whatever a message contains."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from lib.audit import RunFacts, build_audit, requests, timing
from lib.bars import RefusedBar
from lib.commands.summary import psql_command, show_places, show_problems, show_symbols, show_totals
from lib.outcome import SeriesOutcome, SeriesStatus, SymbolOutcome, exit_status, run_status
from lib.redaction import Redaction
from lib.settings import Settings
from lib.timeframe import Timeframe

NOW = datetime(2025, 11, 14, 15, 30, tzinfo=UTC)


def series(symbol, timeframe=Timeframe.M1, status=SeriesStatus.OK, **counts):
    return SeriesOutcome(symbol, timeframe, status, **counts)


def shown(outcomes, show=None, width=80, **rate):
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False)
    status = run_status(outcomes)
    report = SimpleNamespace(
        outcomes=outcomes,
        exit_status=exit_status(status, outcomes),
        interrupted=False,
        gaps=None,
        settings=Settings(Path("/home"), database_url="postgresql://me:secret@host/[bars]"),
    )
    audit = build_audit(_facts(outcomes, status, **rate), NOW, Redaction())
    (show or show_all)(console, report, audit)
    return text.getvalue()


def show_all(console, report, audit):
    show_symbols(console, report.outcomes)
    show_problems(console, report.outcomes)
    show_totals(console, report, audit)


def _facts(outcomes, status, **rate):
    config = {
        "symbols": [o.symbol for o in outcomes],
        "timeframes": ["1m"],
        "start": "2025-01-06",
        "end": "2025-01-10",
        "max_concurrent": 3,
        "pacing": "adaptive",
        "database": "embedded",
    }
    return RunFacts(
        run_id="run",
        status=status,
        config=config,
        outcomes=outcomes,
        timing=timing(9.04, 1.0, 1.2, 0.2),
        requests=requests(total=4, pages=3, retries=2, rate_limited=1, failed=0, **rate),
    )


def test_a_row_a_symbol_and_the_totals():
    text = shown(
        [
            SymbolOutcome(
                "AAPL",
                [series("AAPL", bars=21_866, inserted=21_871, requests=2, first=NOW, last=NOW)],
                ended=True,
            ),
            SymbolOutcome("BTC", [series("BTC", bars=5, requests=1)], ended=True),
        ]
    )

    assert text.splitlines() == [
        "symbol  status    bars     new  requests  from        newest (UTC)    ",
        "AAPL    ok      21,866  21,871         2  2025-11-14  2025-11-14 15:30",
        "BTC     ok           5       0         1                              ",
        "bars: in the range asked for, all timeframes; new: by this run, in whole weeks",
        "",
        "complete: 2 of 2 symbols done; 21,871 bars",
        "requests  4; 2 tried again, 1 answered 429",
        "time      9.0 s; API 1.0 s, database 1.2 s, compute 0.2 s; they overlap",
    ]


def age(word, error=None):
    return {"freshness": word, "age_hours": None, "last": None, "error": error}


def with_ages(freshness, end=None):
    """The lines of the totals of a run that left the series as old as *freshness* says."""

    def show(console, report, audit):
        report.request = SimpleNamespace(end=end)
        show_totals(console, report, audit | {"freshness": freshness})

    return shown([SymbolOutcome("BTC", [series("BTC")], ended=True)], show).splitlines()


def test_the_ages_are_counted_the_best_first_and_what_is_old_is_named():
    lines = with_ages(
        {
            "AAPL": {"1m": age("fresh"), "1d": age("older", "the service failed (500)")},
            "BTC": {"1m": age("aging"), "1d": age("fresh")},
            "ZZ": {"1m": age("missing"), "1d": age("pending")},
        }
    )
    assert "age       2 fresh, 1 aging, 1 older, 1 missing, 1 pending; not up to date: AAPL, ZZ" in " ".join(
        lines
    )


def test_many_old_symbols_are_cut_and_fresh_ones_not_named():
    [line] = [x for x in with_ages({f"S{n}": {"1m": age("stale")} for n in range(12)}) if x.startswith("age")]
    assert line == "age       12 stale; not up to date: S0, S1, S2, S3, S4, S5, S6, S7 and 4 more"
    assert "age       1 fresh" in with_ages({"BTC": {"1m": age("fresh")}})


def test_a_run_over_days_that_are_past_says_nothing_of_ages():
    assert not [x for x in with_ages({"BTC": {"1m": age("older")}}, end=NOW.date()) if x.startswith("age")]


def test_a_limit_that_was_shared_or_learnt_is_told_and_no_other():
    outcomes = [SymbolOutcome("BTC", [series("BTC")], ended=True)]
    lines = shown(outcomes, show_totals, shared_with=2, learnt_limit=5).splitlines()

    assert [line for line in lines if line.startswith("limit")] == [
        "limit     the vendor allows 5 a minute; --rate-limit 5 spares the answers of 429",
        "limit     shared with 2 others that used the key",
    ]
    assert max(map(len, lines)) <= 80
    assert "limit  " not in shown(outcomes, show_totals)


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_the_table_is_wider_than_the_terminal_and_no_number_is_cut(width):
    wide = {"bars": 123_456_789, "inserted": 123_456_789, "updated": 98_765, "requests": 12_345}
    outcomes = [
        SymbolOutcome("X:ABCDEFUSD", [series("X:ABCDEFUSD", first=NOW, last=NOW, **wide)]),
        SymbolOutcome("KO", [series("KO", status=SeriesStatus.NOT_ENTITLED)]),
    ]

    text = shown(outcomes, width=width)

    assert max(map(len, text.splitlines())) <= width
    for part in ("X:ABCDEFUSD", "123,456,789", "98,765", "2025-11-14 15:30", "not entitled"):
        assert part in text
    assert "…" not in text
    for least_missed in ("12,345", "2025-11-14  2025-11-14"):
        assert (least_missed in text) == (width == 120)


def test_a_reason_is_told_once_for_all_timeframes_it_holds_for_and_markup_in_it_is_text():
    reason = "[/red] the vendor said [bold]no"
    failed = [series("SPY", tf, SeriesStatus.FAILED, error=reason) for tf in (Timeframe.M1, Timeframe.H1)]
    odd = series(
        "UGA", status=SeriesStatus.PARTIAL, refused=[RefusedBar(1_736_154_000_000, "high 1.0 below low 2.0")]
    )

    text = shown(
        [SymbolOutcome("SPY", failed), SymbolOutcome("UGA", [odd]), SymbolOutcome("ZZ", error="no [x]")]
    )

    assert f"SPY 1m,1h: {reason}\n" in text
    text = " ".join(text.split())
    assert "UGA 1m: 1 bars refused, the first of 2025-01-06 09:00 UTC: high 1.0 below low 2.0" in text
    assert "ZZ no [x]" in text
    assert "partial: 0 of 3 symbols done, 2 failed" in text
    assert "next run the same command again: it asks only for what is missing" in text


def test_many_symbols_and_many_problems_are_cut():
    outcomes = [SymbolOutcome(f"S{n}", error="unknown") for n in range(50)]

    text = shown(outcomes)
    assert "and 10 more" in text
    assert "… and 30 more: see the audit" in text


def test_no_problem_no_line():
    assert shown([SymbolOutcome("KO", [series("KO")])], lambda c, r, _: show_problems(c, r.outcomes)) == ""


def test_the_places_are_told_without_the_password():
    text = shown([], lambda c, r, _: show_places(c, r, Path("/tmp/[a].json"), demo=False, typed_url=True))

    assert "database  postgresql://me@host/[bars]\n" in text
    assert "query it  " in text
    assert "audit     /tmp/[a].json\n" in text
    assert "secret" not in text


def test_the_command_that_opens_the_database_fits_the_folder_one_is_in(monkeypatch, tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    assert psql_command(demo=False, typed_url=False) == "make psql"
    assert psql_command(demo=True, typed_url=False) == "make psql ARGS=--demo"
    assert psql_command(demo=False, typed_url=True) == 'make psql ARGS="--database-url URL"'

    monkeypatch.chdir(tmp_path)
    python, script, *arguments = psql_command(demo=True, typed_url=False).split()
    assert (python, script) == (sys.executable, str(checkout / "scripts" / "database.py"))
    assert arguments == ["psql", "--demo"]
