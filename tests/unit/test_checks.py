import math
import time
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.bars import Bars
from lib.checks import count_outside_range, refuse_impossible
from lib.timeframe import Timeframe
from lib.zones import NEW_YORK, UTC_ZONE, midnight_ms

MINUTE = 60_000


def bars(*rows, start=0, step=MINUTE):
    """Bars of (open, high, low, close, volume, vwap), one after the other."""
    columns = [np.array(column, np.float64) for column in zip(*rows, strict=True)]
    t = np.arange(len(rows), dtype=np.int64) * step + start
    return Bars(t, *columns, np.full(len(rows), 5, np.int64))


GOOD = (10.0, 11.0, 9.0, 10.5, 100.0, 10.2)


def changed(**values):
    names = ("open", "high", "low", "close", "volume", "vwap")
    return tuple(values.get(name, good) for name, good in zip(names, GOOD, strict=True))


def refuse(given, timeframe=Timeframe.M1, zone=NEW_YORK):
    return refuse_impossible(given, timeframe, zone)


def test_good_bars_pass_as_they_are():
    given = bars(GOOD, GOOD, GOOD)
    kept, refused = refuse(given)

    assert kept is given
    assert refused == ()


def test_no_bars_pass():
    kept, refused = refuse(Bars.empty())

    assert (len(kept), refused) == (0, ())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (changed(high=8.5), "high 8.5 below low 9.0"),
        (changed(open=math.nan), "open is not finite"),
        (changed(high=math.inf), "high is not finite"),
        (changed(low=-math.inf), "low is not finite"),
        (changed(close=math.nan), "close is not finite"),
        (changed(volume=math.inf), "volume is not finite"),
        (changed(volume=math.nan), "volume is not finite"),
        (changed(volume=-1), "volume -1.0 is negative"),
        (changed(low=-0.01), "low -0.01 is negative"),
        (changed(open=-5, low=-5), "open -5.0 is negative"),
    ],
)
def test_an_impossible_bar_is_refused_with_its_reason_and_the_others_are_kept(row, reason):
    kept, refused = refuse(bars(GOOD, row, GOOD))

    assert kept.t.tolist() == [0, 2 * MINUTE]
    assert [(bar.t, bar.reason) for bar in refused] == [(MINUTE, reason)]


@pytest.mark.parametrize(
    "row",
    [
        changed(open=11.01),
        changed(close=8.99),
        changed(open=0, low=0),
        changed(volume=0),
        changed(high=9.0, low=9.0, open=9.0, close=9.0),
        changed(vwap=50),
        changed(vwap=math.nan),
    ],
)
def test_what_is_odd_but_possible_is_kept(row):
    kept, refused = refuse(bars(row))

    assert (len(kept), refused) == (1, ())


@pytest.mark.parametrize("vwap", [math.inf, -math.inf])
def test_a_vwap_that_is_not_finite_is_unknown(vwap):
    given = bars(GOOD, changed(vwap=vwap))
    kept, refused = refuse(given)

    assert refused == ()
    assert kept.vwap[0] == 10.2
    assert math.isnan(kept.vwap[1])
    assert given.vwap[1] == vwap


DAY_BEFORE, DAY_AFTER = date(2011, 3, 11), date(2011, 3, 14)


@pytest.mark.parametrize(
    ("timeframe", "zone", "t", "on_the_grid"),
    [
        (Timeframe.M1, NEW_YORK, 59 * MINUTE, True),
        (Timeframe.M1, NEW_YORK, 59 * MINUTE + 1, False),
        (Timeframe.M5, NEW_YORK, 10 * MINUTE, True),
        (Timeframe.M5, NEW_YORK, 11 * MINUTE, False),
        (Timeframe.H4, NEW_YORK, 240 * MINUTE, True),
        (Timeframe.H4, NEW_YORK, 300 * MINUTE, False),
        (Timeframe.D1, NEW_YORK, midnight_ms(DAY_BEFORE, NEW_YORK), True),
        (Timeframe.D1, NEW_YORK, midnight_ms(DAY_AFTER, NEW_YORK), True),
        (Timeframe.D1, NEW_YORK, midnight_ms(DAY_AFTER, UTC_ZONE), False),
        (Timeframe.D1, UTC_ZONE, midnight_ms(DAY_AFTER, UTC_ZONE), True),
        (Timeframe.D1, UTC_ZONE, midnight_ms(DAY_AFTER, NEW_YORK), False),
        (Timeframe.W1, NEW_YORK, midnight_ms(date(2011, 3, 13), NEW_YORK), True),
        (Timeframe.W1, NEW_YORK, midnight_ms(DAY_AFTER, NEW_YORK), False),
    ],
)
def test_a_stamp_starts_a_window_of_its_zone(timeframe, zone, t, on_the_grid):
    kept, refused = refuse(bars(GOOD, start=t), timeframe, zone)

    assert len(kept) == on_the_grid
    assert [bar.reason for bar in refused] == (
        [] if on_the_grid else [f"not the start of a {timeframe} window"]
    )


def test_bars_that_open_or_close_outside_their_range_are_counted():
    given = bars(
        GOOD, changed(open=11.01), changed(close=8.99), changed(open=12, close=8), changed(open=9, close=11)
    )

    assert count_outside_range(given) == 3
    assert count_outside_range(Bars.empty()) == 0


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([9.0, 10.0, 0.0, -0.0])


@given(st.lists(st.tuples(*[numbers] * 6, st.integers(0, 3)), max_size=8))
def test_every_bar_is_kept_or_refused_as_a_plain_reading_of_the_rule_says(rows):
    t = np.array([n * MINUTE + (n % 2 and off) for n, (*_, off) in enumerate(rows)], np.int64)
    columns = np.array([row[:6] for row in rows], np.float64).reshape(-1, 6).T
    given_bars = Bars(t, *columns, np.zeros(len(rows), np.int64))

    def possible(n):
        prices_and_volume = rows[n][:5]
        return (
            all(math.isfinite(value) and value >= 0 for value in prices_and_volume)
            and rows[n][1] >= rows[n][2]
            and t[n] % MINUTE == 0
        )

    kept, refused = refuse(given_bars)
    assert kept.t.tolist() == [int(t[n]) for n in range(len(rows)) if possible(n)]
    assert [bar.t for bar in refused] == [int(t[n]) for n in range(len(rows)) if not possible(n)]
    assert all(bar.reason for bar in refused)


def test_a_good_page_costs_next_to_nothing():
    given = bars(*[GOOD] * 50_000)
    refuse(given)
    started = time.perf_counter()
    for _ in range(5):
        refuse(given)

    assert (time.perf_counter() - started) / 5 < 0.02  # about 0.2 ms on an idle machine; a loop takes 50
