-- Drop the bars of a series that began before an instant, with their features and counts. What the vendor has answered
-- stays in the ledger: longer frames rest on it.
-- $1 symbol   $2 timeframe   $3 before timestamptz   $4 before date
-- relies on the primary keys
WITH bars AS (
    DELETE FROM market_data WHERE symbol = $1 AND timeframe = $2 AND timestamp < $3
),
features AS (
    DELETE FROM market_data_v2 WHERE symbol = $1 AND timeframe = $2 AND timestamp < $3
),
-- Features rest on all bars there are, the first one too: they are computed anew from those that remain.
stale AS (
    DELETE FROM feature_state WHERE symbol = $1 AND timeframe = $2
),
counts AS (
    DELETE FROM session_audit WHERE symbol = $1 AND timeframe = $2 AND session_date < $4
),
gaps AS (
    DELETE FROM backfill_gaps
    WHERE symbol = $1 AND timeframe = $2 AND NOT filled AND gap_end <= $4
)
UPDATE backfill_gaps AS g
SET gap_start = $4,
    days = greatest(1, (SELECT count(*) FROM tracked_symbols AS t
                        CROSS JOIN LATERAL session_units(t.calendar, $2, $4, g.gap_end) AS u
                        WHERE t.symbol = $1 AND u.unit_date >= $4))
WHERE symbol = $1 AND timeframe = $2 AND NOT filled AND gap_start < $4 AND gap_end > $4
