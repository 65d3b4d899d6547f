-- Tracked symbols by name, in the order of their names.
-- $1 symbols text[] (NULL = every active one)
-- -> symbol, asset_class, vendor_ticker, timeframes, active, listed_from, listed_until, pruned text[] (timeframes),
--    kept_from date[], one to each: from when on their bars are kept
SELECT t.symbol, t.asset_class, t.vendor_ticker, t.timeframes, t.active, t.listed_from, t.listed_until,
       coalesce(r.pruned, '{}') AS pruned, coalesce(r.kept_from, '{}') AS kept_from
FROM tracked_symbols AS t
LEFT JOIN (SELECT symbol, array_agg(timeframe) AS pruned, array_agg(kept_from) AS kept_from
           FROM retention GROUP BY symbol) AS r USING (symbol)
WHERE CASE WHEN $1::text[] IS NULL THEN t.active ELSE t.symbol = ANY($1::text[]) END
ORDER BY t.symbol
