-- The session that holds the lock of a run. Its start is NULL for another role's session.
-- -> mine boolean, application_name text, backend_start timestamptz; no row: nobody
SELECT pid = pg_backend_pid() AS mine, application_name, backend_start
FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND objsubid = 2
  AND classid = 1296190278
  AND objid::bigint = hashtext(coalesce(current_schema(), '') || ' run')::bigint & 4294967295
