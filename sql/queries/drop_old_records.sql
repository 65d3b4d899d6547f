-- Drop the audits, the results by series and the ended alerts of long ago; the runs themselves stay.
-- $1 before timestamptz
WITH results AS (
    DELETE FROM run_results AS r USING backfill_runs AS b WHERE b.run_id = r.run_id AND b.finished_at < $1
),
ended AS (
    DELETE FROM alerts WHERE resolved_at < $1
)
UPDATE backfill_runs SET audit = NULL WHERE finished_at < $1 AND audit IS NOT NULL
