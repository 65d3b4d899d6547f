-- The jumps of these symbols that nobody has dismissed.
-- $1 symbols text[]
-- -> symbol, session_date, observed, looks_like, noted_at
SELECT symbol, session_date, observed, looks_like, noted_at
FROM price_jumps
WHERE symbol = ANY($1::text[]) AND NOT dismissed
ORDER BY symbol, session_date
