-- A run ends; one that has ended stays as it is.
-- $1 run_id   $2 finished_at timestamptz   $3 status   $4 exit_status int (NULL: by a signal)   $5 error   $6 requests
-- $7 rate_limited   $8 bars   $9 api_seconds   $10 db_seconds   $11 compute_seconds   $12 summary jsonb as text
-- $13 audit jsonb as text
UPDATE backfill_runs
SET finished_at = $2, status = $3, exit_status = $4, error = $5, requests = $6, rate_limited = $7, bars = $8,
    api_seconds = $9, db_seconds = $10, compute_seconds = $11, summary = $12::jsonb, audit = $13::jsonb
WHERE run_id = $1 AND finished_at IS NULL
