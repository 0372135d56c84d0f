-- name: now
-- The database's time, in seconds since the Unix epoch.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now;

-- name: force_write
-- Write a WAL message that changes nothing: this transaction's commit then waits for the synchronous
-- standby, and so for every commit that it has seen. No row on a server that takes no writes.
SELECT pg_logical_emit_message(true, 'boxoffice', 'promise') WHERE NOT pg_is_in_recovery();

-- name: standby
-- Whether commits wait for a synchronous standby, and how many there are. A role without
-- `pg_read_all_stats` sees that a standby is connected, but not its state.
SELECT current_setting('synchronous_standby_names') AS names,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('client_min_messages') AS client_min_messages,
       pg_has_role('pg_read_all_stats', 'USAGE') AS is_visible,
       count(r.pid) AS connected,
       count(r.pid) FILTER (WHERE r.state = 'streaming' AND r.sync_state IN ('sync', 'quorum'))
           AS synchronous
  FROM pg_stat_replication r;

-- name: backend
-- The identity of this connection's backend.
SELECT a.pid, a.backend_start AS began_at FROM pg_stat_activity a WHERE a.pid = pg_backend_pid();

-- name: terminate_backends
-- Terminate these backends, and return those that still existed: one that is not in the view has ended
-- its transaction. The call is in the select list, because a condition might be evaluated for every
-- backend of the server before the join.
SELECT a.pid, a.backend_start AS began_at, pg_terminate_backend(a.pid) AS is_terminated
  FROM unnest($1::integer[], $2::timestamptz[]) s (pid, began_at)
  JOIN pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.began_at;
