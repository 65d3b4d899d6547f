-- A condition holds: a new alert, or the open one seen again.
-- $1 rule text   $2 subject text   $3 severity text   $4 text   $5 now timestamptz
INSERT INTO alerts (rule, subject, severity, text, raised_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (rule, subject) WHERE resolved_at IS NULL
DO UPDATE SET severity = excluded.severity, text = excluded.text, seen_at = excluded.seen_at
