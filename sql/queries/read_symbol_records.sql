-- The tracked symbols with what is stored of them, by name.
-- $1 symbols text[] (NULL = all, paused ones too)
-- -> symbol, asset_class, vendor_ticker, active, timeframes text[], n_bars, first_ts, last_ts, open_gaps, open_gap_days
-- reads neither market_data nor session_audit
SELECT r.symbol, r.asset_class, r.vendor_ticker, r.active, t.timeframes, r.n_bars, r.first_ts, r.last_ts,
       r.open_gaps, r.open_gap_days
FROM symbol_records AS r JOIN tracked_symbols AS t USING (symbol)
WHERE $1::text[] IS NULL OR r.symbol = ANY($1::text[])
ORDER BY r.symbol
