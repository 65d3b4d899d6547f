-- A gap is seen again, as it is now.
-- $1 id bigint   $2 gap_start date   $3 gap_end date   $4 days int   $5 state text   $6 run_id text
-- $7 attempts int: how many rounds of this run asked for it   $8 reason text (NULL = as it was)
UPDATE backfill_gaps
SET gap_start = $2, gap_end = $3, days = $4, state = $5, run_id = coalesce($6, run_id), attempts = attempts + $7,
    reason = coalesce($8, reason)
WHERE id = $1
