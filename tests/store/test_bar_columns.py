"""Columns of bars against each other and counted by day: the laws, against a bar by bar reckoning."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.bars import NO_TRADES, Bars
from lib.sessions import SessionTable
from lib.store.bars import differing, merged
from lib.store.session_counts import count_by_day
from lib.timeframe import MINUTE_MS, Timeframe
from lib.zones import NEW_YORK, day_number

CLOSES = st.dictionaries(st.integers(0, 12), st.sampled_from([1.0, 2.0]), max_size=9)
FIRST = datetime(2025, 3, 7, tzinfo=ZoneInfo(NEW_YORK))  # a Friday; clocks change on the Sunday
DAYS = [FIRST.date(), (FIRST + timedelta(days=3)).date()]
OPENS = [datetime(2025, 3, 7, 14, 30, tzinfo=UTC), datetime(2025, 3, 10, 13, 30, tzinfo=UTC)]


def bars_of(closes: dict[int, float]) -> Bars:
    t = np.array(sorted(closes), np.int64)
    close = np.array([closes[key] for key in t.tolist()], np.float64)
    unknown = np.full(len(t), np.nan)
    return Bars(t, close, close, close, close, close, unknown, np.full(len(t), NO_TRADES, np.int64))


def as_dict(bars: Bars) -> dict[int, float]:
    return dict(zip(bars.t.tolist(), bars.close.tolist(), strict=True))


@given(CLOSES, CLOSES)
def test_merged_is_the_stored_with_the_new_over_it(stored, new):
    both = merged(bars_of(stored), bars_of(new))
    assert as_dict(both) == stored | new
    assert (np.diff(both.t) > 0).all()


@given(CLOSES, CLOSES)
def test_differing_tells_the_lacking_from_the_changed(stored, new):
    lacking, changed = differing(bars_of(new), bars_of(stored))
    assert as_dict(lacking) == {t: close for t, close in new.items() if t not in stored}
    assert as_dict(changed) == {t: close for t, close in new.items() if stored.get(t, close) != close}


@given(
    st.sampled_from([Timeframe.M1, Timeframe.M30, Timeframe.H1, Timeframe.H4]),
    st.sets(st.integers(0, 4 * 24 * 12), max_size=200),
)
def test_counts_by_day_are_those_of_a_count_bar_by_bar(timeframe, fives):
    """Days of 23 hours, windows that begin before the session, dates without one, stamps off the grid."""
    start_ms = int(FIRST.timestamp() * 1000)
    stamps = [start_ms + five * 5 * MINUTE_MS for five in sorted(fives)]
    bars = bars_of(dict.fromkeys(stamps, 1.0))
    sessions = _sessions()
    expected: dict[int, list[int]] = {}
    for t in stamps:
        if t % timeframe.step_ms:
            continue
        day = datetime.fromtimestamp(t / 1000, ZoneInfo(NEW_YORK)).date()
        regular = any(
            on == day and opens - timeframe.step_ms < t < opens + 390 * MINUTE_MS
            for on, opens in zip(DAYS, sessions.open_ms.tolist(), strict=True)
        )
        count = expected.setdefault(day_number(day), [0, 0])
        count[0] += 1
        count[1] += regular
    found = count_by_day(bars, timeframe, sessions)
    assert {day: [c.n_bars, c.n_regular] for day, c in found.items()} == expected


def _sessions() -> SessionTable:
    opens = np.array([int(at.timestamp() * 1000) for at in OPENS], np.int64)
    closes = opens + 390 * MINUTE_MS
    days = np.array([day_number(day) for day in DAYS], np.int64)
    hours = (opens, closes, opens - 300 * MINUTE_MS, closes + 240 * MINUTE_MS)
    return SessionTable("XNYS", NEW_YORK, days, *hours, DAYS[0], DAYS[-1] + timedelta(days=1))
