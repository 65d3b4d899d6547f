-- Day bars whose close is a third above or a quarter below the one before, at most ten days earlier, on days
-- without a split that is applied.
-- $1 symbols text[]   $2 since timestamptz (NULL = ever)
-- -> symbol, session_date, close_before, open_after, close_after
-- relies on the primary key of market_data
SELECT j.symbol, j.session_date, j.close_before, j.open AS open_after, j.close AS close_after
FROM (SELECT symbol, (timestamp AT TIME ZONE 'America/New_York')::date AS session_date, timestamp, open, close,
             lag(close) OVER by_day AS close_before, lag(timestamp) OVER by_day AS before
      FROM market_data
      WHERE symbol = ANY($1::text[]) AND timeframe = '1d' AND timestamp >= coalesce($2::timestamptz, '-infinity')
      WINDOW by_day AS (PARTITION BY symbol ORDER BY timestamp)) AS j
WHERE (j.close_before > j.close * 1.3 OR j.close_before * 1.3 < j.close)
  AND j.before >= j.timestamp - interval '10 days' AND j.close > 0 AND j.open > 0 AND j.close_before > 0
  AND NOT EXISTS (SELECT FROM splits AS s
                  WHERE s.symbol = j.symbol AND s.execution_date = j.session_date
                    AND s.applied AND s.withdrawn_at IS NULL)
ORDER BY j.symbol, j.session_date
