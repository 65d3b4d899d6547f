"""Pages to look at: symbols made of marked sessions, and the audit around them."""

from datetime import date, timedelta

from lib.gaps import State, Stretch
from lib.page import Page, Shown
from lib.timeframe import Timeframe
from lib.zones import sunday_of

FIRST, LAST = date(2024, 1, 1), date(2025, 12, 31)
INTRADAY = [tf for tf in Timeframe if tf.intraday]


def weekdays(first=FIRST, last=LAST):
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 5]


def every_day(first=FIRST, last=LAST):
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def stretches(units, marks, length=1):
    """Units of *length* days as stretches of equal state: *marks* by index, the others complete."""
    out = []
    for index, unit in enumerate(units):
        state, end = marks.get(index, State.COMPLETE), unit + timedelta(days=length)
        if out and out[-1].state is state:
            out[-1] = Stretch(state, out[-1].start, end, out[-1].units + 1)
        else:
            out.append(Stretch(state, unit, end, 1))
    return out


def shown(symbol, days=None, marks=None, daily=None, reasons=None):
    """A symbol of all eight timeframes: *marks* of its intraday sessions, *daily* of its 1d, by index."""
    days = weekdays() if days is None else days
    series = dict.fromkeys(INTRADAY, stretches(days, marks or {}))
    series[Timeframe.D1] = stretches(days, daily or {})
    series[Timeframe.W1] = stretches(sorted({sunday_of(day) for day in days}), {}, length=7)
    return Shown(symbol, days, series, reasons or {})


def audit(status="complete", **config):
    return {
        "schema_version": 1,
        "run_id": "20260102T010000Z-9f31c2aa",
        "timestamp": "2026-01-02T01:00:00Z",
        "status": status,
        "config": {
            "symbols": [],
            "timeframes": [str(tf) for tf in Timeframe],
            "start": str(FIRST),
            "end": str(LAST),
            "max_concurrent": 3,
            "pacing": "adaptive",
            "database": "postgresql://me@db/bars",
        }
        | config,
        "symbols_processed": {},
        "gaps_detected": {},
        "retry_results": {},
        "completeness": {},
        "timing": {
            "wall_seconds": 72.4,
            "api_seconds": 60.0,
            "db_seconds": 30.0,
            "compute_seconds": 3.0,
            "bottleneck": "api",
        },
        "requests": {
            "total": 34,
            "pages": 30,
            "retries": 2,
            "rate_limited": 1,
            "rate_limited_percent": 2.94,
            "failed": 0,
            "shared_with": 0,
            "learnt_limit": None,
        },
        "summary": {
            "symbols": 1,
            "succeeded": 1,
            "failed": 0,
            "total_records": 1,
            "gaps_found": 5,
            "gaps_filled": 3,
            "gaps_remaining": 2,
        },
    }


def all_states():
    """A page that has every state, a coin, a long name, a symbol not looked at, and long reasons."""
    days = weekdays()
    every = {20 + 3 * number: state for number, state in enumerate(State)}
    refused = dict.fromkeys(range(60), State.NOT_ENTITLED)
    why = "the vendor has no bars of it, though its other series shows that there were trades"
    symbols = [
        shown("AAPL", days),
        shown("EVERY", days, every, reasons=dict.fromkeys(INTRADAY, why)),
        shown("BRK.B", days, refused, refused),
        shown("BTC", every_day(), {0: State.VERIFIED_EMPTY, 730: State.PENDING}),
        shown(
            "X:ABCDEFGHUSD",
            every_day(),
            dict.fromkeys(range(731), State.MISSING),
            reasons=dict.fromkeys(INTRADAY, "https://vendor.example/" + "path" * 60),
        ),
        Shown("NOTIME", days, {Timeframe.H1: stretches(days, {})}),
    ]
    failures = {"NOSUCH": "the vendor does not know the symbol NOSUCH"}
    return Page(
        audit("partial"), symbols, failures, None, "python scripts/backfill_gaps.py fill --symbols EVERY"
    )
