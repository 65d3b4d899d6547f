-- Splits of these symbols with dates from a day on, and whatever else has one of these ids.
-- $1 symbols text[]   $2 since date (NULL = ever)   $3 ids text[]
-- -> id, symbol, execution_date, split_from, split_to, kind, missing_since, withdrawn_at
-- relies on index splits_symbol and on the primary key
SELECT id, symbol, execution_date, split_from, split_to, kind, missing_since, withdrawn_at
FROM splits
WHERE (symbol = ANY($1::text[]) AND execution_date >= coalesce($2::date, '-infinity')) OR id = ANY($3::text[])
