-- The plan was found not to include a series up to some instant.
-- $1 symbol   $2 timeframe   $3 refused_until timestamptz
INSERT INTO series_status AS s (symbol, timeframe, refused_until)
VALUES ($1, $2, $3)
ON CONFLICT (symbol, timeframe) DO UPDATE SET refused_until = greatest(s.refused_until, excluded.refused_until)
