-- The plan that the last run which fetched bars was told of.
-- $1 scripts text[]: those that fetch
-- -> plan text (NULL: none was named); no row: no such run
-- relies on index backfill_runs_started
SELECT arguments ->> 'plan' AS plan
FROM backfill_runs
WHERE script = ANY($1::text[])
ORDER BY started_at DESC LIMIT 1
