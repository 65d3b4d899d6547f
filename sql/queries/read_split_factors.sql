-- The eras of a symbol's bars shorter than 1w, as seen at a moment, oldest first.
-- $1 symbol   $2 moment timestamptz
-- -> era_end timestamptz (exclusive; the era begins where the one before ends), factor float8
-- relies on the primary key of split_eras
SELECT era_end, factor
FROM split_eras
WHERE symbol = $1::text AND timeframe = '1d' AND as_of_start <= $2::timestamptz AND as_of_end > $2::timestamptz
ORDER BY era_start
