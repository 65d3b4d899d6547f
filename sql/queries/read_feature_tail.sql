-- As read_feature_bars, but by one row of arrays in their binary form, each with a head of 20 bytes and before each
-- value its length; null if there are no bars. Fewer round trips than a COPY: the quicker way for few bars.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz   $5 look-back bigint   $6 limit bigint
-- -> timestamp, open, high, low, close, volume, vwap, trades bytea
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
SELECT array_send(array_agg(timestamp)) AS timestamp, array_send(array_agg(open)) AS open,
       array_send(array_agg(high)) AS high, array_send(array_agg(low)) AS low, array_send(array_agg(close)) AS close,
       array_send(array_agg(volume)) AS volume, array_send(array_agg(coalesce(vwap, 'NaN'))) AS vwap,
       array_send(array_agg(coalesce(trades, -1))) AS trades
FROM (
    SELECT * FROM market_data
    WHERE symbol = $1::text AND timeframe = $2::text
      AND timestamp >= (SELECT first FROM reach) AND timestamp < $4::timestamptz
    ORDER BY timestamp
    LIMIT $6::bigint + (SELECT count(*) FROM market_data
                        WHERE symbol = $1::text AND timeframe = $2::text
                          AND timestamp >= (SELECT first FROM reach) AND timestamp < $3::timestamptz)
) AS bar
