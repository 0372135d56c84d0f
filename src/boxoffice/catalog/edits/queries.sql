-- Changes of concerts and schedules by their organizers.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: lock_concert
-- Lock a concert of these organizations until the transaction ends.
SELECT c.organization_id, c.status, c.version, c.title, c.title_en, c.title_ko, c.artist, c.artist_en, c.artist_ko, c.venue, c.description,
       c.description_en, c.description_ko, c.genre, c.running_time_min, c.intermission_min, c.age_rating,
       c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en, c.notices_ko, c.refund_notes, c.refund_notes_en,
       c.refund_notes_ko, c.organizer_contact, c.requires_verified_email
  FROM concerts c
 -- guard: edit_concert_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: edit_concert_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE c.concert_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: edit_concert_it_is_locked => ;
   FOR UPDATE;

-- name: update_concert
-- All members of a concert, which is locked.
UPDATE concerts c
   SET title = $2, title_en = $3, title_ko = $4, artist = $5, artist_en = $6, artist_ko = $7, venue = $8,
       description = $9, description_en = $10, description_ko = $11, genre = $12, running_time_min =
       $13, intermission_min = $14, age_rating = $15, faq = $16, faq_en = $17, faq_ko = $18, notices =
       $19, notices_en = $20, notices_ko = $21, refund_notes = $22, refund_notes_en = $23,
       refund_notes_ko = $24, organizer_contact = $25, requires_verified_email = $26,
       version = c.version + 1
 -- guard: update_concert_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 WHERE c.concert_id = $1;

-- name: schedules_of_concert
-- The schedules of a concert, in an order in which they can be locked.
SELECT s.schedule_id, s.status
  FROM schedules s
 -- guard: edit_schedules_of_this_concert: s.concert_id = $1 => $1::uuid IS NOT NULL
 WHERE s.concert_id = $1
 ORDER BY s.schedule_id
   -- no guard: Opening a sale locks the concert, which is locked here.
   FOR NO KEY UPDATE;

-- name: lock_seats
-- Lock the seats of schedules, so that a hold that began before waits or is refused; whether any is held or
-- sold, or was paid for.
SELECT coalesce(bool_or(l.state IN ('HELD', 'SOLD')), false)
       -- guard: what_was_sold_once_counts => AS is_taken
       OR EXISTS (SELECT FROM payments p WHERE p.schedule_id = ANY ($1::uuid[])) AS is_taken
  FROM (SELECT s.state
          FROM seats s
         -- guard: taken_seats_of_these_schedules: s.schedule_id = ANY ($1::uuid[]) => $1::uuid[] IS NOT NULL
         WHERE s.schedule_id = ANY ($1::uuid[])
         ORDER BY s.schedule_id, s.seat_id
         -- guard: seats_are_locked_before_they_are_counted => ) l;
           FOR UPDATE) l;

-- name: unpublish
-- Make a locked concert a draft.
UPDATE concerts c
   SET status = 'DRAFT', published_at = NULL, version = c.version + 1
 -- guard: unpublish_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 WHERE c.concert_id = $1;

-- name: lock_schedule
-- Lock a schedule of these organizations until the transaction ends, against being opened and getting seats.
SELECT s.schedule_id
  FROM schedules s
  -- no guard: The concert of the schedule, by its primary key.
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: edit_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: edit_schedule_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: edit_schedule_it_is_locked => ;
   FOR UPDATE OF s;

-- name: schedule_facts
-- Where and when a locked schedule is, and whether it has seats. A statement of its own, which sees what the lock
-- was waited for, and whose time is after that wait.
SELECT s.concert_id, c.organization_id, s.status, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.doors_at, s.venue_id,
       s.currency, s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s, s.version,
       coalesce(v.name, c.venue) AS venue_name, c.venue AS concert_venue, v.time_zone,
       -- guard: seats_of_the_edited_schedule: x.schedule_id = s.schedule_id => true
       EXISTS (SELECT FROM seats x WHERE x.schedule_id = s.schedule_id) AS has_seats, clock_timestamp() AS now
  FROM schedules s
  -- no guard: { The concert and the venue of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: }
 -- no guard: The schedule that is locked, by its primary key.
 WHERE s.schedule_id = $1;

-- name: venue_of_organizer
-- The name and time zone of a venue of these organizations.
-- guard: edit_venue_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
-- guard: edit_venue_own_organizer_only: v.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
SELECT v.name, v.time_zone FROM venues v WHERE v.venue_id = $1 AND v.organization_id = ANY ($2::uuid[]);

-- name: update_schedule
-- The members of a schedule, which is locked.
UPDATE schedules s
   SET starts_at = $2, sale_opens_at = $3, sale_closes_at = $4, doors_at = $5, venue_id = $6, currency = $7,
       hold_ttl_s = $8, ticket_limit = $9, seats_return_delay_max_s = $10, version = s.version + 1
 -- guard: update_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: note_change
-- When a locked schedule changed last for buyers, and until when they may return tickets because of it; $4 is
-- the start before a postponement.
UPDATE schedules s
   SET changed_at = $2, refundable_until = $3, postponed_from = coalesce($4, s.postponed_from),
       -- guard: postponement_ends_the_sale: 'OPEN' => 'POSTPONED'
       status = CASE WHEN s.status = 'OPEN' AND $4::timestamptz IS NOT NULL THEN 'CLOSED' ELSE s.status END
 -- guard: note_change_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: cancel_schedule
-- End the sale of a locked schedule for good.
UPDATE schedules s
   SET status = 'CANCELLED', cancelled_at = $2, changed_at = $2, version = s.version + 1
 -- guard: cancel_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1;

-- name: insert_change
-- A change that buyers are told of, its job for the cashier, and its event $15.
WITH change AS (
    INSERT INTO schedule_changes (
        schedule_id, change_id, asked_by, created_at, kind, starts_before, starts_after, venue_before,
        venue_after, refundable_until, refund_job_id, reason, idempotency_key, fingerprint)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    RETURNING schedule_id, change_id, asked_by, created_at
), work AS (
    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT 'schedule_change', h.change_id, h.asked_by, h.created_at FROM change h
)
INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids)
SELECT h.schedule_id, $15, h.created_at, ARRAY[h.change_id], ARRAY[h.asked_by] FROM change h;

-- name: change_by_key
-- A change of a schedule by its key.
SELECT h.*
  FROM schedule_changes h
 -- guard: change_by_this_key: h.idempotency_key = $2 => $2::text IS NOT NULL
 WHERE h.schedule_id = $1 AND h.idempotency_key = $2;

-- name: changes_of_schedule
-- The changes of a schedule of organizations $2 (null: of any), the newest first.
SELECT h.*
  FROM schedule_changes h
  -- no guard: { The schedule of the change and its concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = h.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- guard: changes_of_this_schedule: h.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE h.schedule_id = $1
   -- guard: changes_only_of_its_organizer: c.organization_id = ANY ($2::uuid[]) => true
   AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]))
 ORDER BY h.created_at DESC
 -- no guard: A schedule has few.
 LIMIT 100;

-- name: delete_schedule
-- Delete a locked schedule that buyers never knew; false where it was held or sold.
SELECT catalog_delete_schedule_v1($1);

-- name: delete_concert
-- Delete a locked draft without schedules.
SELECT catalog_delete_concert_v1($1);
