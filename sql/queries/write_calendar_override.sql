-- Note what was announced for a date; a later announcement for the same date replaces it.
-- $1 calendar text   $2 session_date date   $3 kind text: closed, early, late, open
-- $4 open_utc timestamptz   $5 close_utc timestamptz   $6 source text
INSERT INTO calendar_overrides (calendar, session_date, kind, open_utc, close_utc, source)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (calendar, session_date) DO UPDATE
SET kind = excluded.kind, open_utc = excluded.open_utc, close_utc = excluded.close_utc,
    source = excluded.source, noted_at = now()
