-- From now on the bars of a series are kept from a date on only; an earlier date does not bring anything back.
-- $1 symbol   $2 timeframe   $3 kept_from date   $4 now timestamptz
INSERT INTO retention AS r (symbol, timeframe, kept_from, pruned_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (symbol, timeframe)
DO UPDATE SET kept_from = greatest(r.kept_from, excluded.kept_from), pruned_at = excluded.pruned_at
