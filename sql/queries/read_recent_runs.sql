-- Runs since an instant, the newest first.
-- $1 since timestamptz
-- -> script, started_at, finished_at, status, requests bigint, rate_limited bigint (0 where none were sent)
-- relies on index backfill_runs_started
SELECT script, started_at, finished_at, status, coalesce(requests, 0), coalesce(rate_limited, 0)
FROM backfill_runs
WHERE started_at >= $1
ORDER BY started_at DESC
