-- By which splits these symbols were adjusted when they were last looked at.
-- $1 symbols text[]
-- -> symbol, applied, basis
SELECT symbol, applied, basis FROM split_bases WHERE symbol = ANY($1::text[])
