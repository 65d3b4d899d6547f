-- The sessions in force of a calendar as columns, in no order, and the dates it knows.
-- $1 calendar text   $2 since date: only those from it on (NULL = all)
-- -> zone text, known_from date, horizon date (exclusive); by array_send, null if there are none: days bigint since
--    1970-01-01; opens, closes, extended_opens, extended_closes timestamptz
SELECT c.zone, greatest(c.known_from, $2::date) AS known_from, c.horizon, s.days, s.opens, s.closes, s.extended_opens, s.extended_closes
FROM calendars c
CROSS JOIN LATERAL (
    SELECT array_send(array_agg((session_date - date 'epoch')::bigint)) AS days,
           array_send(array_agg(open_utc)) AS opens,
           array_send(array_agg(close_utc)) AS closes,
           array_send(array_agg(extended_open_utc)) AS extended_opens,
           array_send(array_agg(extended_close_utc)) AS extended_closes
    FROM sessions
    WHERE calendar = c.calendar AND session_date >= greatest(c.known_from, $2::date)
) s
WHERE c.calendar = $1
