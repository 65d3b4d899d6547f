-- How far a series is, from what is stored: after bars were found to be gone, to be back, or to be there unasked.
-- $1 symbol   $2 timeframe
-- Where the newest session has lost bars, what was answered no longer tells how far it is.
-- relies on the primary keys of market_data and session_audit and on index backfill_gaps_open
WITH lost AS (
    SELECT coalesce(sum(a.n_bars - m.n_bars), 0)::bigint AS n_bars, max(g.gap_end) AS past
    FROM backfill_gaps AS g
    JOIN tracked_symbols AS t ON t.symbol = g.symbol
    JOIN calendars AS c ON c.calendar = t.calendar
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(n_bars), 0) AS n_bars
        FROM session_audit AS s
        WHERE s.symbol = $1 AND s.timeframe = $2 AND s.session_date >= g.gap_start AND s.session_date < g.gap_end
    ) AS a
    CROSS JOIN LATERAL (
        SELECT count(*) AS n_bars
        FROM market_data AS d
        WHERE d.symbol = $1 AND d.timeframe = $2 AND d.timestamp >= g.gap_start::timestamp AT TIME ZONE c.zone
          AND d.timestamp < g.gap_end::timestamp AT TIME ZONE c.zone
    ) AS m
    WHERE g.symbol = $1 AND g.timeframe = $2 AND NOT g.filled AND g.state = 'lost'
),
audited AS (
    SELECT coalesce(sum(n_bars), 0)::bigint AS n_bars, max(session_date) FILTER (WHERE n_bars > 0) AS newest
    FROM session_audit WHERE symbol = $1 AND timeframe = $2
),
ends AS (
    SELECT (SELECT timestamp FROM market_data WHERE symbol = $1 AND timeframe = $2
            ORDER BY timestamp LIMIT 1) AS first_ts,
           (SELECT timestamp FROM market_data WHERE symbol = $1 AND timeframe = $2
            ORDER BY timestamp DESC LIMIT 1) AS last_ts
)
INSERT INTO series_status AS s (symbol, timeframe, n_bars, n_lost, first_ts, last_ts)
SELECT $1, $2, audited.n_bars, lost.n_bars, ends.first_ts, ends.last_ts FROM lost, audited, ends
ON CONFLICT (symbol, timeframe) DO UPDATE
SET n_bars = excluded.n_bars, n_lost = excluded.n_lost, first_ts = excluded.first_ts, last_ts = excluded.last_ts,
    answered_until = CASE WHEN coalesce((SELECT past <= newest FROM lost, audited), true) THEN s.answered_until END
