"""What is typed becomes what is asked for, or a UsageError that names it."""

from datetime import date

import pytest

from lib.commands import options
from lib.errors import UsageError
from lib.sessions import Plan, Plans
from lib.timeframe import Timeframe


def request(timeframes=None, days=None, start=None, end=None):
    return options.parse_request(timeframes, days, start, end, derive=True)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        (None, None),
        ("all", None),
        (" all ", None),
        ("AAPL", ["AAPL"]),
        ("AAPL, BRK.B,,AAPL,X:LTCUSD", ["AAPL", "BRK.B", "X:LTCUSD"]),
        ("KIMpL", ["KIMpL"]),
    ],
)
def test_symbols_are_a_list_each_once_in_the_order_typed(text, symbols):
    assert options.parse_symbols(text) == symbols


@pytest.mark.parametrize("text", ["", ",", "AAPL,$(id)", "A B", "-x", "AAPL;", "@/nonexistent"])
def test_what_is_no_symbol_is_refused(text):
    with pytest.raises(UsageError):
        options.parse_symbols(text)


def test_symbols_come_from_a_file_with_remarks(tmp_path):
    listed = tmp_path / "symbols.txt"
    text = "# mine\nAAPL, SPY  # the two\n\nBTC\nAAPL\n"
    for written in (text, f"\ufeffKO\n{text}".replace("\n", "\r\n")):  # as editors of Windows write it
        listed.write_bytes(written.encode())

        assert options.parse_symbols(f"@{listed}")[-3:] == ["AAPL", "SPY", "BTC"]


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UsageError, match="cannot be read"):
        options.parse_symbols(f"@{tmp_path / 'image'}")


def test_a_year_back_and_the_symbols_own_timeframes_unless_told_otherwise():
    asked = request()

    assert (asked.days, asked.start, asked.end, asked.timeframes) == (365, None, None, None)


def test_dates_and_timeframes_are_taken_as_typed():
    asked = request("1d,1h", start="2025-01-31", end="2025-02-28")

    assert asked.timeframes == (Timeframe.H1, Timeframe.D1)
    assert (asked.days, asked.start, asked.end) == (None, date(2025, 1, 31), date(2025, 2, 28))
    assert request(start="2025-01-31").end is None
    assert request("all").timeframes == tuple(Timeframe)


@pytest.mark.parametrize(
    "asked",
    [
        {"days": 0},
        {"days": -3},
        {"days": 999_999},
        {"start": "2025-01-01", "end": "9999-12-31"},
        {"start": "0001-01-01"},
        {"days": 3, "start": "2025-01-01"},
        {"days": 3, "end": "2025-01-01"},
        {"end": "2025-01-01"},
        {"start": "2025-01-02", "end": "2025-01-01"},
        {"start": "01/02/2025"},
        {"start": "2025-13-01"},
        {"timeframes": "1y"},
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(asked):
    with pytest.raises(UsageError):
        request(**asked)


@pytest.mark.parametrize("plan", ["gold", "starter,basic", "starter,crypto=gold", "starter,crypto"])
def test_a_plan_that_is_none_is_refused(plan):
    with pytest.raises(UsageError):
        options.parse_terms(150, plan, 5, None)


def test_the_plan_of_coins_may_differ():
    assert options.parse_terms(150, None, 5, None).plans == Plans()
    assert options.parse_terms(150, "basic", 5, None).plans == Plans(Plan.BASIC, Plan.BASIC)
    assert options.parse_terms(0, "advanced,crypto=basic", 5, 7).plans == Plans(Plan.ADVANCED, Plan.BASIC)
