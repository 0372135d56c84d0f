-- What `boxoffice doctor` reads; it changes nothing.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: server
-- The server, this connection, and the rights of its role.
SELECT current_setting('server_version_num')::integer AS version_num,
       current_setting('max_connections')::integer AS max_connections,
       current_setting('superuser_reserved_connections')::integer
           -- PostgreSQL 15 does not have it.
           + coalesce(current_setting('reserved_connections', true)::integer, 0) AS reserved_connections,
       -- no guard: A line of a report; the tests cannot switch the server's own settings.
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS is_durable,
       coalesce((SELECT x.ssl FROM pg_stat_ssl x
                  -- guard: doctor_its_own_connection: x.pid = pg_backend_pid() => true
                  WHERE x.pid = pg_backend_pid()), false) AS is_encrypted,
       -- no guard: Says only whether encryption is asked for.
       coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS is_local,
       (SELECT r.rolsuper FROM pg_roles r
         -- guard: doctor_its_own_role: r.rolname = current_user => true
         WHERE r.rolname = current_user) AS is_superuser,
       EXISTS (SELECT FROM pg_tables t
                -- guard: doctor_tables_of_its_role: AND t.tableowner = current_user =>
                WHERE t.schemaname = 'public' AND t.tableowner = current_user) AS owns_tables,
       current_setting('archive_mode') <> 'off' AS archives,
       extract(epoch FROM clock_timestamp())::float8 AS now_s;

-- name: roles
-- What relay, sweep and auditor have left undone.
SELECT coalesce((SELECT greatest(0, extract(epoch FROM clock_timestamp() - min(o.created_at)))::float8
                   FROM outbox o), 0) AS outbox_age_s,
       coalesce((SELECT greatest(0, extract(epoch FROM clock_timestamp() - min(h.expires_at)))::float8
                   FROM lapsing_holds h), 0) AS sweep_lag_s,
       extract(epoch FROM clock_timestamp() - a.finished_at)::float8 AS audit_age_s,
       a.ok AS audit_is_clean
  FROM (SELECT) one
  LEFT JOIN LATERAL (
       SELECT r.finished_at, r.ok FROM audit_runs r
        -- guard: doctor_audits_that_ended => WHERE true
        WHERE r.finished_at IS NOT NULL
        -- guard: doctor_the_last_audit: DESC =>
        ORDER BY r.run_id DESC
        -- no guard: A second row would add a second line.
        LIMIT 1) a ON true;
