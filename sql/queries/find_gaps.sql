-- The state of every unit (session, or week for 1w) of some symbols in one timeframe, as runs of equal state.
-- $1 symbols text[]: no name twice   $2 timeframe text   $3 ledger_timeframe text: whose answers cover it (its own,
-- or its base)   $4 calendar text   $5 first date   $6 past date (exclusive)
-- $7 settled_before timestamptz: units that end later are pending
-- $8 counted boolean: count the stored bars of every unit, which finds a single deleted one; false: believe the
-- audited counts wherever the vendor has answered
-- $9 now timestamptz: answers to be verified by then no longer stand
-- -> symbol text, state text, gap_start date, gap_end date (exclusive), units bigint; by symbol, oldest first
-- relies on the primary keys of market_data (index only) and session_audit and on index fetch_log_series
WITH units AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY unit_date) AS ordinal, tstzrange(cover_start, cover_end) AS cover,
           ends > $7 AS unsettled
    FROM session_units($4, $2, $5, $6)
),
extent AS MATERIALIZED (
    SELECT count(*) AS units, count(*) FILTER (WHERE NOT unsettled) AS settled, min(unit_date) AS first_date,
           max(last_date) AS last_date, tstzrange(min(cover_start), max(cover_end)) AS cover,
           tstzrange(min(cover_start), max(cover_end) FILTER (WHERE NOT unsettled)) AS settled_cover
    FROM units
),
-- unlisted: what the day bars, answered from long before, show to lie before the first of them.
ledger AS MATERIALIZED (
    SELECT w.symbol, t.listed_from, t.listed_until, r.kept_from, l.*, coalesce(d.unlisted, 'empty') AS unlisted
    FROM unnest($1::text[]) AS w(symbol)
    LEFT JOIN tracked_symbols AS t ON t.symbol = w.symbol
    LEFT JOIN retention AS r ON r.symbol = w.symbol AND r.timeframe = $2
    CROSS JOIN LATERAL (
        SELECT coalesce(range_agg(rng) FILTER (WHERE outcome <> 'not_entitled'), '{}') AS answered,
               coalesce(range_agg(rng) FILTER (WHERE outcome <> 'not_entitled'
                                                 AND (verify_after IS NULL OR verify_after > $9)), '{}') AS standing,
               coalesce(range_agg(rng) FILTER (WHERE outcome = 'empty' AND attempt > 1), '{}') AS confirmed,
               coalesce(range_agg(rng) FILTER (WHERE outcome = 'not_entitled'), '{}') AS refused
        FROM fetch_log WHERE symbol = w.symbol AND timeframe = $3
    ) AS l
    LEFT JOIN LATERAL (
        SELECT tstzrange(lower(days.rng), first_bar.first_ts) AS unlisted
        FROM (SELECT first_ts FROM session_audit
              WHERE symbol = w.symbol AND timeframe = '1d' AND n_bars > 0
              ORDER BY session_date LIMIT 1) AS first_bar
        CROSS JOIN LATERAL (SELECT unnest(range_agg(rng)) AS rng FROM fetch_log
                            WHERE symbol = w.symbol AND timeframe = '1d' AND outcome <> 'not_entitled') AS days
        WHERE days.rng @> first_bar.first_ts
          -- Where old day bars were dropped, the first of them says nothing about the listing.
          AND NOT EXISTS (SELECT FROM retention AS p WHERE p.symbol = w.symbol AND p.timeframe = '1d')
    ) AS d ON true
),
-- whole: answered for good throughout, and audited bars in every settled unit. Where they are believed, there is
-- nothing more to ask of it.
series AS MATERIALIZED (
    SELECT l.*, NOT $8::boolean AND e.settled_cover <@ l.standing AND NOT e.cover && l.refused
                AND coalesce(l.listed_from <= e.first_date, true) AND coalesce(l.listed_until >= e.last_date, true)
                AND coalesce(l.kept_from <= e.first_date, true)
                AND e.settled = (SELECT count(*)
                                 FROM session_audit AS a JOIN units AS u ON u.unit_date = a.session_date
                                 WHERE a.symbol = l.symbol AND a.timeframe = $2 AND a.n_bars > 0
                                   AND NOT u.unsettled) AS whole
    FROM ledger AS l CROSS JOIN extent AS e
),
counted AS (
    SELECT s.*, u.*,
           CASE WHEN NOT $8::boolean AND u.cover <@ s.answered THEN audited
                WHEN $2 = ANY('{1h,4h,1d,1w}') THEN
                    (SELECT count(*) FROM market_data AS m
                     WHERE m.symbol = s.symbol AND m.timeframe = $2
                       AND m.timestamp >= u.bars_start AND m.timestamp < u.bars_end
                       AND date_bin(u.grid, m.timestamp, 'epoch') = m.timestamp)
                ELSE
                    (SELECT count(*) FROM market_data AS m
                     WHERE m.symbol = s.symbol AND m.timeframe = $2
                       AND m.timestamp >= u.bars_start AND m.timestamp < u.bars_end) END AS stored
    FROM series AS s
    CROSS JOIN LATERAL (
        SELECT units.*, coalesce(a.n_bars, 0) AS audited
        FROM units
        -- OFFSET 0: one scan per symbol, hashed, instead of a probe per unit.
        LEFT JOIN (SELECT session_date, n_bars FROM session_audit
                   WHERE NOT s.whole AND symbol = s.symbol AND timeframe = $2 OFFSET 0) AS a
            ON a.session_date = unit_date
        WHERE NOT s.whole OR unsettled
    ) AS u
    OFFSET 0
),
judged AS (
    SELECT symbol, ordinal,
           CASE
               WHEN last_date < listed_from OR unit_date > listed_until OR unit_date < kept_from THEN 'not_expected'
               WHEN cover && refused AND cover <@ (refused + answered) AND NOT cover <@ answered THEN 'not_entitled'
               WHEN unsettled THEN 'pending'
               WHEN NOT cover <@ answered THEN
                   CASE WHEN cover && answered THEN 'missing'
                        WHEN stored = 0 AND cover <@ unlisted THEN 'not_expected'
                        WHEN stored = 0 THEN 'missing'
                        WHEN stored < audited THEN 'lost'
                        ELSE 'unverified' END
               WHEN stored < audited THEN 'lost'
               -- Covered and empty: the base it is derived from, or any other series, may tell that it had trades.
               WHEN stored = 0 AND $2 <> $3 AND EXISTS (
                   SELECT FROM session_audit AS base
                   WHERE base.symbol = u.symbol AND base.timeframe = $3 AND base.n_bars > 0
                     AND base.session_date BETWEEN unit_date AND last_date) THEN 'contradiction'
               WHEN stored = 0 AND NOT cover && confirmed AND EXISTS (
                   SELECT FROM session_audit AS other
                   WHERE other.symbol = u.symbol AND other.timeframe = ANY('{1m,5m,15m,30m,1h,4h,1d}')
                     AND other.n_bars > 0
                     AND other.session_date BETWEEN unit_date AND last_date) THEN 'vendor_hole'
               WHEN NOT cover <@ standing THEN 'recheck_due'
               WHEN stored = 0 THEN 'verified_empty'
               WHEN audited = 0 THEN 'unverified'
               ELSE 'complete'
           END AS state
    FROM counted AS u
    OFFSET 0
),
-- Most units are complete: what is not is found out, with a fence before the first unit, and the rest is between.
others AS (
    SELECT symbol, ordinal, state, lag(ordinal) OVER near AS ordinal_before, lag(state) OVER near AS state_before,
           lead(ordinal) OVER near AS ordinal_after
    FROM (SELECT symbol, ordinal, state FROM judged WHERE state <> 'complete'
          UNION ALL SELECT symbol, 0, NULL FROM series) AS o
    WINDOW near AS (PARTITION BY symbol ORDER BY ordinal)
),
starts AS (
    SELECT symbol, ordinal, state FROM others
    WHERE ordinal > 0 AND (state, ordinal - 1) IS DISTINCT FROM (state_before, ordinal_before)
    UNION ALL
    SELECT symbol, ordinal + 1, 'complete' FROM others CROSS JOIN extent AS e
    WHERE coalesce(ordinal_after, e.units + 1) > ordinal + 1
),
runs AS (
    SELECT symbol, state, ordinal, lead(ordinal, 1, e.units + 1) OVER (PARTITION BY symbol ORDER BY ordinal) AS past
    FROM starts CROSS JOIN extent AS e
)
SELECT r.symbol, r.state, a.unit_date AS gap_start, z.last_date + 1 AS gap_end, r.past - r.ordinal AS units
FROM runs AS r JOIN units AS a ON a.ordinal = r.ordinal JOIN units AS z ON z.ordinal = r.past - 1
ORDER BY r.symbol, gap_start
