-- Splits the vendor lists for the first time.
-- $1 ids text[]   $2 symbols text[]   $3 execution dates date[]   $4 split_from numeric[]   $5 split_to numeric[]
-- $6 kinds text[]   $7 now timestamptz
INSERT INTO splits (id, symbol, execution_date, split_from, split_to, kind, seen_at)
SELECT *, $7::timestamptz FROM unnest($1::text[], $2::text[], $3::date[], $4::numeric[], $5::numeric[], $6::text[])
