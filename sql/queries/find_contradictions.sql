-- Whether a longer frame that was fetched for itself contradicts what it is built from, unit by unit: a bar without
-- any base bar in its window, or base bars without the bar. It means something only where the vendor answered for
-- both, and a bar is not to blame for base bars that were lost.
-- $1 symbol text   $2 timeframe text (5m..4h, 1w)   $3 base_timeframe text   $4 calendar text   $5 first date
-- $6 past date
-- -> unit_date date, contradicts boolean; ascending
-- relies on the primary keys of market_data and session_audit
WITH base_ledger AS (
    SELECT coalesce(range_agg(rng), '{}') AS answered
    FROM fetch_log
    WHERE symbol = $1 AND timeframe = $3 AND outcome <> 'not_entitled'
)
SELECT u.unit_date,
       tstzrange(u.cover_start, u.cover_end) <@ l.answered
       -- Base bars that were dropped on purpose contradict nothing.
       AND NOT EXISTS (SELECT FROM retention AS r
                       WHERE r.symbol = $1 AND r.timeframe = $3 AND u.unit_date < r.kept_from)
       AND coalesce(w.bar_lacks OR w.base_lacks AND base.stored >= base.audited, false) AS contradicts
FROM session_units($4, $2, $5, $6) AS u
CROSS JOIN base_ledger AS l
CROSS JOIN LATERAL (
    SELECT bool_or(bars.timestamp IS NULL) AS bar_lacks, bool_or(windows.timestamp IS NULL) AS base_lacks
    FROM (SELECT DISTINCT CASE $2 WHEN '1w' THEN u.bars_start
                                  ELSE date_bin(u.grid, m.timestamp, 'epoch') END AS timestamp
          FROM market_data AS m
          WHERE m.symbol = $1 AND m.timeframe = $3
            AND m.timestamp >= u.cover_start AND m.timestamp < u.cover_end) AS windows
    FULL JOIN (SELECT m.timestamp
               FROM market_data AS m
               WHERE m.symbol = $1 AND m.timeframe = $2
                 AND m.timestamp >= u.cover_start AND m.timestamp < least(u.cover_end, u.bars_end)
                 AND date_bin(u.grid, m.timestamp, 'epoch') = m.timestamp) AS bars
        USING (timestamp)
) AS w
CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(sum(a.n_bars), 0) FROM session_audit AS a
            WHERE a.symbol = $1 AND a.timeframe = $3
              AND a.session_date BETWEEN u.unit_date AND u.last_date) AS audited,
           (SELECT count(*) FROM market_data AS m
            WHERE m.symbol = $1 AND m.timeframe = $3
              AND m.timestamp >= least(u.cover_start, u.bars_start)
              AND m.timestamp < greatest(u.cover_end, u.bars_end)) AS stored
) AS base
ORDER BY u.unit_date
