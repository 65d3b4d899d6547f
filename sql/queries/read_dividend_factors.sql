-- The eras between a symbol's ex dates, as seen at a moment, oldest first.
-- $1 symbol   $2 moment timestamptz
-- -> ex_time timestamptz (exclusive end; the era begins where the one before ends), era_factor float8
SELECT ex_time, era_factor FROM dividend_eras($2::timestamptz) WHERE symbol = $1::text ORDER BY ex_time
