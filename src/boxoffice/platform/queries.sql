-- name: now
-- The database's time, in seconds since the Unix epoch.
SELECT extract(epoch FROM clock_timestamp())::double precision AS now;

-- name: promise
-- Write a word into the log that changes nothing, so that this transaction's commit waits for the
-- synchronous standby, and with it for every commit that it has seen.
SELECT pg_logical_emit_message(true, 'boxoffice', 'promise');

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
