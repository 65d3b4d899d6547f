-- Remove ledger rows that newer answers replace.
-- $1 ids bigint[]
DELETE FROM fetch_log WHERE id = ANY($1::bigint[])
