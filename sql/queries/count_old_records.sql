-- What runs and alerts of long ago left behind.
-- $1 before timestamptz
-- -> audits bigint, results bigint, alerts bigint
SELECT (SELECT count(*) FROM backfill_runs WHERE finished_at < $1 AND audit IS NOT NULL) AS audits,
       (SELECT count(*) FROM run_results AS r JOIN backfill_runs AS b USING (run_id) WHERE b.finished_at < $1) AS results,
       (SELECT count(*) FROM alerts WHERE resolved_at < $1) AS alerts
