-- Every statement of the archive.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: take_stock
-- List closed reservations that are not listed.
SELECT archive_take_stock_v1() AS listed;

-- name: closed_before
-- The moment $1 seconds ago.
SELECT clock_timestamp() - make_interval(secs => $1::double precision) AS closed_before;

-- name: due_schedules
-- Schedules with reservations closed before $1, the oldest first: a loose index scan that reads only the
-- oldest row of each schedule.
WITH RECURSIVE oldest AS (
    (SELECT c.schedule_id, c.closed_at
       FROM closed_reservations c
      ORDER BY c.schedule_id, c.closed_at
      -- no guard: The first step of the loose index scan.
      LIMIT 1)
    UNION ALL
    SELECT n.schedule_id, n.closed_at
      FROM oldest o
     CROSS JOIN LATERAL (
           SELECT c.schedule_id, c.closed_at
             FROM closed_reservations c
            -- no guard: { The next step of the loose index scan.
            WHERE c.schedule_id > o.schedule_id
            ORDER BY c.schedule_id, c.closed_at
            LIMIT 1) n
            -- guard: }
)
-- no guard: Saves a call: the function checks the time of each row.
SELECT o.schedule_id FROM oldest o WHERE o.closed_at < $1::timestamptz ORDER BY o.closed_at;

-- name: move
-- Move at most $3 reservations of schedule $1 that were closed before $2.
SELECT archived, more, kept FROM archive_reservations_v1($1, $2, $3);

-- name: past_waiting_rooms
-- Schedules with records of a waiting room whose sale ended a day before $1; until then it may be active.
SELECT s.schedule_id
  FROM queue_rooms q
  -- no guard: Joins a waiting room with its schedule.
  JOIN schedules s ON s.schedule_id = q.schedule_id
 -- guard: archive_record_of_past_room => WHERE $1::timestamptz IS NOT NULL
 WHERE greatest(s.starts_at, s.sale_closes_at) < $1::timestamptz - interval '1 day'
   -- no guard: { Saves a call when there is no record.
   AND (EXISTS (SELECT FROM queue_joins j WHERE j.schedule_id = s.schedule_id)
        OR EXISTS (SELECT FROM queue_admissions a WHERE a.schedule_id = s.schedule_id)
        OR EXISTS (SELECT FROM queue_packs p WHERE p.schedule_id = s.schedule_id)
        OR EXISTS (SELECT FROM queue_redemptions d WHERE d.schedule_id = s.schedule_id));
   -- guard: }

-- name: move_record
-- Move at most $2 joins and admissions of the waiting room of schedule $1; after the last, delete the packs of joins
-- and the redemptions.
SELECT m.archived,
       -- guard: archive_packs_are_there_as_long_as_joins => queue_drop_packs_v1($1)
       CASE WHEN m.archived = 0 THEN queue_drop_packs_v1($1) END
  FROM archive_queue_v1($1, $2) AS m (archived);

-- name: note_progress
-- Record that no reservation closed before $1 is left.
INSERT INTO archive_progress AS p (kind, passed_at, closed_before)
VALUES ('reservations', clock_timestamp(), $1)
    -- no guard: The second value replaces the first.
    ON CONFLICT ON CONSTRAINT archive_progress_pkey DO UPDATE
   SET passed_at = excluded.passed_at, closed_before = greatest(p.closed_before, excluded.closed_before);
