-- Every statement of backups and restores.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: source
-- What a base backup has to know of its server. The backup of a standby has that of its primary's timeline.
SELECT current_setting('server_version_num')::integer AS server_version,
       (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       (SELECT bytes_per_wal_segment FROM pg_control_init()) AS segment_bytes,
       coalesce(current_setting('summarize_wal', true), 'off') = 'on' AS has_summaries,
       current_setting('archive_mode') AS archive_mode,
       current_database() AS database,
       -- no guard: { The owner of this database, by its name.
       (SELECT r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
         WHERE d.datname = current_database())::text AS role,
       -- guard: }
       -- no guard: The two that every cluster has.
       EXISTS (SELECT FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')) AS has_tablespaces,
       (SELECT max(version) FROM schema_migrations)::text AS schema_version,
       clock_timestamp() AS now;

-- name: recovered
-- The last commit that a recovery has replayed, null without one; the position where it ended, its timeline, and
-- the server's time.
SELECT pg_last_xact_replay_timestamp() AS last_commit_at,
       (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS position,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline, clock_timestamp() AS now;

-- name: begin
-- Note a restore and return its incarnation: $1 at least, and above those that the database knows. A database
-- whose outbox has used up the numbers of an incarnation is in the next one.
INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
SELECT greatest($1::integer, coalesce((SELECT max(incarnation) FROM restores), 0) + 1,
                (nextval(pg_get_serial_sequence('outbox', 'batch_id')) >> 30)::integer + 1),
       n.at, least($2, n.at), $3, $4
  -- Read once: a restore that was recovered to now, or by a clock ahead, is not dated before its end.
  FROM (SELECT clock_timestamp() AS at OFFSET 0) n
RETURNING incarnation, restored_at;

-- name: jump_event_ids
-- Let the event ids begin with the incarnation, above all that were ever given out.
SELECT setval(pg_get_serial_sequence('outbox', 'batch_id'), $1::bigint << 30, false);

-- name: jump_leases
-- Raise the fencing tokens.
SELECT leases_after_restore_v1($1);

-- name: jump_queues
-- Raise the epochs and numbers of the waiting rooms.
SELECT queue_after_restore_v1($1, $2) AS rooms;

-- name: look_up_payments
-- Have what is open at providers looked up.
SELECT payments_after_restore_v1() AS intents;

-- name: end_sessions
-- Revoke every access token.
SELECT accounts_after_restore_v1() AS people;
