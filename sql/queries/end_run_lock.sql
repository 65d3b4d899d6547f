-- End a session that this process held the run lock with and has lost.
-- $1 the pid of its backend
SELECT pg_terminate_backend(pid)
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = 1296190278
  AND pid = $1 AND pid <> pg_backend_pid()
  AND application_name = current_setting('application_name')
