-- Let one transaction at a time write the bars of a symbol that are built from one base; waits.
-- $1 symbol   $2 base timeframe
SELECT pg_advisory_xact_lock(
    hashtextextended(coalesce(current_schema(), '') || ' ' || $1::text || ' ' || $2::text, 1296190278))
