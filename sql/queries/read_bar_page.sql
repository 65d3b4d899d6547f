-- The first bars of one series in [start, end), oldest first, for COPY TO STDOUT: no NULL, so that every row has one
-- length.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz   $5 limit bigint
-- -> timestamp timestamptz, open, high, low, close, volume, vwap float8 (NaN = none), trades bigint (-1 = unknown)
-- relies on the primary key (symbol, timeframe, timestamp)
SELECT timestamp, open, high, low, close, volume, coalesce(vwap, 'NaN'), coalesce(trades, -1)
FROM market_data
WHERE symbol = $1::text AND timeframe = $2::text AND timestamp >= $3::timestamptz AND timestamp < $4::timestamptz
ORDER BY timestamp
LIMIT $5::bigint
