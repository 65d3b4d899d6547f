-- A run ends.
-- $1 run_id   $2 finished_at timestamptz   $3 status   $4 summary jsonb as text   $5 audit jsonb as text
UPDATE backfill_runs
SET finished_at = $2, status = $3, summary = $4::jsonb, audit = $5::jsonb
WHERE run_id = $1
