-- What is known of a calendar.
-- $1 calendar text
-- -> zone text, version text, known_from date, horizon date (exclusive); no row: never filled
SELECT zone, version, known_from, horizon
FROM calendars
WHERE calendar = $1
