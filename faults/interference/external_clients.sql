-- What foreign sessions do to the product's database during a sale.

-- name: lock_seats
-- Lock every seat of a schedule, as a careless report or a long migration would.
SELECT FROM seats WHERE schedule_id = $1 FOR UPDATE;

-- name: lock_wallets
-- Lock the wallets of these people.
SELECT FROM wallets WHERE user_id = ANY ($1::uuid[]) FOR UPDATE;

-- name: lock_reservations
-- Lock the holds of a schedule, the newest first; the product locks reservations before wallets.
SELECT FROM reservations
 WHERE schedule_id = $1 AND status = 'HELD'
 ORDER BY reservation_id DESC
   FOR UPDATE;

-- name: lock_outbox
-- Block writes of events, and with them every decision.
LOCK TABLE outbox IN SHARE MODE;

-- name: lock_reservations_whole
-- Block every decision, and look-ups of holds.
LOCK TABLE reservations IN ACCESS EXCLUSIVE MODE;

-- name: sessions_waiting
-- The number of the product's sessions that wait for a lock.
SELECT count(*) AS sessions
  FROM pg_stat_activity
 WHERE application_name = 'boxoffice' AND datname = current_database() AND wait_event_type = 'Lock';

-- name: sessions_of_product
-- The backends of the product.
SELECT pid FROM pg_stat_activity WHERE application_name = 'boxoffice' AND datname = current_database();

-- name: end_sessions_of_product
-- Terminate all of them.
SELECT pg_terminate_backend(pid) AS is_told
  FROM pg_stat_activity
 WHERE application_name = 'boxoffice' AND datname = current_database();

-- name: report_deadlocks_late
-- Let the other session be the victim of a deadlock.
SET deadlock_timeout = '10s';

-- name: detect_deadlocks_soon
-- Detect deadlocks before a lock timeout, in every session.
ALTER SYSTEM SET deadlock_timeout = '20ms';

-- name: reset_deadlock_timeout
-- Reset that.
ALTER SYSTEM RESET deadlock_timeout;

-- name: reload
-- Reload the configuration.
SELECT pg_reload_conf();

-- name: fail_every_third_batch
-- Make every third batch fail at its last statement, with a serialization failure.
CREATE SEQUENCE faults_asked;
CREATE FUNCTION faults_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A sequence counts rolled back transactions too.
    IF nextval('faults_asked') % 3 = 0 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER faults AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION faults_fail();

-- name: stall_every_tenth_batch
-- Make every tenth batch exceed the statement timeout.
CREATE SEQUENCE faults_asked;
CREATE FUNCTION faults_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('faults_asked') % 10 = 0 THEN
        PERFORM pg_sleep(30);
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER faults AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION faults_fail();

-- name: stop_failing
-- Drop the trigger; waits for the batches in flight.
DROP TRIGGER IF EXISTS faults ON outbox;
DROP FUNCTION IF EXISTS faults_fail();
DROP SEQUENCE IF EXISTS faults_asked;

-- name: commit_a_message
-- Commit without touching a row.
SELECT pg_logical_emit_message(true, 'faults', 'message');

-- name: write_log
-- Write a megabyte of write-ahead log.
SELECT pg_logical_emit_message(false, 'faults', repeat('x', 1000000));

-- name: let_tickets_be_sold_twice
-- Drop the last guard against selling a seat twice.
DROP INDEX tickets_one_live_per_seat;

-- name: keep_wal
-- Keep the log that pg_rewind needs, also through recovery.
ALTER SYSTEM SET wal_keep_size = '512MB';

-- name: require_standby
-- Let every commit wait for the standby, from the next reload on.
ALTER SYSTEM SET synchronous_standby_names = 'boxoffice_standby';

-- name: read_configuration
-- Reload the configuration.
SELECT pg_reload_conf();

-- name: standbys_streaming
-- The number of synchronous standbys that stream.
SELECT count(*) AS standbys
  FROM pg_stat_replication
 WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum');

-- name: promote
-- Promote a standby, and return when it is the primary.
SELECT pg_promote(true, 60) AS is_promoted;

-- name: checkpoint
-- Write a checkpoint, which records the new timeline.
CHECKPOINT;
