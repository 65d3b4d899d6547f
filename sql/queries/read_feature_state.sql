-- As read_feature_states, of one series, with its newest row of features and where its sums go on from.
-- $1 symbol text   $2 timeframe text   $3 moment timestamptz, of whose splits the bars are adjusted
-- -> version integer, basis text, computed tstzmultirange, changes bigint (all four null: none), last_bar, last_row
--    timestamptz (null: none), era_ends timestamptz[], factors float8[] (null: no splits), obv_at timestamptz, obv float8
--    (of the last current row that has one; null: none)
-- relies on the primary keys of feature_state, market_data, market_data_v2 and split_eras
SELECT s.version, s.basis, s.computed, s.changes,
       (SELECT m.timestamp FROM market_data AS m
        WHERE m.symbol = $1::text AND m.timeframe = $2::text ORDER BY m.timestamp DESC LIMIT 1) AS last_bar,
       (SELECT f.timestamp FROM market_data_v2 AS f
        WHERE f.symbol = $1::text AND f.timeframe = $2::text ORDER BY f.timestamp DESC LIMIT 1) AS last_row,
       era.era_ends, era.factors, known.timestamp AS obv_at, known.obv
FROM (SELECT array_agg(e.era_end ORDER BY e.era_start) AS era_ends, array_agg(e.factor ORDER BY e.era_start) AS factors
      FROM split_eras AS e
      WHERE e.symbol = $1::text AND e.timeframe = $2::text AND e.as_of_start <= $3 AND e.as_of_end > $3) AS era
LEFT JOIN feature_state AS s ON s.symbol = $1::text AND s.timeframe = $2::text
LEFT JOIN LATERAL (
    SELECT f.timestamp, f.obv
    FROM market_data_v2 AS f
    WHERE f.symbol = $1::text AND f.timeframe = $2::text AND f.timestamp < upper(s.computed) AND f.obv IS NOT NULL
    ORDER BY f.timestamp DESC LIMIT 1
) AS known ON true
