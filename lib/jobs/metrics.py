"""The figures of a database, read for ``lib/metrics.py``."""

from lib.clock import Clock
from lib.jobs.status import SeriesState, stored_series
from lib.metrics import ScriptFigures, SeriesFigures, metrics_text
from lib.store.database import Database
from lib.store.records import Records


async def read_metrics(database: Database, clock: Clock) -> str:
    """The figures as of now, as text. Raises HorizonExceeded, DatabaseError."""
    scripts = [ScriptFigures(*row) for row in await Records(database).script_figures()]
    series = [_figures(one) for one in await stored_series(database, clock)]
    return metrics_text(scripts, series, clock.now())


def _figures(one: SeriesState) -> SeriesFigures:
    return SeriesFigures(
        one.symbol,
        one.timeframe,
        one.bars,
        one.last,
        one.gaps,
        one.gap_days,
        one.age,
        str(one.freshness),
    )
