-- The features of some series of a symbol are no longer current from an instant on.
-- $1 symbol text   $2 timeframes text[]   $3 since timestamptz[], one to each
-- relies on the primary key of feature_state; in the order of the key, so that two of these never wait for each other
WITH changed AS (
    SELECT s.symbol, s.timeframe, wanted.since
    FROM unnest($2::text[], $3::timestamptz[]) AS wanted(timeframe, since)
    JOIN feature_state AS s ON s.symbol = $1 AND s.timeframe = wanted.timeframe
    WHERE upper(s.computed) > wanted.since
    ORDER BY s.timeframe
    FOR UPDATE OF s
)
UPDATE feature_state AS s
SET computed = s.computed * tstzmultirange(tstzrange(NULL, changed.since))
FROM changed
WHERE s.symbol = changed.symbol AND s.timeframe = changed.timeframe
