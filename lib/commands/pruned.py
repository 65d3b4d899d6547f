"""What a run says about old bars that were dropped on purpose."""

import shlex
from collections.abc import Sequence
from datetime import date

from lib.symbols import Instrument
from lib.timeframe import Timeframe


def pruned_line(instruments: Sequence[tuple[Instrument, Sequence[Timeframe], date]]) -> str | None:
    """What a run does about old bars that were dropped, of (instrument, timeframes, first date asked for)."""
    pruned = [
        (one.symbol, timeframe, kept)
        for one, timeframes, start in instruments
        for timeframe in timeframes
        if (kept := one.kept_from(timeframe)) is not None and start < kept
    ]
    if not pruned:
        return None
    symbols = ",".join(dict.fromkeys(symbol for symbol, _, _ in pruned))
    timeframes = ",".join(tf for tf in Timeframe if any(tf is pruned_tf for _, pruned_tf, _ in pruned))
    oldest = min(kept for *_, kept in pruned)
    words = ["prune", "--lift", "--symbols", symbols, "--timeframes", timeframes, "--apply"]
    return (
        f"pruned    {len(pruned)} series before {oldest} or later: not fetched, not missed; to have them again: "
        f"python scripts/backfill_status.py {shlex.join(words)}"
    )
