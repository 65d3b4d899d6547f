"""Windows: as few as may be, none too large, whole sessions, on the vendor's grid."""

from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.clock import to_ms
from lib.cover import dates_worth_grouping
from lib.coverage import clip, subtract, union
from lib.errors import UsageError
from lib.plan import (
    PAGE_BASE_BARS,
    WINDOW_BASE_BARS,
    DateRange,
    fetched_timeframes,
    halves,
    last_days,
    listed_from_ms,
    marked,
    missing_ranges,
    wanted_range,
    windows,
)
from lib.sessions import always_open_table, nyse_table
from lib.symbols import AssetClass, Instrument
from lib.timeframe import DAY_MS, MINUTE_MS, Timeframe
from lib.zones import NEW_YORK, day_number, day_of, midnight_ms, midnights

STOCK = Instrument("KO", AssetClass.STOCK, "KO")
COIN = Instrument("BTC", AssetClass.CRYPTO, "X:BTCUSD")
FIRST, HORIZON = date(2024, 1, 1), date(2026, 1, 1)


def weekdays():
    """A calendar of plain weekdays, 09:30 to 16:00: enough for arithmetic checked by hand."""
    days = np.array([n for n in range(day_number(FIRST), day_number(HORIZON)) if (n + 3) % 7 < 5], np.int64)
    opens = np.array([midnight_ms(day_of(n), NEW_YORK) for n in days]) + 570 * MINUTE_MS
    return nyse_table(days, opens, opens + 390 * MINUTE_MS, FIRST, HORIZON)


WEEKDAYS, ALWAYS = weekdays(), always_open_table(FIRST, HORIZON)


def ny(text):
    return midnight_ms(date.fromisoformat(text), NEW_YORK)


def utc(text):
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_a_month_of_stock_minutes_is_one_window():
    got = windows([(ny("2025-01-01"), ny("2025-02-01"))], Timeframe.M1, STOCK, WEEKDAYS)

    assert [(w.start_ms, w.end_ms) for w in got] == [(ny("2025-01-01"), ny("2025-02-01"))]
    assert got[0].base_bars == 23 * 960


def test_a_year_of_stock_minutes_is_cut_every_46_sessions_at_local_midnight():
    got = windows([(ny("2025-01-01"), ny("2026-01-01"))], Timeframe.M1, STOCK, WEEKDAYS)

    assert len(got) == 6  # 261 weekdays / 46
    assert max(w.base_bars for w in got) == 46 * 960 <= WINDOW_BASE_BARS
    assert got[0].end_ms == got[1].start_ms == ny("2025-03-06")


def test_coins_are_cut_every_31_days():
    got = windows([(utc("2025-01-01"), utc("2025-03-01"))], Timeframe.M1, COIN, ALWAYS)

    assert [w.end_ms for w in got] == [utc("2025-02-01"), utc("2025-03-01")]


def test_any_history_of_days_is_one_window():
    got = windows([(ny("2024-01-02"), ny("2025-12-31"))], Timeframe.D1, STOCK, WEEKDAYS)

    assert len(got) == 1


def test_4h_windows_lie_on_the_utc_grid_across_both_changes_of_clocks():
    span = wanted_range(
        DateRange(date(2024, 1, 2), date(2025, 12, 30)), [Timeframe.H4], Timeframe.H4, NEW_YORK
    )

    got = windows([span], Timeframe.H4, STOCK, WEEKDAYS)

    assert len(got) > 2
    assert all(w.start_ms % Timeframe.H4.step_ms == 0 == w.end_ms % Timeframe.H4.step_ms for w in got)


def test_neighbouring_gaps_share_a_request_and_far_ones_do_not():
    """gap-model §6.14: ten sessions apart is one request, five months apart are two."""
    near = [(ny("2025-01-06"), ny("2025-01-11")), (ny("2025-01-17"), ny("2025-01-22"))]
    far = (ny("2025-06-02"), ny("2025-06-03"))

    assert [(w.start_ms, w.end_ms) for w in windows(near, Timeframe.M1, STOCK, WEEKDAYS)] == [
        (ny("2025-01-06"), ny("2025-01-22"))
    ]
    assert len(windows([*near, far], Timeframe.M1, STOCK, WEEKDAYS)) == 2


def test_closed_hours_are_not_asked_on_their_own():
    saturday, monday = ny("2025-01-11"), ny("2025-01-13")
    for timeframe in (Timeframe.M1, Timeframe.D1):
        assert windows([(saturday, monday)], timeframe, STOCK, WEEKDAYS) == []
        (window,) = windows([(saturday, ny("2025-01-14"))], timeframe, STOCK, WEEKDAYS)
        assert window.start_ms == saturday


def test_the_end_of_the_last_4h_window_of_a_winter_session_is_asked():
    """The session ends at 01:00Z, its last 4h window at 04:00Z: the bar needs the hours between covered."""
    assert (
        len(windows([(utc("2025-01-09T01:30"), utc("2025-01-09T05:00"))], Timeframe.M1, STOCK, WEEKDAYS)) == 1
    )
    assert windows([(utc("2025-01-09T04:00"), utc("2025-01-09T08:00"))], Timeframe.M1, STOCK, WEEKDAYS) == []


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(1, 90)), min_size=1, max_size=12))
def test_windows_cover_every_missing_instant_and_begin_and_end_at_one(pieces):
    start = utc("2024-01-01")
    missing = union((start + a * DAY_MS, min(start + (a + n) * DAY_MS, utc("2026-01-01"))) for a, n in pieces)

    got = windows(missing, Timeframe.M1, COIN, ALWAYS)

    asked = [(w.start_ms, w.end_ms) for w in got]
    assert subtract(missing, asked) == []
    assert all(w.base_bars <= WINDOW_BASE_BARS for w in got)
    edges = {a for a, _ in missing}, {b for _, b in missing}
    cuts = {b for _, b in asked} & {a for a, _ in asked}
    assert all(a in edges[0] | cuts and b in edges[1] | cuts for a, b in asked)


def test_weeks_are_asked_whole_from_sunday_to_saturday():
    dates = DateRange(date(2025, 1, 8), date(2025, 1, 8))

    assert wanted_range(dates, [Timeframe.W1], Timeframe.D1, NEW_YORK) == (ny("2025-01-05"), ny("2025-01-12"))
    assert wanted_range(dates, [Timeframe.D1], Timeframe.D1, NEW_YORK) == (ny("2025-01-08"), ny("2025-01-09"))


def test_two_frames_are_fetched_for_all_eight():
    assert fetched_timeframes(Timeframe, derive=True) == (Timeframe.M1, Timeframe.D1)
    assert fetched_timeframes([Timeframe.H1], derive=True) == (Timeframe.M1,)
    assert fetched_timeframes([Timeframe.H1, Timeframe.W1], derive=False) == (Timeframe.H1, Timeframe.W1)


def test_what_has_not_settled_is_not_asked_even_again():
    assert missing_ranges((0, 100), 60, [(0, 20)], again=[(10, 15), (50, 90)]) == [(10, 15), (20, 60)]


def test_halves_are_cut_between_sessions_and_end_at_one():
    (week,) = windows([(ny("2025-01-06"), ny("2025-01-11"))], Timeframe.M1, STOCK, WEEKDAYS)

    older, newer = halves(week, STOCK, WEEKDAYS)

    assert (older.start_ms, newer.end_ms) == (week.start_ms, week.end_ms)
    assert older.end_ms == newer.start_ms == ny("2025-01-09")
    (day,) = windows([(ny("2025-01-06"), ny("2025-01-07"))], Timeframe.M1, STOCK, WEEKDAYS)
    assert halves(day, STOCK, WEEKDAYS) is None


def test_days_count_today():
    assert last_days(1, date(2025, 1, 8)) == DateRange(date(2025, 1, 8), date(2025, 1, 8))
    assert last_days(30, date(2025, 1, 30)) == DateRange(date(2025, 1, 1), date(2025, 1, 30))
    with pytest.raises(UsageError):
        last_days(0, date(2025, 1, 8))


def test_a_thin_name_needs_fewer_windows_and_a_liquid_one_no_more():
    year = [(ny("2025-01-01"), ny("2026-01-01"))]
    liquid = windows(year, Timeframe.M1, STOCK, WEEKDAYS)

    thin = windows(year, Timeframe.M1, STOCK, WEEKDAYS, seen=60)
    fuller = windows(year, Timeframe.M1, STOCK, WEEKDAYS, seen=900)

    assert [w.base_bars for w in thin] == [261 * 90]  # 60 and half of it, 261 sessions
    assert fuller == liquid
    assert windows(year, Timeframe.M1, STOCK, WEEKDAYS, seen=0.001)[0].base_bars == 261, "still asked"


@given(st.floats(1, 960), st.integers(1, 520))
def test_a_window_sized_by_what_was_seen_fits_a_page_though_half_as_much_again_comes(seen, sessions):
    span = (ny("2024-01-01"), int(midnight_ms(day_of(WEEKDAYS.days[sessions]), NEW_YORK)))

    for window in windows([span], Timeframe.M1, STOCK, WEEKDAYS, seen):
        count = sum(window.start_ms <= at < window.end_ms for at in WEEKDAYS.open_ms)
        assert count * min(960, 1.5 * seen) <= WINDOW_BASE_BARS < PAGE_BASE_BARS


def test_nothing_is_asked_before_the_week_of_the_listing():
    listed = Instrument("NEW", AssetClass.STOCK, "NEW", listed_from=date(2025, 1, 8))

    assert listed_from_ms(listed) == ny("2025-01-05")
    assert listed_from_ms(STOCK) == 0


def test_a_window_is_marked_where_all_its_hours_were_answered_before():
    missing = [(utc("2025-01-08T21:00"), ny("2025-01-09"))]
    asked = windows(missing, Timeframe.M1, STOCK, WEEKDAYS)

    def again(*before):
        return [w.again for w in marked(asked, missing, before, WEEKDAYS)]

    assert again() == [False]
    assert again((utc("2025-01-08T12:00"), utc("2025-01-09T01:00"))) == [True]  # the hours end at 20:00
    assert again((utc("2025-01-08T12:00"), utc("2025-01-09T00:59"))) == [False]


@st.composite
def ledgers(draw):
    """Covered days (by number) of some symbols, in two years of weekdays."""
    last = len(WEEKDAYS) - 1
    pieces = st.lists(st.tuples(st.integers(0, last), st.integers(1, 120)), max_size=4)
    return {f"S{n}": draw(pieces) for n in range(draw(st.integers(1, 6)))}


@given(ledgers())
def test_the_plan_covers_what_lacks_asks_nothing_covered_and_no_pure_strategy_is_cheaper(ledger):
    """Day bars of some symbols with random ledgers, by the windows and the dates of the whole market."""
    starts = midnights(WEEKDAYS.days, NEW_YORK)
    wanted = (int(starts[0]), int(starts[-1]))
    lacks = {
        symbol: missing_ranges(
            wanted, wanted[1], [(int(starts[a]), int(starts[min(a + n, len(starts) - 1)])) for a, n in pieces]
        )
        for symbol, pieces in ledger.items()
    }
    days = {s: frozenset(int(t) for t in starts if any(a <= t < b for a, b in r)) for s, r in lacks.items()}

    market = dates_worth_grouping(days)
    given_ = [(t, t + DAY_MS) for t in market]
    own = {s: windows(subtract(r, given_), Timeframe.D1, STOCK, WEEKDAYS) for s, r in lacks.items()}

    for symbol, windows_ in own.items():
        asked = [(w.start_ms, w.end_ms) for w in windows_]
        left = [t for t in days[symbol] - market if not any(a <= t < b for a, b in asked)]
        assert left == [], "every day that lacks is asked for"
        assert bool(asked) == bool(days[symbol] - market), "who lacks nothing else is not asked"
        assert all(a in {x for x, _ in subtract(lacks[symbol], given_)} for a, _ in asked)
    assert market <= frozenset().union(*days.values())
    requests = len(market) + sum(map(len, own.values()))
    by_symbol = sum(len(windows(r, Timeframe.D1, STOCK, WEEKDAYS)) for r in lacks.values())
    assert requests <= by_symbol
    assert requests <= len(frozenset().union(*days.values()))


@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 365 * 1440), st.integers(1, 90 * 1440)), max_size=12),
)
def test_the_plan_of_minutes_covers_what_lacks_and_is_cheaper_than_gap_by_gap_or_all_of_it(coin, pieces):
    """Minutes under random ledgers; what is covered is asked only between two gaps, to save a request."""
    instrument, sessions = (COIN, ALWAYS) if coin else (STOCK, WEEKDAYS)
    wanted = (ny("2024-01-02"), ny("2025-01-02"))
    covered = union((wanted[0] + a * MINUTE_MS, wanted[0] + (a + n) * MINUTE_MS) for a, n in pieces)
    missing = missing_ranges(wanted, wanted[1], covered)

    asked = windows(missing, Timeframe.M1, instrument, sessions)

    spans = [(w.start_ms, w.end_ms) for w in asked]
    for opens, closes in zip(sessions.extended_open_ms, sessions.extended_close_ms, strict=True):
        lacks = clip(missing, int(opens), int(closes))
        assert subtract(lacks, spans) == [], "every minute of a session that lacks is asked for"
    assert spans == sorted(spans) and all(a[1] <= b[0] for a, b in pairwise(spans)), "none of them twice"
    for start, end in spans:
        assert subtract([(start, start + MINUTE_MS), (end - MINUTE_MS, end)], missing) == []
    gap_by_gap = sum(len(windows([one], Timeframe.M1, instrument, sessions)) for one in missing)
    assert len(asked) <= gap_by_gap
    assert len(asked) <= len(windows([wanted], Timeframe.M1, instrument, sessions))
