-- Let one session at a time change the tables of this schema; waits. Held until it is given up, or the session ends.
-- Advisory locks are per database, and 1296190278 ("MBKF") marks the toolkit's; the schema tells installations apart.
SELECT pg_advisory_lock(1296190278, hashtext(coalesce(current_schema(), '') || ' migrations'))
