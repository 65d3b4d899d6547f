-- The first bars of one series in [start, end), adjusted for the splits up to a moment, oldest first, for COPY TO
-- STDOUT: no NULL, so that every row has one length. NaN prices: a week of two bases whose days are not stored.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz   $5 moment timestamptz
-- $6 limit bigint (NULL = all)
-- -> timestamp timestamptz, open, high, low, close, volume, vwap float8, trades bigint (-1 = unknown)
-- relies on the primary keys of market_data and split_eras
SELECT timestamp, coalesce(open, 'NaN'), coalesce(high, 'NaN'), coalesce(low, 'NaN'), coalesce(close, 'NaN'),
       coalesce(volume, 'NaN'), coalesce(vwap, 'NaN'), coalesce(trades, -1)
FROM adjusted_as_of($5::timestamptz)
WHERE symbol = $1::text AND timeframe = $2::text AND timestamp >= $3::timestamptz AND timestamp < $4::timestamptz
ORDER BY timestamp
LIMIT $6::bigint
