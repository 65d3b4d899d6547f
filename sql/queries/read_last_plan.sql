-- The plan that the last run which fetched bars was told of.
-- -> plan text (NULL: none was named); no row: no such run
-- relies on index backfill_runs_started
SELECT arguments ->> 'plan' AS plan
FROM backfill_runs
WHERE script IN ('master_backfill', 'backfill_ohlcv', 'backfill_gaps fill')
ORDER BY started_at DESC LIMIT 1
