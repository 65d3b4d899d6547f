-- A run has tried to fetch some series of tracked symbols: when, and which of them failed.
-- $1 attempted_at timestamptz   $2 symbols text[]   $3 timeframes text[]   $4 errors text[] (NULL: it went well)
-- In the order of the key, as every other writer: two of them never wait for each other.
INSERT INTO series_status AS s (symbol, timeframe, attempted_at, failures, error)
SELECT a.symbol, a.timeframe, $1, (a.error IS NOT NULL)::integer, a.error
FROM unnest($2::text[], $3::text[], $4::text[]) AS a(symbol, timeframe, error)
JOIN tracked_symbols AS t ON t.symbol = a.symbol
ORDER BY a.symbol COLLATE "C", a.timeframe COLLATE "C"
ON CONFLICT (symbol, timeframe) DO UPDATE
SET attempted_at = $1, failures = CASE WHEN excluded.error IS NULL THEN 0 ELSE s.failures + 1 END,
    error = excluded.error
