-- What the features of a symbol rest on was written: from some instant on they are no longer current.
-- $1 symbol text   $2 timeframes text[]   $3 since timestamptz[], one to each
-- relies on the primary key of feature_state; in the order of the key, so that two of these never wait for each other
WITH written AS (
    SELECT s.symbol, s.timeframe, wanted.since
    FROM unnest($2::text[], $3::timestamptz[]) AS wanted(timeframe, since)
    JOIN feature_state AS s ON s.symbol = $1 AND s.timeframe = wanted.timeframe
    ORDER BY s.timeframe
    FOR UPDATE OF s
)
UPDATE feature_state AS s
SET changes = s.changes + 1, computed = s.computed * tstzmultirange(tstzrange(NULL, written.since))
FROM written
WHERE s.symbol = written.symbol AND s.timeframe = written.timeframe
