-- name: lock
-- Let one migration run at a time; the lock goes with the connection.
SELECT pg_advisory_lock($1);

-- name: create_tables
-- dbmate's own table of applied files, and which text of each module's functions is installed.
CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128) PRIMARY KEY);
CREATE TABLE IF NOT EXISTS schema_functions (room text PRIMARY KEY, digest bytea NOT NULL);

-- name: applied
-- The numbered files that have run.
SELECT version FROM schema_migrations;

-- name: record
-- Remember a numbered file.
INSERT INTO schema_migrations (version) VALUES ($1);

-- name: installed
-- The digest of each module's installed functions.
SELECT room, digest FROM schema_functions;

-- name: record_functions
-- Remember which text was installed.
INSERT INTO schema_functions (room, digest) VALUES ($1, $2)
ON CONFLICT (room) DO UPDATE SET digest = excluded.digest;

-- name: missing_functions
-- Which of these functions the schema does not have.
SELECT wanted.name
  FROM unnest($1::text[]) wanted (name)
 WHERE NOT EXISTS (SELECT FROM pg_proc p
                    WHERE p.proname = wanted.name AND pg_function_is_visible(p.oid))
 ORDER BY wanted.name;
