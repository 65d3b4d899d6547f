-- The open gaps of active symbols in the timeframes wanted of them.
-- -> symbol, timeframe, gap_start, gap_end, days, state; by symbol, timeframe and date
-- relies on index backfill_gaps_open
SELECT g.symbol, g.timeframe, g.gap_start, g.gap_end, g.days, g.state
FROM backfill_gaps AS g
JOIN tracked_symbols AS t ON t.symbol = g.symbol AND t.active AND g.timeframe = ANY(t.timeframes)
WHERE NOT g.filled
ORDER BY g.symbol, g.timeframe, g.gap_start
