-- One rate budget per key, shared by all processes and hosts.

CREATE TABLE rate_budget (
    key_hash   bytea PRIMARY KEY,
    version    bigint NOT NULL,
    shares     jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE rate_budget IS 'who may send how much with a key, and what was learnt of its limit';
COMMENT ON COLUMN rate_budget.key_hash IS 'HMAC-SHA-256 of the key under rate_budget_salt; the key itself is nowhere';
COMMENT ON COLUMN rate_budget.version IS 'counts the changes: who read an older one may not write';
COMMENT ON COLUMN rate_budget.shares IS 'lib/store/shares.py; moments in seconds since 1970 by this server''s clock';

CREATE TABLE rate_budget_salt (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    salt     bytea NOT NULL
);
INSERT INTO rate_budget_salt (salt)
VALUES (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
