-- The newest on-balance volume of a series before an instant.
-- $1 symbol text   $2 timeframe text   $3 before timestamptz
-- -> timestamp timestamptz, obv float8
-- relies on the primary key (symbol, timeframe, timestamp)
SELECT timestamp, obv
FROM market_data_v2
WHERE symbol = $1 AND timeframe = $2 AND timestamp < $3 AND obv IS NOT NULL
ORDER BY timestamp DESC LIMIT 1
