-- Take the lock of a run for this session, unless another has it. Held until the session ends.
-- -> boolean: whether it is held now
SELECT pg_try_advisory_lock(1296190278, hashtext(coalesce(current_schema(), '') || ' run'))
