-- The ledger rows of some series that overlap or touch [start, end) of each, by series, oldest first.
-- $1 symbols text[]   $2 timeframes text[]   $3 starts timestamptz[]   $4 ends timestamptz[], one of each to a series
-- -> number bigint, of the series, from 1, id, range_start, range_end timestamptz, outcome, n_bars, attempt, fetched_at,
--    verify_after
-- relies on index fetch_log_series (symbol, timeframe, lower(rng))
SELECT
    wanted.number, id, lower(rng) AS range_start, upper(rng) AS range_end, outcome, n_bars, attempt, fetched_at,
    verify_after
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
    WITH ORDINALITY AS wanted(symbol, timeframe, range_start, range_end, number)
JOIN fetch_log AS l
    ON l.symbol = wanted.symbol AND l.timeframe = wanted.timeframe
    AND lower(rng) <= wanted.range_end AND upper(rng) >= wanted.range_start
ORDER BY wanted.number, lower(rng)
