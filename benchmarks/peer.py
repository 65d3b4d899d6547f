"""One peer as a process of its own: fetch with the vendor's official client, write as many programs do.

    python -m benchmarks.peer WRITER VENDOR_URL DATABASE_URL START END TICKER...

It prints how many bars it had. Nothing of the toolkit is used, so that nothing of it is measured.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from massive import RESTClient
from massive.rest.models import Agg

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAGE = 50_000
KEY = "emulator-key"
COLUMNS = (
    *("timestamp", "fetched_at", "open", "high", "low", "close", "volume", "vwap", "trades"),
    *("symbol", "timeframe", "source"),
)
UPSERT = """
    INSERT INTO market_data (timestamp, fetched_at, open, high, low, close, volume, vwap, trades, symbol,
                             timeframe, source)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (symbol, timeframe, timestamp) DO UPDATE
    SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, vwap = excluded.vwap, trades = excluded.trades, fetched_at = now()
"""

Row = tuple[Any, ...]
Pages = Iterable[list[Row]]


def fetched(vendor_url: str, start: str, end: str, tickers: list[str]) -> Iterator[list[Row]]:
    """Rows of all minutes, in parts as large as a page."""
    client = RESTClient(KEY, base=vendor_url)
    for ticker in tickers:
        bars = client.list_aggs(ticker, 1, "minute", start, end, adjusted=False, sort="asc", limit=PAGE)
        rows = (_row(ticker, bar) for bar in bars if isinstance(bar, Agg))
        while page := list(islice(rows, PAGE)):
            yield page


def _row(ticker: str, bar: Agg) -> Row:
    assert bar.timestamp is not None
    stamp = datetime.fromtimestamp(bar.timestamp / 1000, UTC)
    prices = (bar.open, bar.high, bar.low, bar.close)
    volumes = (bar.volume, bar.vwap, bar.transactions)
    return (stamp, datetime.now(UTC), *prices, *volumes, ticker, "1m", "polygon")


def no_writing(pages: Pages, _database_url: str) -> int:
    return sum(map(len, pages))


def to_sql(pages: Pages, database_url: str) -> int:
    """pandas.to_sql as its documentation shows it."""
    import pandas as pd

    engine, written = _engine(database_url), 0
    for page in pages:
        frame = pd.DataFrame(page, columns=list(COLUMNS))
        frame.to_sql("market_data", engine, if_exists="append", index=False)
        written += len(page)
    return written


def bulk_insert(pages: Pages, database_url: str) -> int:
    """SQLAlchemy's bulk insert: many rows in one INSERT."""
    from sqlalchemy import MetaData, Table, insert

    engine, written = _engine(database_url), 0
    table = Table("market_data", MetaData(), autoload_with=engine)
    for page in pages:
        with engine.begin() as connection:
            connection.execute(insert(table), [dict(zip(COLUMNS, row, strict=True)) for row in page])
        written += len(page)
    return written


def _engine(database_url: str) -> "Engine":
    from sqlalchemy import create_engine

    return create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))


def executemany(pages: Pages, database_url: str) -> int:
    """asyncpg's executemany with an upsert."""
    return asyncio.run(_executemany(pages, database_url))


async def _executemany(pages: Pages, database_url: str) -> int:
    import asyncpg

    connection, written = await asyncpg.connect(database_url), 0
    try:
        for page in pages:
            async with connection.transaction():
                await connection.executemany(UPSERT, page)
            written += len(page)
    finally:
        await connection.close()
    return written


WRITERS: dict[str, Callable[[Pages, str], int]] = {
    "none": no_writing,
    "to_sql": to_sql,
    "bulk-insert": bulk_insert,
    "executemany": executemany,
}


def main(writer: str, vendor_url: str, database_url: str, start: str, end: str, *tickers: str) -> None:
    bars = WRITERS[writer](fetched(vendor_url, start, end, list(tickers)), database_url)
    sys.stdout.write(json.dumps({"bars": bars}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
