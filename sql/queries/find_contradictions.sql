-- Whether a longer frame and the minutes it is built from contradict each other, session by session: a bar without
-- any minute in its window, or minutes without the bar. It means something only where the vendor answered for both.
-- $1 symbol text   $2 timeframe text (5m..4h)   $3 step interval   $4 calendar text   $5 first date   $6 past date
-- -> unit_date date, contradicts boolean; ascending
-- relies on the primary key of market_data
WITH minutes_ledger AS (
    SELECT coalesce(range_agg(rng), '{}') AS answered
    FROM fetch_log
    WHERE symbol = $1 AND timeframe = '1m' AND outcome <> 'not_entitled'
)
SELECT u.unit_date, tstzrange(u.cover_start, u.cover_end) <@ l.answered AND EXISTS (
    SELECT
    FROM (SELECT DISTINCT date_bin($3::interval, m.timestamp, 'epoch') AS timestamp
          FROM market_data AS m
          WHERE m.symbol = $1 AND m.timeframe = '1m'
            AND m.timestamp >= u.cover_start AND m.timestamp < u.cover_end) AS minutes
    FULL JOIN (SELECT m.timestamp
               FROM market_data AS m
               WHERE m.symbol = $1 AND m.timeframe = $2
                 AND m.timestamp > u.cover_start - $3::interval AND m.timestamp < u.cover_end) AS bars
        USING (timestamp)
    WHERE minutes.timestamp IS NULL OR bars.timestamp IS NULL
) AS contradicts
FROM session_units($4, $2, $5, $6) AS u CROSS JOIN minutes_ledger AS l
ORDER BY u.unit_date
