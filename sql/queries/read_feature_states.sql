-- Of some series: which of their features are current, what else they rest on, and their newest bar.
-- $1 symbols text[]   $2 timeframes text[], one to each   $3 moment timestamptz, of whose splits the bars are adjusted
-- -> symbol, timeframe, version integer, basis text, computed tstzmultirange, changes bigint (all four null: none),
--    last_bar timestamptz (null: none), era_ends timestamptz[], factors float8[] (null: no splits)
-- relies on the primary keys of feature_state, market_data and split_eras: one probe a series
SELECT wanted.symbol, wanted.timeframe, s.version, s.basis, s.computed, s.changes, bar.timestamp AS last_bar,
       era.era_ends, era.factors
FROM unnest($1::text[], $2::text[]) AS wanted(symbol, timeframe)
LEFT JOIN feature_state AS s ON s.symbol = wanted.symbol AND s.timeframe = wanted.timeframe
LEFT JOIN LATERAL (
    SELECT m.timestamp
    FROM market_data AS m
    WHERE m.symbol = wanted.symbol AND m.timeframe = wanted.timeframe
    ORDER BY m.timestamp DESC LIMIT 1
) AS bar ON true
CROSS JOIN LATERAL (
    SELECT array_agg(e.era_end ORDER BY e.era_start) AS era_ends, array_agg(e.factor ORDER BY e.era_start) AS factors
    FROM split_eras AS e
    WHERE e.symbol = wanted.symbol AND e.timeframe = wanted.timeframe AND e.as_of_start <= $3 AND e.as_of_end > $3
) AS era
