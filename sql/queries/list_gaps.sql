-- Gaps of the ledger, newest first.
-- $1 symbols text[] (NULL = all)   $2 timeframes text[] (NULL = all)   $3 first date (NULL = any)   $4 past date
-- (NULL = any)   $5 filled_too boolean
-- -> symbol, timeframe, gap_start, gap_end, days, state, attempts, reason, detected_at, filled, filled_at, run_id
SELECT symbol, timeframe, gap_start, gap_end, days, state, attempts, reason, detected_at, filled, filled_at, run_id
FROM backfill_gaps
WHERE ($1::text[] IS NULL OR symbol = ANY($1::text[])) AND ($2::text[] IS NULL OR timeframe = ANY($2::text[]))
  AND ($3::date IS NULL OR gap_end > $3::date) AND ($4::date IS NULL OR gap_start < $4::date)
  AND ($5::boolean OR NOT filled)
ORDER BY symbol, array_position('{1m,5m,15m,30m,1h,4h,1d,1w}'::text[], timeframe), gap_start
