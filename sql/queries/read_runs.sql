-- The last runs, newest first.
-- $1 scripts text[] (NULL = all)   $2 since timestamptz (NULL = ever)   $3 failed_only boolean   $4 limit int
-- -> run_id, script, started_at, finished_at, seconds, status, exit_status, error, host, pid, requests, rate_limited,
--    bars, api_seconds, db_seconds, compute_seconds, failures (series with an error)
-- relies on index backfill_runs_started
SELECT r.*, (SELECT count(*) FROM run_results AS f WHERE f.run_id = r.run_id AND f.error IS NOT NULL) AS failures
FROM recent_runs AS r
WHERE ($1::text[] IS NULL OR script = ANY($1::text[])) AND ($2::timestamptz IS NULL OR started_at >= $2)
  AND (NOT $3::boolean OR status NOT IN ('complete', 'running'))
ORDER BY started_at DESC
LIMIT $4
