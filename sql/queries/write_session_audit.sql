-- Set the audited counts of one series for the given local dates.
-- $1 symbol text   $2 timeframe text   $3 session_dates date[]   $4 n_bars int[]   $5 n_regular int[]
-- $6 first_ts timestamptz[]   $7 last_ts timestamptz[]
INSERT INTO session_audit (symbol, timeframe, session_date, n_bars, n_regular, first_ts, last_ts)
SELECT $1, $2, a.*
FROM unnest($3::date[], $4::int[], $5::int[], $6::timestamptz[], $7::timestamptz[]) AS a
ON CONFLICT (symbol, timeframe, session_date) DO UPDATE
SET n_bars = excluded.n_bars, n_regular = excluded.n_regular,
    first_ts = excluded.first_ts, last_ts = excluded.last_ts
