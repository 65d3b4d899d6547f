-- Change the shares of a key, unless somebody else did since they were read.
-- $1 key_hash bytea   $2 version bigint as read, 0 if there was none   $3 shares jsonb
-- -> version bigint; no row: somebody did
INSERT INTO rate_budget AS b (key_hash, version, shares, updated_at)
VALUES ($1, $2 + 1, $3, clock_timestamp())
ON CONFLICT (key_hash) DO UPDATE
SET version = excluded.version, shares = excluded.shares, updated_at = excluded.updated_at
WHERE b.version = $2
RETURNING b.version
