-- Dividends of these symbols that total returns leave out, as seen at a moment; those with day bars on both sides,
-- since between others there is nothing to compare.
-- $1 symbols text[]   $2 moment timestamptz
-- -> symbol, ex_date, reason
-- relies on the primary key of market_data
SELECT o.symbol, o.ex_date, o.reason
FROM (SELECT symbol, (ex_time AT TIME ZONE 'America/New_York')::date AS ex_date,
             CASE WHEN close_before IS NULL THEN 'no day bar in the ten days before'
                  ELSE 'as large as the price before it' END AS reason
      FROM dividend_eras($2::timestamptz)
      WHERE symbol = ANY($1::text[]) AND factor IS NULL
      UNION ALL
      SELECT symbol, ex_date, 'paid in ' || currency
      FROM dividends
      WHERE symbol = ANY($1::text[]) AND withdrawn_at IS NULL AND currency <> 'USD') AS o
WHERE EXISTS (SELECT FROM market_data AS m
              WHERE m.symbol = o.symbol AND m.timeframe = '1d'
                AND m.timestamp < o.ex_date::timestamp AT TIME ZONE 'America/New_York')
  AND EXISTS (SELECT FROM market_data AS m
              WHERE m.symbol = o.symbol AND m.timeframe = '1d'
                AND m.timestamp >= o.ex_date::timestamp AT TIME ZONE 'America/New_York')
ORDER BY o.symbol, o.ex_date
