-- The state of every unit (session, or week for 1w) of some symbols in one timeframe, as runs of equal state.
-- $1 symbols text[]   $2 timeframe text   $3 ledger_timeframe text: whose answers cover it (its own, or its base)
-- $4 calendar text   $5 first date   $6 past date (exclusive)
-- $7 settled_before timestamptz: units that end later are pending
-- $8 counted boolean: count the stored bars of every unit, which finds a single deleted one; false: believe the
-- audited counts
-- $9 twin_timeframe text: the other vendor series that proves a session had trades (1d for intraday, 1m for 1d)
-- -> symbol text, state text, gap_start date, gap_end date (exclusive), units bigint; by symbol, oldest first
-- relies on the primary keys of market_data and session_audit and on index fetch_log_series
WITH ledger AS (
    SELECT symbol,
           range_agg(rng) FILTER (WHERE outcome <> 'not_entitled') AS answered,
           range_agg(rng) FILTER (WHERE outcome = 'not_entitled') AS refused,
           range_agg(rng) FILTER (WHERE outcome = 'empty' AND attempt > 1) AS confirmed
    FROM fetch_log
    WHERE symbol = ANY($1::text[]) AND timeframe = $3
    GROUP BY symbol
),
units AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY unit_date) AS ordinal, tstzrange(cover_start, cover_end) AS cover
    FROM session_units($4, $2, $5, $6)
),
counted AS (
    SELECT w.symbol, u.*, t.listed_from, t.listed_until,
           coalesce(l.answered, '{}') AS answered, coalesce(l.refused, '{}') AS refused,
           coalesce(l.confirmed, '{}') AS confirmed, coalesce(a.n_bars, 0) AS audited,
           CASE WHEN $8::boolean
                THEN (SELECT count(*) FROM market_data AS m
                      WHERE m.symbol = w.symbol AND m.timeframe = $2
                        AND m.timestamp >= u.day_start AND m.timestamp < u.day_end)
                ELSE coalesce(a.n_bars, 0) END AS stored
    FROM unnest($1::text[]) AS w(symbol)
    CROSS JOIN units AS u
    LEFT JOIN tracked_symbols AS t ON t.symbol = w.symbol
    LEFT JOIN ledger AS l ON l.symbol = w.symbol
    LEFT JOIN session_audit AS a ON a.symbol = w.symbol AND a.timeframe = $2 AND a.session_date = u.unit_date
),
judged AS (
    SELECT symbol, unit_date, last_date, ordinal,
           CASE
               WHEN last_date < listed_from OR unit_date > listed_until THEN 'not_expected'
               WHEN cover && refused AND cover <@ (refused + answered) THEN 'not_entitled'
               WHEN ends > $7 THEN 'pending'
               WHEN NOT cover <@ answered THEN
                   CASE WHEN stored = 0 OR cover && answered THEN 'missing' ELSE 'unverified' END
               WHEN stored < audited THEN 'lost'
               WHEN stored > 0 THEN 'complete'
               -- Covered and empty: the base it is derived from, or its twin, may tell that it had trades.
               WHEN $2 <> $3 AND EXISTS (
                   SELECT FROM session_audit AS base
                   WHERE base.symbol = judging.symbol AND base.timeframe = $3 AND base.n_bars > 0
                     AND base.session_date BETWEEN unit_date AND last_date) THEN 'contradiction'
               WHEN NOT cover && confirmed AND EXISTS (
                   SELECT FROM session_audit AS twin
                   WHERE twin.symbol = judging.symbol AND twin.timeframe = $9 AND twin.n_bars > 0
                     AND twin.session_date BETWEEN unit_date AND last_date) THEN 'vendor_hole'
               ELSE 'verified_empty'
           END AS state
    FROM counted AS judging
),
runs AS (
    SELECT *, ordinal - row_number() OVER (PARTITION BY symbol, state ORDER BY ordinal) AS run FROM judged
)
SELECT symbol, state, min(unit_date) AS gap_start, max(last_date) + 1 AS gap_end, count(*) AS units
FROM runs
GROUP BY symbol, state, run
ORDER BY symbol, gap_start
