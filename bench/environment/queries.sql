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

-- name: count_holds
-- How many holds a schedule has had.
SELECT count(*) FROM reservations WHERE schedule_id = $1;

-- name: add_waiting_rooms
-- A waiting room for every schedule: open, with room for $1 people inside; without $1, it opens long after the
-- measurement.
INSERT INTO queue_rooms (
       schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
SELECT schedule_id, 'fifo', 10000, coalesce($1::integer, 100), 600, 60,
       clock_timestamp() + CASE WHEN $1::integer IS NULL THEN interval '1 day' ELSE interval '-1 minute' END,
       decode(repeat('5a', 32), 'hex')
  FROM schedules;

-- name: add_offers
-- Offers of schedules $1: a price type, a booking fee, a channel with a quota of every seat, and a shared code with a
-- discount, whose digests are $2.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::bytea[]) g (schedule_id, code_hash)
), marked AS (
    UPDATE schedules s SET has_offers = true FROM given g WHERE s.schedule_id = g.schedule_id
), terms AS (
    INSERT INTO schedule_offers (schedule_id, changed_at, fee_minor, is_limited)
    SELECT g.schedule_id, clock_timestamp(), 1000, true FROM given g
), types AS (
    INSERT INTO price_types (schedule_id, code, ordinal, percent_off, amount_off_minor, name, name_ko, note, note_ko)
    SELECT g.schedule_id, 'youth', 0, 30, 0, 'Youth', 'Youth', '', '' FROM given g
), channels AS (
    INSERT INTO sales_channels (schedule_id, code, name, is_default, quota)
    SELECT g.schedule_id, 'web', 'Web', true, 1000000 FROM given g
), batches AS (
    INSERT INTO code_batches (
        schedule_id, batch_id, created_at, created_by, amount_off_minor, percent_off, uses_max, codes, is_presale,
        is_shared, name, idempotency_key)
    SELECT g.schedule_id, g.schedule_id, clock_timestamp(), g.schedule_id, 0, 10, 1000000, 1, false, true, 'Bench', 'b'
      FROM given g
)
INSERT INTO offer_codes (schedule_id, code_hash, batch_id, uses_max, suffix)
SELECT g.schedule_id, g.code_hash, g.schedule_id, 1000000, '' FROM given g;

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
