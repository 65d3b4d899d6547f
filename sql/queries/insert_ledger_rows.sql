-- Add ledger rows of one series.
-- $1 symbol text   $2 timeframe text   $3 starts timestamptz[]   $4 ends timestamptz[]   $5 outcomes text[]
-- $6 n_bars bigint[]   $7 attempts int[]   $8 fetched_at timestamptz[]   $9 verify_after timestamptz[]
INSERT INTO fetch_log (symbol, timeframe, rng, outcome, n_bars, attempt, fetched_at, verify_after)
SELECT $1, $2, tstzrange(a.range_start, a.range_end), a.outcome, a.n_bars, a.attempt, a.fetched_at, a.verify_after
FROM unnest($3::timestamptz[], $4::timestamptz[], $5::text[], $6::bigint[], $7::int[], $8::timestamptz[],
            $9::timestamptz[])
     AS a(range_start, range_end, outcome, n_bars, attempt, fetched_at, verify_after)
