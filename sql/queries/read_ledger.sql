-- The ledger rows of one series that overlap or touch [start, end), oldest first.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz
-- -> id, range_start, range_end timestamptz, outcome, n_bars, attempt, fetched_at, verify_after
-- relies on index fetch_log_series (symbol, timeframe, lower(rng))
SELECT id, lower(rng) AS range_start, upper(rng) AS range_end, outcome, n_bars, attempt, fetched_at, verify_after
FROM fetch_log
WHERE symbol = $1 AND timeframe = $2 AND lower(rng) <= $4 AND upper(rng) >= $3
ORDER BY lower(rng)
