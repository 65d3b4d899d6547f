-- As read_feature_states, of one series and with its newest row of features; nobody can make it stale before this
-- transaction ends.
-- $1 symbol text   $2 timeframe text
-- -> version integer, basis text, computed tstzmultirange (all null: none), last_bar, last_row timestamptz (null: none)
-- relies on the primary keys of feature_state, market_data and market_data_v2
SELECT s.version, s.basis, s.computed,
       (SELECT m.timestamp FROM market_data AS m
        WHERE m.symbol = $1::text AND m.timeframe = $2::text ORDER BY m.timestamp DESC LIMIT 1) AS last_bar,
       (SELECT f.timestamp FROM market_data_v2 AS f
        WHERE f.symbol = $1::text AND f.timeframe = $2::text ORDER BY f.timestamp DESC LIMIT 1) AS last_row
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
    SELECT version, basis, computed FROM feature_state WHERE symbol = $1::text AND timeframe = $2::text FOR UPDATE
) AS s ON true
