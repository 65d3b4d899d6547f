-- How far each series of some tracked symbols is; a series without a row was never asked for.
-- $1 symbols text[] (NULL = every active one)   $2 timeframes text[] (NULL = each symbol's own)
-- -> symbol, timeframe, n_bars, first_ts, last_ts, answered_until, empty_until, refused_until (both of its base too),
--    written_at, attempted_at, failures, error, gaps, gap_days, longest_gap
-- relies on the partial index backfill_gaps_open; reads neither market_data nor session_audit
SELECT w.symbol, w.timeframe, coalesce(s.n_bars - s.n_lost, 0) AS n_bars, s.first_ts, s.last_ts, s.answered_until,
       coalesce(s.empty_until, b.empty_until) AS empty_until, coalesce(s.refused_until, b.refused_until) AS refused_until,
       s.written_at, s.attempted_at, coalesce(s.failures, 0) AS failures, s.error,
       coalesce(g.gaps, 0) AS gaps, coalesce(g.gap_days, 0) AS gap_days, coalesce(g.longest_gap, 0) AS longest_gap
FROM (SELECT t.symbol, f.timeframe, CASE WHEN f.timeframe IN ('1d', '1w') THEN '1d' ELSE '1m' END AS base
      FROM tracked_symbols AS t CROSS JOIN unnest(coalesce($2::text[], t.timeframes)) AS f(timeframe)
      WHERE CASE WHEN $1::text[] IS NULL THEN t.active ELSE t.symbol = ANY($1::text[]) END) AS w
LEFT JOIN series_status AS s ON s.symbol = w.symbol AND s.timeframe = w.timeframe
LEFT JOIN series_status AS b ON b.symbol = w.symbol AND b.timeframe = w.base
LEFT JOIN (SELECT symbol, timeframe, count(*) AS gaps, sum(days) AS gap_days, max(days) AS longest_gap
           FROM backfill_gaps WHERE NOT filled GROUP BY symbol, timeframe) AS g
    ON g.symbol = w.symbol AND g.timeframe = w.timeframe
ORDER BY w.symbol, array_position('{1m,5m,15m,30m,1h,4h,1d,1w}'::text[], w.timeframe)
