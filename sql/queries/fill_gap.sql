-- A gap is filled.
-- $1 id bigint   $2 filled_at timestamptz   $3 run_id text   $4 attempts int: how many rounds of this run asked for it
UPDATE backfill_gaps
SET filled = true, filled_at = $2, run_id = coalesce($3, run_id), attempts = attempts + $4
WHERE id = $1 AND NOT filled
