-- The jumps found; one that was found before stays as it is.
-- $1 symbols text[]   $2 session dates date[]   $3 observed float8[]   $4 looks like text[]   $5 now timestamptz
INSERT INTO price_jumps (symbol, session_date, observed, looks_like, noted_at)
SELECT *, $5::timestamptz FROM unnest($1::text[], $2::date[], $3::float8[], $4::text[])
ON CONFLICT (symbol, session_date) DO NOTHING
