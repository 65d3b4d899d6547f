-- The eras of a symbol, before others are written.
-- $1 symbol
DELETE FROM split_eras WHERE symbol = $1::text
