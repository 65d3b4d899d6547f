-- The bars of a series with dates before one, by the audited counts.
-- $1 symbol   $2 timeframe   $3 before date
-- -> bigint
SELECT coalesce(sum(n_bars), 0)::bigint FROM session_audit WHERE symbol = $1 AND timeframe = $2 AND session_date < $3
