-- What strangers do to the shop's database while it sells.

-- name: lock_seats
-- Lock every seat of a schedule, as a careless report or a long migration would.
SELECT FROM seats WHERE schedule_id = $1 FOR UPDATE;

-- name: lock_wallets
-- Lock the wallets of these people.
SELECT FROM wallets WHERE user_id = ANY ($1::uuid[]) FOR UPDATE;

-- name: lock_reservations
-- Lock the holds of a schedule, the newest first: the shop takes reservations before wallets.
SELECT FROM reservations
 WHERE schedule_id = $1 AND status = 'HELD'
 ORDER BY reservation_id DESC
   FOR UPDATE;

-- name: lock_outbox
-- Keep everybody from writing events, and with that from deciding anything.
LOCK TABLE outbox IN SHARE MODE;

-- name: lock_reservations_whole
-- Keep everybody from deciding anything, and from looking their holds up.
LOCK TABLE reservations IN ACCESS EXCLUSIVE MODE;

-- name: sessions_waiting
-- How many sessions of the shop wait for a lock.
SELECT count(*) AS sessions
  FROM pg_stat_activity
 WHERE application_name = 'boxoffice' AND datname = current_database() AND wait_event_type = 'Lock';

-- name: sessions_of_shop
-- The server's processes that work for the shop.
SELECT pid FROM pg_stat_activity WHERE application_name = 'boxoffice' AND datname = current_database();

-- name: end_sessions_of_shop
-- End all of them; whoever of the shop asks next needs a new connection.
SELECT pg_terminate_backend(pid) AS is_told
  FROM pg_stat_activity
 WHERE application_name = 'boxoffice' AND datname = current_database();

-- name: report_deadlocks_late
-- Let somebody else be the victim of a deadlock.
SET deadlock_timeout = '10s';

-- name: detect_deadlocks_soon
-- Find deadlocks before anybody has waited too long for a lock, in every session.
ALTER SYSTEM SET deadlock_timeout = '20ms';

-- name: detect_deadlocks_as_before
-- Take that back.
ALTER SYSTEM RESET deadlock_timeout;

-- name: reload
-- Have the server read its settings.
SELECT pg_reload_conf();

-- name: fail_now_and_then
-- Make every third of the batches fail at their last statement, as a conflict of serializable
-- transactions would.
CREATE SEQUENCE faults_asked;
CREATE FUNCTION faults_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A sequence counts also what is rolled back.
    IF nextval('faults_asked') % 3 = 0 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER faults AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION faults_fail();

-- name: stall_now_and_then
-- Make every tenth of the batches take longer than a statement may.
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

-- name: fail_no_more
-- Take the trigger away; it waits for the batches that are under way.
DROP TRIGGER IF EXISTS faults ON outbox;
DROP FUNCTION IF EXISTS faults_fail();
DROP SEQUENCE IF EXISTS faults_asked;

-- name: write_a_word
-- Commit something that touches no row.
SELECT pg_logical_emit_message(true, 'faults', 'word');

-- name: write_log
-- Fill the write-ahead log by a megabyte.
SELECT pg_logical_emit_message(false, 'faults', repeat('x', 1000000));

-- name: let_tickets_be_sold_twice
-- Drop the last guard of a seat, in a shop whose only purpose is to sell it twice.
DROP INDEX tickets_one_live_per_seat;

-- name: keep_the_log
-- Keep what an old primary has to take back, also through the recovery that it begins with.
ALTER SYSTEM SET wal_keep_size = '512MB';

-- name: want_a_standby
-- Let every commit wait for the standby from the next reading of the configuration on.
ALTER SYSTEM SET synchronous_standby_names = 'boxoffice_standby';

-- name: read_configuration
-- Read the configuration anew.
SELECT pg_reload_conf();

-- name: standbys_streaming
-- How many standbys commits wait for, and receive the log.
SELECT count(*) AS standbys
  FROM pg_stat_replication
 WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum');

-- name: promote
-- Make a primary of a standby, and return when it is one.
SELECT pg_promote(true, 60) AS is_promoted;

-- name: checkpoint
-- Write a checkpoint, by which others learn of a new timeline.
CHECKPOINT;
