-- Audited bars of some series of one symbol for local dates [first, last]; without the series that have none.
-- $1 symbol text   $2 timeframes text[]   $3 first date   $4 last date
-- -> timeframe text, n_bars bigint, first_ts timestamptz, last_ts timestamptz
-- relies on the primary key (symbol, timeframe, session_date)
SELECT timeframe, sum(n_bars)::bigint AS n_bars, min(first_ts) AS first_ts, max(last_ts) AS last_ts
FROM session_audit
WHERE symbol = $1 AND timeframe = ANY($2) AND session_date BETWEEN $3 AND $4 AND n_bars > 0
GROUP BY timeframe
