-- The splits of these symbols that the vendor has not taken back, with the day bars around each: the last close
-- before its day and the first open and close on it or after, at most ten days away.
-- $1 symbols text[]
-- -> id, symbol, execution_date, split_from, split_to, kind, verdict, applied, forced, observed, reason,
--    close_before, open_after, close_after (NULL = no such bar, or a price of 0); by symbol and date
-- relies on index splits_symbol and on the primary key of market_data
SELECT s.id, s.symbol, s.execution_date, s.split_from, s.split_to, s.kind, s.verdict, s.applied, s.forced,
       s.observed, s.reason, before.close AS close_before, after.open AS open_after, after.close AS close_after
FROM (SELECT *, execution_date::timestamp AT TIME ZONE 'America/New_York' AS midnight FROM splits) AS s
LEFT JOIN LATERAL
     (SELECT nullif(m.close, 0) AS close FROM market_data AS m
      WHERE m.symbol = s.symbol AND m.timeframe = '1d'
        AND m.timestamp < s.midnight AND m.timestamp >= s.midnight - interval '10 days'
      ORDER BY m.timestamp DESC LIMIT 1) AS before ON true
LEFT JOIN LATERAL
     (SELECT nullif(m.open, 0) AS open, nullif(m.close, 0) AS close FROM market_data AS m
      WHERE m.symbol = s.symbol AND m.timeframe = '1d'
        AND m.timestamp >= s.midnight AND m.timestamp < s.midnight + interval '10 days'
      ORDER BY m.timestamp LIMIT 1) AS after ON true
WHERE s.symbol = ANY($1::text[]) AND s.withdrawn_at IS NULL
ORDER BY s.symbol, s.execution_date, s.id
