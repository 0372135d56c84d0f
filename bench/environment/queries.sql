-- Statements of the benchmark itself, outside every measurement. {name} and {template} are names that
-- the benchmark makes up; a name cannot be a parameter.

-- name: create_database
-- An empty database.
CREATE DATABASE {name};

-- name: copy_database
-- A database like the template; written through the log, so that no checkpoint is forced.
CREATE DATABASE {name} TEMPLATE {template};

-- name: drop_database
-- A database, whoever still uses it.
DROP DATABASE IF EXISTS {name} WITH (FORCE);

-- name: add_waiting_rooms
-- A waiting room for every schedule, which opens long after the measurement.
INSERT INTO queue_rooms (
       schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 100, 100, 600, 60, clock_timestamp() + interval '1 day',
       decode(repeat('5a', 32), 'hex')
  FROM schedules;

-- name: tidy
-- Statistics and visibility as in a database that has been there for a while.
VACUUM (ANALYZE);

-- name: settings
-- What durability rests on.
SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('server_version') AS version;

-- name: has_relay
-- Whether a relay works.
SELECT EXISTS (SELECT FROM leases);

-- name: is_delivered
-- Whether no event waits.
SELECT NOT EXISTS (SELECT FROM outbox);
