-- Alerts whose condition no longer holds have ended.
-- $1 rules text[]   $2 subjects text[], one to each: what still holds   $3 now timestamptz
UPDATE alerts SET resolved_at = $3
WHERE resolved_at IS NULL
  AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS holds(rule, subject)
                  WHERE holds.rule = alerts.rule AND holds.subject = alerts.subject)
