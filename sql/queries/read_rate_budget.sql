-- The shares of a key, and the time they are to be judged by.
-- $1 key_hash bytea
-- -> now double precision (seconds since 1970), version bigint, shares jsonb; both NULL before the first write
SELECT extract(epoch FROM clock_timestamp())::double precision AS now, b.version, b.shares
FROM (VALUES (true)) AS always LEFT JOIN rate_budget AS b ON b.key_hash = $1
