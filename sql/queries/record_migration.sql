-- A schema file has been applied.
-- $1 version integer   $2 name text
INSERT INTO schema_migrations (version, name) VALUES ($1, $2)
