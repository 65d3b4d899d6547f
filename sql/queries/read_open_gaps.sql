-- The open gaps of one series that overlap the dates [first, past), oldest row first.
-- $1 symbol text   $2 timeframe text   $3 first date   $4 past date
-- -> id, gap_start, gap_end, days, state, detected_at
-- relies on index backfill_gaps_open
SELECT id, gap_start, gap_end, days, state, detected_at
FROM backfill_gaps
WHERE symbol = $1 AND timeframe = $2 AND NOT filled AND gap_start < $4 AND gap_end > $3
ORDER BY id
