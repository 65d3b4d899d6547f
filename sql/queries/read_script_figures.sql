-- What each script did last, and when it last succeeded.
-- -> script, status, started_at, finished_at, succeeded_at (NULL: never), exit_status, bars, requests, rate_limited;
--    of the last run that ended, by script
-- relies on index backfill_runs_started
SELECT s.script, last.status, last.started_at, last.finished_at, good.finished_at AS succeeded_at, last.exit_status,
       coalesce(last.bars, 0), coalesce(last.requests, 0), coalesce(last.rate_limited, 0)
FROM (SELECT DISTINCT script FROM backfill_runs) AS s
CROSS JOIN LATERAL (SELECT * FROM backfill_runs AS r WHERE r.script = s.script AND r.finished_at IS NOT NULL
                    ORDER BY r.started_at DESC LIMIT 1) AS last
LEFT JOIN LATERAL (SELECT r.finished_at FROM backfill_runs AS r WHERE r.script = s.script AND r.status = 'complete'
                   ORDER BY r.started_at DESC LIMIT 1) AS good ON true
ORDER BY s.script
