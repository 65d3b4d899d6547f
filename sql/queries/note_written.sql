-- An answer was stored: how far the series it touched are now.
-- $1 symbol   $2 timeframes text[]   $3 more bigint[]: by how much their audited counts grew   $4 first_ts timestamptz[]
-- $5 last_ts timestamptz[]: of the bars in the days touched (NULL: none)   $6 changed boolean[]: bars were written
-- $7 answered_from timestamptz   $8 answered_until timestamptz (both NULL: nothing was asked)
-- $9 with_bars boolean   $10 day_start timestamptz of the last date answered   $11 now timestamptz
-- In the order of the key, as every other writer: two of them never wait for each other.
INSERT INTO series_status AS s
    (symbol, timeframe, n_bars, first_ts, last_ts, answered_until, empty_until, written_at)
SELECT $1, a.timeframe, a.more, a.first_ts, a.last_ts, CASE WHEN $9::boolean THEN $8::timestamptz END,
       CASE WHEN NOT $9::boolean THEN $8::timestamptz END, CASE WHEN a.changed THEN $11::timestamptz END
FROM unnest($2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::boolean[])
     AS a(timeframe, more, first_ts, last_ts, changed)
ORDER BY a.timeframe COLLATE "C"
ON CONFLICT (symbol, timeframe) DO UPDATE
SET n_bars = s.n_bars + excluded.n_bars, first_ts = least(s.first_ts, excluded.first_ts),
    last_ts = greatest(s.last_ts, excluded.last_ts),
    -- An answer without bars that goes on from one with some, on one day, says that nobody traded since.
    answered_until = greatest(s.answered_until, excluded.answered_until,
                              CASE WHEN s.answered_until >= $7 AND s.last_ts >= $10 THEN $8 END),
    empty_until = greatest(s.empty_until, excluded.empty_until),
    refused_until = CASE WHEN s.refused_until > $8 OR $8 IS NULL THEN s.refused_until END,
    written_at = coalesce(excluded.written_at, s.written_at)
