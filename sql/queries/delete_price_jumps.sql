-- Jumps of these symbols that are no longer found, or on whose day a split is applied by now.
-- $1 symbols text[]   $2 since when was looked date (NULL = ever)   $3 symbols found text[]   $4 dates found date[]
DELETE FROM price_jumps AS p
WHERE p.symbol = ANY($1::text[])
  AND (EXISTS (SELECT FROM splits AS s
               WHERE s.symbol = p.symbol AND s.execution_date = p.session_date
                 AND s.applied AND s.withdrawn_at IS NULL)
       OR (p.session_date > coalesce($2::date, '-infinity')
           AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::date[]) AS f (symbol, session_date)
                           WHERE f.symbol = p.symbol AND f.session_date = p.session_date)))
