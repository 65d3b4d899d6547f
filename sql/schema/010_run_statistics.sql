-- How the last runs of each script went, without a look at all the others.

CREATE INDEX backfill_runs_of_script ON backfill_runs (script, started_at DESC);

-- A run that was interrupted says nothing about the vendor or the data: it neither counts as a failure nor ends a
-- row of them. One that brought a part ends the row. failed_days: its dates in UTC, for an hourly job fails three
-- times in three hours. The scripts are found by the index, one step each.
CREATE OR REPLACE VIEW run_statistics AS
WITH RECURSIVE scripts AS (
    (SELECT script FROM backfill_runs ORDER BY script LIMIT 1)
    UNION ALL
    SELECT (SELECT r.script FROM backfill_runs AS r WHERE r.script > s.script ORDER BY r.script LIMIT 1)
    FROM scripts AS s WHERE s.script IS NOT NULL
)
SELECT script, count(*) AS runs, count(*) FILTER (WHERE status = 'complete') AS complete,
       round(100.0 * count(*) FILTER (WHERE status = 'complete') / count(*), 1) AS success_percent,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS median_seconds,
       max(extract(epoch FROM finished_at - started_at))::double precision AS longest_seconds,
       max(started_at) AS last_started_at, max(finished_at) FILTER (WHERE status = 'complete') AS last_complete_at,
       count(*) FILTER (WHERE status = 'failed' AND nth < coalesce(first_good, nth + 1)) AS failures_in_a_row,
       count(DISTINCT (started_at AT TIME ZONE 'UTC')::date)
           FILTER (WHERE status = 'failed' AND nth < coalesce(first_good, nth + 1)) AS failed_days,
       (array_agg(status ORDER BY nth))[1] AS last_status, (array_agg(error ORDER BY nth))[1] AS last_error,
       (array_agg(requests ORDER BY nth))[1] AS last_requests,
       (array_agg(rate_limited ORDER BY nth))[1] AS last_rate_limited
FROM (SELECT *, min(nth) FILTER (WHERE status IN ('complete', 'partial')) OVER (PARTITION BY script) AS first_good
      FROM (SELECT s.script, last.*,
                   row_number() OVER (PARTITION BY s.script ORDER BY last.started_at DESC) AS nth
            FROM scripts AS s
            CROSS JOIN LATERAL (SELECT status, started_at, finished_at, error, requests, rate_limited
                                FROM backfill_runs AS r
                                WHERE r.script = s.script AND r.status NOT IN ('running', 'interrupted')
                                ORDER BY r.started_at DESC LIMIT 30) AS last) AS ended) AS numbered
GROUP BY script;
