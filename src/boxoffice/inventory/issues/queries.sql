-- Statements about tickets that organizers issue.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: own_schedule
-- The concert and the currency of a schedule of the organizations $2, which is cancelled before or after this
-- transaction: what is issued is there when a cancellation looks for it.
SELECT s.concert_id, s.currency, c.organization_id, c.taken_down_at IS NOT NULL AS is_taken_down
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: issues_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: issues_only_its_organizer: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: issue_waits_for_a_cancellation => ;
   FOR KEY SHARE OF s;

-- name: house
-- The house account of a concert.
SELECT issues_house_v1($1, $2, $3) AS user_id;

-- name: issue
-- Issue tickets.
SELECT outcome, reservation_id, amount_minor, seat_versions, in_the_way
  FROM issues_issue_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- name: void
-- Make the tickets of an issue void.
SELECT outcome, seat_ids, seat_versions FROM issues_void_v1($1, $2, $3, $4, $5, $6);

-- name: live
-- Some issues of a schedule that are not void.
SELECT i.reservation_id, r.user_id AS house_id, s.concert_id, c.organization_id
  FROM ticket_issues i
  -- no guard: { Reservation, schedule and concert of the issue, by their primary keys.
  JOIN reservations r ON r.schedule_id = i.schedule_id AND r.reservation_id = i.reservation_id
  JOIN schedules s ON s.schedule_id = i.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: live_issues_of_this_schedule: i.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: live_issues_are_not_void: AND i.voided_at IS NULL =>
 WHERE i.schedule_id = $1 AND i.voided_at IS NULL
 ORDER BY i.reservation_id
 -- no guard: Bounds the work of one call.
 LIMIT $2;

-- name: of_schedule
-- Issues of a schedule of the organizations $2 (null: of any), newest first, before $3; of kind $4, null for both; or
-- the issue $6.
SELECT c.organization_id, c.concert_id, i.schedule_id, i.reservation_id, i.kind, i.name, i.email, i.reason, i.note, i.list_name, i.issued_at,
       i.issued_by, i.voided_at, i.ticket_ids, r.seat_ids, r.amount_minor, r.currency, p.method,
       p.provider_reference AS reference, c.title, s.starts_at, k.order_number,
       (SELECT json_agg(json_build_object('section', x.section, 'row', x.row_label, 'number', x.number,
                                          'grade', x.grade) ORDER BY u.at)::text
          FROM unnest(r.seat_ids) WITH ORDINALITY u (seat_id, at)
          -- guard: issue_seats_are_its_own: AND x.seat_id = u.seat_id =>
          JOIN seats x ON x.schedule_id = i.schedule_id AND x.seat_id = u.seat_id) AS seats
  FROM ticket_issues i
  -- no guard: { Reservation, order number, payment, schedule and concert of the issue, by their unique keys.
  JOIN reservations r ON r.schedule_id = i.schedule_id AND r.reservation_id = i.reservation_id
  LEFT JOIN order_numbers k ON k.schedule_id = i.schedule_id AND k.reservation_id = i.reservation_id
  LEFT JOIN payments p ON p.schedule_id = i.schedule_id AND p.reservation_id = i.reservation_id
  JOIN schedules s ON s.schedule_id = i.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: issues_of_this_schedule: i.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE i.schedule_id = $1
   -- guard: issues_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))
   -- guard: issues_page_cursor: i.reservation_id < $3 => true
   AND ($3::uuid IS NULL OR i.reservation_id < $3)
   -- guard: issues_of_kind: i.kind = $4 => true
   AND ($4::text IS NULL OR i.kind = $4)
   -- guard: issue_by_id: i.reservation_id = $6 => true
   AND ($6::uuid IS NULL OR i.reservation_id = $6)
 ORDER BY i.reservation_id DESC
 -- guard: issues_page_limit: $5 => $5 + 9
 LIMIT $5;
