-- Track a symbol; one that is tracked already stays as it is.
-- $1 symbol   $2 asset_class   $3 vendor_ticker   $4 calendar   $5 listed_from date   $6 listed_until date
INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar, listed_from, listed_until)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
