-- Give up what lock_migrations took.
SELECT pg_advisory_unlock(1296190278, hashtext(coalesce(current_schema(), '') || ' migrations'))
