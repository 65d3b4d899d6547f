-- The series of some symbols that have an open gap.
-- $1 symbols text[]
-- -> symbol, timeframe text
-- relies on index backfill_gaps_open
SELECT DISTINCT symbol, timeframe FROM backfill_gaps WHERE NOT filled AND symbol = ANY($1)
