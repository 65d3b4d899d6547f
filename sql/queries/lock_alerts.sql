-- Let one process at a time judge and tell; waits. Held until the session ends or unlock_alerts.
SELECT pg_advisory_lock(1296190278, hashtext(coalesce(current_schema(), '') || ' alerts'))
