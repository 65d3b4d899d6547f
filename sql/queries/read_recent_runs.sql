-- Runs since an instant, the newest first; what was sent, of the last of each script that sent anything.
-- $1 since timestamptz
-- -> script, started_at, finished_at, status, requests bigint, rate_limited bigint (0 where not looked at)
-- relies on index backfill_runs_started; opens the audits of one run a script
WITH recent AS MATERIALIZED (
    SELECT run_id, script, started_at, finished_at, status FROM backfill_runs WHERE started_at >= $1
),
sending AS (
    SELECT last.* FROM (SELECT DISTINCT script FROM recent) AS scripts
    CROSS JOIN LATERAL (
        SELECT r.run_id, (b.audit #>> '{requests,total}')::bigint AS requests,
               (b.audit #>> '{requests,rate_limited}')::bigint AS rate_limited
        FROM recent AS r JOIN backfill_runs AS b USING (run_id)
        WHERE r.script = scripts.script AND (b.audit #>> '{requests,total}')::bigint > 0
        ORDER BY r.started_at DESC LIMIT 1
    ) AS last
)
SELECT r.script, r.started_at, r.finished_at, r.status, coalesce(s.requests, 0) AS requests,
       coalesce(s.rate_limited, 0) AS rate_limited
FROM recent AS r LEFT JOIN sending AS s USING (run_id)
ORDER BY r.started_at DESC
