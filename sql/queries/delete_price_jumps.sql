-- Jumps of these symbols that are no longer found.
-- $1 symbols text[]   $2 symbols found text[]   $3 session dates found date[]
DELETE FROM price_jumps AS p
WHERE p.symbol = ANY($1::text[])
  AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::date[]) AS f (symbol, session_date)
                  WHERE f.symbol = p.symbol AND f.session_date = p.session_date)
