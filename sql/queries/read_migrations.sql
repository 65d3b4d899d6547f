-- The schema files this database has. Fails on a database that has none yet.
-- -> version integer, name text
SELECT version, name FROM schema_migrations ORDER BY version
