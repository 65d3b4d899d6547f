-- Be the only writer of corporate actions until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('market-backfill corporate actions', 0))
