-- The stored minutes of the regular hours of some sessions, per session, for the statistics of rows without a ledger.
-- $1 symbol text   $2 calendar text   $3 first date   $4 past date
-- -> session_date date, slots integer (minutes of the regular session), minutes integer[] (0 = the opening minute)
-- relies on the primary key of market_data
SELECT s.session_date,
       (extract(epoch FROM s.close_utc - s.open_utc) / 60)::integer AS slots,
       ARRAY(SELECT (extract(epoch FROM m.timestamp - s.open_utc) / 60)::integer
             FROM market_data AS m
             WHERE m.symbol = $1 AND m.timeframe = '1m'
               AND m.timestamp >= s.open_utc AND m.timestamp < s.close_utc
               AND date_bin('1 minute', m.timestamp, 'epoch') = m.timestamp
             ORDER BY m.timestamp) AS minutes
FROM sessions AS s
WHERE s.calendar = $2 AND s.session_date >= $3 AND s.session_date < $4
ORDER BY s.session_date
