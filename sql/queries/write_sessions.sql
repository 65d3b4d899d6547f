-- Make the sessions of a calendar these and no others; unchanged rows are not written.
-- $1 calendar text   $2 days int[] since 1970-01-01   $3 opens bigint[]   $4 closes bigint[] (ms since 1970-01-01 UTC)
WITH known AS (
    SELECT date '1970-01-01' + s.day AS session_date,
           timestamptz 'epoch' + s.open_ms * interval '1 millisecond' AS open_utc,
           timestamptz 'epoch' + s.close_ms * interval '1 millisecond' AS close_utc
    FROM unnest($2::int[], $3::bigint[], $4::bigint[]) AS s(day, open_ms, close_ms)
), gone AS (
    DELETE FROM trading_sessions t
    WHERE t.calendar = $1 AND t.session_date NOT IN (SELECT session_date FROM known)
)
INSERT INTO trading_sessions AS t (calendar, session_date, open_utc, close_utc)
SELECT $1, session_date, open_utc, close_utc
FROM known
ON CONFLICT (calendar, session_date) DO UPDATE
SET open_utc = excluded.open_utc, close_utc = excluded.close_utc
WHERE (t.open_utc, t.close_utc) IS DISTINCT FROM (excluded.open_utc, excluded.close_utc)
