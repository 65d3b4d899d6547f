-- Audited bars of one series for local dates [first, last].
-- $1 symbol text   $2 timeframe text   $3 first date   $4 last date
-- -> n_bars bigint, first_ts timestamptz, last_ts timestamptz (NULL when there are none)
-- relies on the primary key (symbol, timeframe, session_date)
SELECT coalesce(sum(n_bars), 0)::bigint AS n_bars, min(first_ts) AS first_ts, max(last_ts) AS last_ts
FROM session_audit
WHERE symbol = $1 AND timeframe = $2 AND session_date BETWEEN $3 AND $4 AND n_bars > 0
