-- The bars of one series in [start, end), as many as asked for, and before them those that the first of them look
-- back to; oldest first, for COPY TO STDOUT. Bars without a price count as none in looking back.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz   $5 look-back bigint   $6 limit bigint
-- -> timestamp timestamptz, open, high, low, close, volume, vwap float8 (NaN = none), trades bigint (-1 = unknown)
-- relies on the primary key (symbol, timeframe, timestamp)
WITH reach AS (
    SELECT coalesce(min(timestamp), $3::timestamptz) AS first
    FROM (SELECT timestamp
          FROM market_data
          WHERE symbol = $1::text AND timeframe = $2::text AND timestamp < $3::timestamptz
            AND least(open, high, low, close) > 0 AND volume >= 0
            AND greatest(open, high, low, close, volume) < 'Infinity'
          ORDER BY timestamp DESC LIMIT $5::bigint) AS before
)
SELECT timestamp, open, high, low, close, volume, coalesce(vwap, 'NaN'), coalesce(trades, -1)
FROM market_data
WHERE symbol = $1::text AND timeframe = $2::text
  AND timestamp >= (SELECT first FROM reach) AND timestamp < $4::timestamptz
ORDER BY timestamp
LIMIT $6::bigint + (SELECT count(*) FROM market_data
                    WHERE symbol = $1::text AND timeframe = $2::text
                      AND timestamp >= (SELECT first FROM reach) AND timestamp < $3::timestamptz)
