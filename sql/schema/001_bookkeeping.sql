-- Which files of sql/schema/ this database has.

CREATE TABLE schema_migrations (
    version    integer PRIMARY KEY,
    name       text COLLATE "C" NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
