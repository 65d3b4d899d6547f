-- A run begins; said twice, it has begun once.
-- $1 run_id   $2 script   $3 started_at timestamptz   $4 arguments jsonb as text   $5 host   $6 pid int
INSERT INTO backfill_runs (run_id, script, started_at, status, arguments, host, pid)
VALUES ($1, $2, $3, 'running', $4::jsonb, $5, $6)
ON CONFLICT (run_id) DO NOTHING
