-- Note how far a calendar is known. The extended hours are set once: what is changed there later stays.
-- $1 calendar text   $2 zone text   $3 extended_open time (null: with the session)   $4 extended_after interval
-- $5 version text   $6 known_from date   $7 horizon date (exclusive)
INSERT INTO calendars (calendar, zone, extended_open, extended_after, version, known_from, horizon)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (calendar) DO UPDATE
SET version = excluded.version, known_from = excluded.known_from, horizon = excluded.horizon, refreshed_at = now()
