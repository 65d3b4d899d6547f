-- The units of a tracked symbol in one timeframe: sessions, or Sunday weeks for 1w, with dates in [first, past).
-- $1 symbol text   $2 timeframe text   $3 first date   $4 past date
-- -> unit_date date, last_date date; ascending
SELECT u.unit_date, u.last_date
FROM tracked_symbols AS t CROSS JOIN LATERAL session_units(t.calendar, $2, $3, $4) AS u
WHERE t.symbol = $1
ORDER BY u.unit_date
