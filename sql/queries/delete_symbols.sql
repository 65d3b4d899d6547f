-- Track some symbols no longer; what is stored of them stays.
-- $1 symbols text[]
-- -> symbol, of those that were tracked
DELETE FROM tracked_symbols WHERE symbol = ANY($1::text[]) RETURNING symbol
