-- When the vendor was last asked for the events of these symbols; a symbol never asked about has no row.
-- $1 symbols text[]   $2 kind text (splits or dividends)
-- -> symbol, checked_at, full_at
SELECT symbol, checked_at, full_at FROM corporate_action_checks WHERE symbol = ANY($1::text[]) AND kind = $2::text
