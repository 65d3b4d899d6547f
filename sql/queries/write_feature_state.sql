-- Set which features of a series are current.
-- $1 symbol   $2 timeframe   $3 version integer   $4 basis text   $5 computed tstzmultirange   $6 computed_at timestamptz
INSERT INTO feature_state (symbol, timeframe, version, basis, computed, computed_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (symbol, timeframe) DO UPDATE
SET version = excluded.version, basis = excluded.basis, computed = excluded.computed, computed_at = excluded.computed_at
