-- Of some series: which of their features are current, and their newest bar.
-- $1 symbols text[]   $2 timeframes text[], one to each
-- -> symbol, timeframe, version integer, basis text, computed tstzmultirange (all null: none), last_bar timestamptz (null: none)
-- relies on the primary keys of feature_state and market_data: one probe a series
SELECT wanted.symbol, wanted.timeframe, s.version, s.basis, s.computed, bar.timestamp AS last_bar
FROM unnest($1::text[], $2::text[]) AS wanted(symbol, timeframe)
LEFT JOIN feature_state AS s ON s.symbol = wanted.symbol AND s.timeframe = wanted.timeframe
LEFT JOIN LATERAL (
    SELECT m.timestamp
    FROM market_data AS m
    WHERE m.symbol = wanted.symbol AND m.timeframe = wanted.timeframe
    ORDER BY m.timestamp DESC LIMIT 1
) AS bar ON true
