-- How far each series of some tracked symbols is, as columns: a row an asset class and timeframe, a value a series.
-- What only few series have to tell is in the notes. A series without a row of its own was never asked for.
-- $1 symbols text[] (NULL = every active one)   $2 timeframes text[] (NULL = each symbol's own)
-- -> asset_class, timeframe, symbols text[], errors text[]; by array_send: n_bars, failures bigint, first_ts, last_ts,
--    answered_until, attempted_at timestamptz (1970 = none); notes record[] (symbol, refused_until, empty boolean,
--    listed_from date, listed_until date, gaps bigint, gap_days bigint): NULL if there are none
-- relies on the partial index backfill_gaps_open; reads neither market_data nor session_audit
SELECT w.asset_class, w.timeframe, array_agg(w.symbol) AS symbols, array_agg(s.error) AS errors,
       array_send(array_agg(coalesce(s.n_bars - s.n_lost, 0))) AS n_bars,
       array_send(array_agg(coalesce(s.first_ts, 'epoch'))) AS first_ts,
       array_send(array_agg(coalesce(s.last_ts, 'epoch'))) AS last_ts,
       array_send(array_agg(coalesce(s.answered_until, 'epoch'))) AS answered_until,
       array_send(array_agg(coalesce(s.attempted_at, 'epoch'))) AS attempted_at,
       array_send(array_agg(coalesce(s.failures, 0)::bigint)) AS failures,
       array_agg((w.symbol, coalesce(s.refused_until, b.refused_until),
                  coalesce(s.empty_until, b.empty_until) IS NOT NULL, w.listed_from, w.listed_until,
                  coalesce(g.gaps, 0), coalesce(g.gap_days, 0)))
           FILTER (WHERE s.last_ts IS NULL OR w.listed_until IS NOT NULL OR g.gaps > 0
                      OR coalesce(s.refused_until, b.refused_until) IS NOT NULL) AS notes
FROM (SELECT t.symbol, t.asset_class, t.listed_from, t.listed_until, f.timeframe,
             CASE WHEN f.timeframe IN ('1d', '1w') THEN '1d' ELSE '1m' END AS base
      FROM tracked_symbols AS t CROSS JOIN unnest(coalesce($2::text[], t.timeframes)) AS f(timeframe)
      WHERE CASE WHEN $1::text[] IS NULL THEN t.active ELSE t.symbol = ANY($1::text[]) END) AS w
LEFT JOIN series_status AS s ON s.symbol = w.symbol AND s.timeframe = w.timeframe
-- A derived series was refused, or empty, with its base.
LEFT JOIN series_status AS b ON b.symbol = w.symbol AND b.timeframe = w.base
                            AND (b.refused_until IS NOT NULL OR b.empty_until IS NOT NULL)
LEFT JOIN (SELECT symbol, timeframe, count(*) AS gaps, sum(days) AS gap_days
           FROM backfill_gaps WHERE NOT filled GROUP BY symbol, timeframe) AS g
    ON g.symbol = w.symbol AND g.timeframe = w.timeframe
GROUP BY w.asset_class, w.timeframe
