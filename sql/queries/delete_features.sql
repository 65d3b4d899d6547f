-- Remove the rows of some bars of a series.
-- $1 symbol text   $2 timeframe text   $3 stamps timestamptz[]
-- relies on the primary key (symbol, timeframe, timestamp)
DELETE FROM market_data_v2 WHERE symbol = $1 AND timeframe = $2 AND timestamp = ANY($3::timestamptz[])
