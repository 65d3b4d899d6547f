-- The old bars of a series are wanted again.
-- $1 symbol   $2 timeframe
-- -> kept_from date; no row: they were never dropped
DELETE FROM retention WHERE symbol = $1 AND timeframe = $2 RETURNING kept_from
