-- Statements about the seats of an organizer's schedule.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: lock_schedule
-- Lock a schedule of the organizations $2 against other commands about its seats, until the transaction ends. Holds
-- and payments do not wait for this lock.
SELECT s.concert_id, s.status, s.currency, c.organization_id
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: inventory_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: inventory_only_its_organizer: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: inventory_schedule_is_locked => ;
   FOR NO KEY UPDATE OF s;

-- name: selected_seats
-- The ids of the seats of section $2, row $3 and grade $4 (null: of any), at most $5.
SELECT s.seat_id
  FROM seats s
 -- guard: selected_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
   -- guard: selected_of_section: s.section = $2 => true
   AND ($2::text IS NULL OR s.section = $2)
   -- guard: selected_of_row: s.row_label = $3 => true
   AND ($3::text IS NULL OR s.row_label = $3)
   -- guard: selected_of_grade: s.grade = $4 => true
   AND ($4::text IS NULL OR s.grade = $4)
 ORDER BY s.ordinal
 -- guard: selected_limit: $5 => $5 + 9
 LIMIT $5;

-- name: change
-- Block, release or reprice seats.
SELECT states, seat_versions, layout_version FROM inventory_change_v1($1, $2, $3, $4, $5, $6, $7, $8);

-- name: conflicting_seats
-- New seats whose id or place exists already; at most $6.
SELECT n.seat_id
  FROM unnest($2::text[], $3::text[], $4::text[], $5::integer[])
       AS n (seat_id, section, row_label, number)
 -- no guard: Head of the conditions below, which are guards.
 WHERE EXISTS (
       -- guard: added_seat_has_a_new_id: s.seat_id = n.seat_id => false
       SELECT FROM seats s WHERE s.schedule_id = $1 AND s.seat_id = n.seat_id)
    -- no guard: Head of the conditions below, which are guards.
    OR EXISTS (
       SELECT FROM seats s
        -- guard: added_seat_has_a_new_place: s.schedule_id = $1 => false
        WHERE s.schedule_id = $1
          -- no guard: A constraint refuses the same place; a wider comparison refuses more.
          AND s.section = n.section AND s.row_label = n.row_label AND s.number = n.number)
 -- no guard: The answer names a few of them.
 LIMIT $6;

-- name: labels
-- The number of seats of a schedule, and the spellings of sections, rows and grades.
-- no guard: Each spelling once; the check reads them all.
SELECT DISTINCT ON (s.section, s.row_label, s.grade) s.section, s.row_label AS row, s.grade,
       count(*) OVER () AS seats
  FROM seats s
 -- guard: inventory_labels_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: add
-- Add seats.
SELECT inventory_add_v1($1, $2, $3, $4, $5, $6, $7, $8) AS layout_version;

-- name: blocks
-- Blocked seats of a schedule of the organizations $2 (null: of any), with the reason, in the order of their ids after
-- $3.
SELECT b.seat_id, b.reason, b.note, b.blocked_at, b.blocked_by
  FROM seat_blocks b
  -- no guard: { The schedule of the seats and its concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = b.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: blocks_of_this_schedule: b.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE b.schedule_id = $1
   -- guard: blocks_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))
   -- guard: blocks_page_cursor: b.seat_id > $3 => true
   AND ($3::text IS NULL OR b.seat_id > $3)
 ORDER BY b.seat_id
 -- guard: blocks_page_limit: $4 => $4 + 9
 LIMIT $4;
