-- Every statement of the archive.

-- name: take_stock
-- List what was closed and is on no list.
SELECT archive_take_stock_v1() AS listed;

-- name: closed_before
-- The moment $1 seconds ago.
SELECT clock_timestamp() - make_interval(secs => $1::double precision) AS closed_before;

-- name: due_schedules
-- Schedules that have something closed before $1, the longest closed first. It steps from schedule to
-- schedule along the key of `closed_reservations` and reads only the oldest row of each.
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

-- name: past_rooms
-- Schedules whose waiting room has a record, and whose sale was over a day before $1: until then the room
-- may still be led.
SELECT s.schedule_id
  FROM queue_rooms q
  -- no guard: Joins a waiting room with its schedule.
  JOIN schedules s ON s.schedule_id = q.schedule_id
 -- guard: archive_record_of_past_room => WHERE $1::timestamptz IS NOT NULL
 WHERE greatest(s.starts_at, s.sale_closes_at) < $1::timestamptz - interval '1 day'
   -- no guard: { Saves a call when there is no record.
   AND (EXISTS (SELECT FROM queue_joins j WHERE j.schedule_id = s.schedule_id)
        OR EXISTS (SELECT FROM queue_admissions a WHERE a.schedule_id = s.schedule_id));
   -- guard: }

-- name: move_record
-- Move at most $2 rows of each kind of the record of the waiting room of schedule $1.
SELECT archive_queue_v1($1, $2) AS archived;

-- name: note_progress
-- Nothing that was closed before $1 was left behind.
INSERT INTO archive_progress AS p (kind, passed_at, closed_before)
VALUES ('reservations', clock_timestamp(), $1)
    -- no guard: The second value replaces the first.
    ON CONFLICT ON CONSTRAINT archive_progress_pkey DO UPDATE
   SET passed_at = excluded.passed_at, closed_before = greatest(p.closed_before, excluded.closed_before);
