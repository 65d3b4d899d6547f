-- A gap is seen for the first time.
-- $1 symbol text   $2 timeframe text   $3 gap_start date   $4 gap_end date   $5 days int   $6 state text
-- $7 detected_at timestamptz   $8 run_id text   $9 attempts int   $10 reason text
INSERT INTO backfill_gaps (symbol, timeframe, gap_start, gap_end, days, state, detected_at, run_id, attempts, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
