-- Of each script, by name: how its last runs went.
-- -> script, runs, complete, success_percent, median_seconds, longest_seconds, last_started_at, last_complete_at,
--    failures_in_a_row, failed_days, last_status, last_error, last_requests, last_rate_limited
SELECT * FROM run_statistics ORDER BY script
