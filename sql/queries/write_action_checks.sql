-- The vendor has been asked for the events of these symbols.
-- $1 symbols text[]   $2 kind text   $3 when timestamptz   $4 whether for all of them, not only the latest
INSERT INTO corporate_action_checks AS stored (symbol, kind, checked_at, full_at)
SELECT symbol, $2::text, $3::timestamptz, $3::timestamptz FROM unnest($1::text[]) AS symbol
ON CONFLICT (symbol, kind) DO UPDATE
SET checked_at = excluded.checked_at, full_at = CASE WHEN $4::boolean THEN excluded.full_at ELSE stored.full_at END
