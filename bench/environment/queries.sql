-- Statements of the benchmark, run outside of measurements. {name} and {template} are database names
-- that the benchmark chooses; an identifier cannot be a parameter.

-- name: create_database
-- An empty database.
CREATE DATABASE {name};

-- name: copy_database
-- A copy of the template, written through the log, so that it forces no checkpoint.
CREATE DATABASE {name} TEMPLATE {template};

-- name: drop_database
-- A database, with its open sessions.
DROP DATABASE IF EXISTS {name} WITH (FORCE);

-- name: add_waiting_rooms
-- A waiting room for every schedule, which opens long after the measurement.
INSERT INTO queue_rooms (
       schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 100, 100, 600, 60, clock_timestamp() + interval '1 day',
       decode(repeat('5a', 32), 'hex')
  FROM schedules;

-- name: vacuum
-- Statistics and visibility as in a database that has been in use for a while.
VACUUM (ANALYZE);

-- name: settings
-- The settings that durability depends on.
SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('server_version') AS version;

-- name: has_relay
-- Whether a relay has its lease.
SELECT EXISTS (SELECT FROM leases);

-- name: is_delivered
-- Whether the outbox is empty.
SELECT NOT EXISTS (SELECT FROM outbox);
