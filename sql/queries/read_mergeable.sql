-- Series whose ledger has rows of final data that touch: they can be one.
-- -> symbol, timeframe, surplus bigint: rows that would go
-- relies on index fetch_log_series
SELECT symbol, timeframe, count(*) AS surplus
FROM (SELECT symbol, timeframe, lower(rng) AS starts,
             lag(upper(rng)) OVER (PARTITION BY symbol, timeframe ORDER BY lower(rng)) AS before
      FROM fetch_log WHERE outcome = 'data' AND verify_after IS NULL) AS final
WHERE starts = before
GROUP BY symbol, timeframe
ORDER BY symbol, timeframe
