-- The vendor changed a split: what it said before is kept beside it, and it counts again.
-- $1 id stored   $2 symbol   $3 execution date   $4 split_from   $5 split_to   $6 kind   $7 now timestamptz
UPDATE splits
SET previous = previous || jsonb_build_object(
        'until', $7::timestamptz, 'symbol', symbol, 'execution_date', execution_date,
        'split_from', split_from, 'split_to', split_to, 'kind', kind),
    symbol = $2::text, execution_date = $3::date, split_from = $4::numeric, split_to = $5::numeric, kind = $6::text,
    changed_at = $7::timestamptz, missing_since = NULL, withdrawn_at = NULL
WHERE id = $1::text
