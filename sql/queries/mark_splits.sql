-- Splits that the vendor no longer lists, has taken back, or lists again.
-- $1 ids text[]   $2 mark: missing, withdrawn or back   $3 now timestamptz
UPDATE splits
SET missing_since = CASE $2::text WHEN 'missing' THEN $3::timestamptz WHEN 'withdrawn' THEN missing_since END,
    withdrawn_at = CASE $2::text WHEN 'withdrawn' THEN $3::timestamptz END
WHERE id = ANY($1::text[])
