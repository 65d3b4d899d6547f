-- Pause or resume tracked symbols.
-- $1 symbols text[]   $2 active boolean
-- -> symbol, of those that are tracked
UPDATE tracked_symbols SET active = $2 WHERE symbol = ANY($1::text[]) RETURNING symbol
