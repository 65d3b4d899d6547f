-- Tracked symbols by name, in the order of their names.
-- $1 symbols text[] (NULL = every active one)
-- -> symbol, asset_class, vendor_ticker, timeframes, active, listed_from, listed_until
SELECT symbol, asset_class, vendor_ticker, timeframes, active, listed_from, listed_until
FROM tracked_symbols
WHERE CASE WHEN $1::text[] IS NULL THEN active ELSE symbol = ANY($1::text[]) END
ORDER BY symbol
