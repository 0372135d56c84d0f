-- What the load test reads from the database; it writes nothing.

-- name: holds
-- The reservations of one schedule with this run's idempotency keys.
SELECT reservation_id, user_id, seat_ids, status, idempotency_key
  FROM reservations
 WHERE schedule_id = $1 AND idempotency_key LIKE $2 || '%';

-- name: payments
-- The payments of one schedule with this run's idempotency keys.
SELECT payment_id, reservation_id, user_id, amount_minor, idempotency_key
  FROM payments
 WHERE schedule_id = $1 AND idempotency_key LIKE $2 || '%';

-- name: schedule
-- A schedule and its number of seats.
SELECT s.concert_id, s.hold_ttl_s, s.ticket_limit,
       (SELECT count(*) FROM seats WHERE schedule_id = s.schedule_id) AS seats
  FROM schedules s
 WHERE s.schedule_id = $1;

-- name: counters
-- Counters since the server started, and its current connections.
SELECT (SELECT xact_commit FROM pg_stat_database
         WHERE datname = current_database()) AS commits,
       (SELECT xact_rollback FROM pg_stat_database
         WHERE datname = current_database()) AS rollbacks,
       (SELECT wal_bytes FROM pg_stat_wal)::bigint AS wal_bytes,
       (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS connections,
       (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
           AND state = 'active') AS active,
       (SELECT count(*) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock') AS waiting;

-- name: server
-- The version, and the settings that durability depends on.
SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections') AS max_connections,
       current_setting('shared_buffers') AS shared_buffers;
