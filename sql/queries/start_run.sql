-- A run begins.
-- $1 run_id   $2 script   $3 started_at timestamptz   $4 arguments jsonb as text
INSERT INTO backfill_runs (run_id, script, started_at, status, arguments)
VALUES ($1, $2, $3, 'running', $4::jsonb)
