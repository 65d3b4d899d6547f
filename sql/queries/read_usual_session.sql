-- How many minute bars a session of one symbol has on average, of those that have any.
-- $1 symbol text   $2 least number of sessions int
-- -> double precision, NULL when fewer sessions were seen
-- relies on the primary key (symbol, timeframe, session_date)
SELECT CASE WHEN count(*) >= $2 THEN avg(n_bars)::double precision END
FROM session_audit
WHERE symbol = $1 AND timeframe = '1m' AND n_bars > 0
