-- Merge the staged bars into market_data: new ones inserted, differing ones replaced, equal ones left untouched.
-- -> inserted boolean, one row per bar written
-- relies on the primary key (symbol, timeframe, timestamp)
INSERT INTO market_data AS m
    (timestamp, fetched_at, open, high, low, close, volume, vwap, trades, symbol, timeframe, source)
SELECT s.timestamp, s.fetched_at, s.open, s.high, s.low, s.close, s.volume, s.vwap, s.trades,
       s.symbol, s.timeframe, s.source
FROM bar_stage AS s
LEFT JOIN market_data AS old USING (symbol, timeframe, timestamp)
WHERE old.timestamp IS NULL
   OR (old.open, old.high, old.low, old.close, old.volume, old.vwap, old.trades)
      IS DISTINCT FROM (s.open, s.high, s.low, s.close, s.volume, s.vwap, s.trades)
ON CONFLICT (symbol, timeframe, timestamp) DO UPDATE
SET fetched_at = excluded.fetched_at, open = excluded.open, high = excluded.high, low = excluded.low,
    close = excluded.close, volume = excluded.volume, vwap = excluded.vwap, trades = excluded.trades,
    source = excluded.source
RETURNING m.xmax = 0 AS inserted
