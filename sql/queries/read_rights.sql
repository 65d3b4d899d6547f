-- What the role of this session may do, and what it works with.
-- -> version text, role text, schema text, size_bytes bigint, writes boolean, migrates boolean
SELECT current_setting('server_version') AS version, current_user AS role, current_schema() AS schema,
       pg_database_size(current_database()) AS size_bytes,
       has_table_privilege('market_data', 'SELECT, INSERT') AND has_table_privilege('market_data', 'UPDATE')
           AND has_table_privilege('market_data', 'DELETE')
           AND has_database_privilege(current_database(), 'TEMPORARY') AS writes,
       has_schema_privilege(current_schema(), 'CREATE') AS migrates
