-- Gaps that have become part of another row.
-- $1 ids bigint[]
DELETE FROM backfill_gaps WHERE id = ANY($1::bigint[])
