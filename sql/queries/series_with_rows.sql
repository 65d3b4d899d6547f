-- Which of some timeframes of a symbol have any bar in [start, end).
-- $1 symbol text   $2 timeframes text[]   $3 start timestamptz   $4 end timestamptz
-- -> timeframe text
-- relies on the primary key (symbol, timeframe, timestamp): one probe a timeframe
SELECT wanted.timeframe
FROM unnest($2::text[]) AS wanted(timeframe)
WHERE EXISTS (
    SELECT FROM market_data AS m
    WHERE m.symbol = $1 AND m.timeframe = wanted.timeframe AND m.timestamp >= $3 AND m.timestamp < $4
)
