-- name: now
-- The database's time, in seconds since the Unix epoch.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now;

-- name: promise
-- Write a word into the log that changes nothing, so that this transaction's commit waits for the
-- synchronous standby, and with it for every commit that it has seen. No row where nobody can write.
SELECT pg_logical_emit_message(true, 'boxoffice', 'promise') WHERE NOT pg_is_in_recovery();

-- name: standby
-- Whether commits wait for a synchronous standby, and how many there are. A role without the rights of
-- `pg_read_all_stats` sees that something receives the log, and neither how far it is nor as what.
SELECT current_setting('synchronous_standby_names') AS names,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('client_min_messages') AS client_min_messages,
       pg_has_role('pg_read_all_stats', 'USAGE') AS is_told,
       count(r.pid) AS connected,
       count(r.pid) FILTER (WHERE r.state = 'streaming' AND r.sync_state IN ('sync', 'quorum'))
           AS synchronous
  FROM pg_stat_replication r;

-- name: session
-- What names this session of the server for good.
SELECT a.pid, a.backend_start AS began_at FROM pg_stat_activity a WHERE a.pid = pg_backend_pid();

-- name: end_sessions
-- Tell these sessions to end, and return those that were still there: one that is not in the view any
-- more has ended its transaction and begins no other. The call stands in the list of what is selected,
-- because a condition might be tried on every session of the server before the join.
SELECT a.pid, a.backend_start AS began_at, pg_terminate_backend(a.pid) AS is_told
  FROM unnest($1::integer[], $2::timestamptz[]) s (pid, began_at)
  JOIN pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.began_at;
