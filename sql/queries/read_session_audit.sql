-- The audited counts of some timeframes of a symbol for local dates [first, last].
-- $1 symbol text   $2 timeframes text[]   $3 first date   $4 last date
-- -> timeframe, session_date, n_bars, n_regular, first_ts, last_ts
-- relies on the primary key (symbol, timeframe, session_date)
SELECT timeframe, session_date, n_bars, n_regular, first_ts, last_ts
FROM session_audit
WHERE symbol = $1 AND timeframe = ANY($2::text[]) AND session_date BETWEEN $3 AND $4
