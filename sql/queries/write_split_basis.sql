-- By which splits a symbol is adjusted from now on.
-- $1 symbol   $2 applied   $3 basis   $4 now timestamptz
INSERT INTO split_bases AS stored (symbol, applied, basis, since) VALUES ($1, $2, $3, $4)
ON CONFLICT (symbol) DO UPDATE
SET applied = excluded.applied, basis = excluded.basis,
    since = CASE WHEN stored.basis = excluded.basis THEN stored.since ELSE excluded.since END
