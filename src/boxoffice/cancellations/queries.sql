-- Statements of the job that follows a change of a performance.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: change_to_do
-- A change whose job is not finished, and the database's time.
SELECT h.schedule_id, h.change_id, h.kind, h.asked_by, h.created_at, h.notified_at, clock_timestamp() AS now
  FROM schedule_changes h
 -- guard: change_to_do_by_id: h.change_id = $1 => $1::uuid IS NOT NULL
 -- guard: finished_change_is_not_worked_on: AND h.finished_at IS NULL =>
 WHERE h.change_id = $1 AND h.finished_at IS NULL;

-- name: notify
-- Queue the mails of the next $3 people of change $2 of schedule $1, in the order of their reservations: those
-- who hold seats or have tickets, and those whose hold or tickets this change has ended before. A guest has no
-- account: their mail has the id of their reservation for that of a person. Without a next one the change is notified.
WITH change AS (
    SELECT h.schedule_id, h.change_id, h.kind, h.created_at, h.after_reservation_id, h.refund_job_id
      FROM schedule_changes h
     -- guard: notify_of_this_change: AND h.change_id = $2 => AND $2::uuid IS NOT NULL
     WHERE h.schedule_id = $1 AND h.change_id = $2
       -- guard: notify_until_all_are: AND h.notified_at IS NULL =>
       AND h.notified_at IS NULL
       -- no guard: One cashier holds the lease; a second one would queue the same mails.
       FOR UPDATE
), next AS (
    SELECT r.reservation_id, r.user_id, r.status, r.expires_at, r.closed_by, h.change_id, h.kind, h.created_at, h.refund_job_id
      FROM change h
     CROSS JOIN LATERAL (
           SELECT r.reservation_id, r.user_id, r.status, r.expires_at, r.closed_by
             FROM reservations r
            -- guard: notify_people_of_this_schedule: r.schedule_id = h.schedule_id => h.schedule_id IS NOT NULL
            WHERE r.schedule_id = h.schedule_id
              -- no guard: Where the job goes on; a mail is queued once per person in any case.
              AND (h.after_reservation_id IS NULL OR r.reservation_id > h.after_reservation_id)
            ORDER BY r.reservation_id
            -- no guard: Bounds the work of one call; the place of the job leads to the rest.
            LIMIT $3) r
), queued AS (
    INSERT INTO mails (user_id, scope_id, subject_id, kind)
    -- no guard: The kind of the mail by that of the change; a second mail of it is refused below.
    SELECT DISTINCT CASE WHEN i.email IS NULL THEN n.user_id ELSE n.reservation_id END, $1::uuid, n.change_id,
           -- no guard: As above.
           'schedule_' || lower(n.kind)
      FROM next n
      -- no guard: The issue of the reservation, by its primary key.
      LEFT JOIN ticket_issues i ON i.schedule_id = $1 AND i.reservation_id = n.reservation_id
     -- no guard: Head of the conditions below, which are guards.
     WHERE CASE n.status
                -- guard: notify_who_has_tickets: 'CONFIRMED' THEN true => 'CONFIRMED' THEN false
                WHEN 'CONFIRMED' THEN true
                -- guard: notify_who_holds_seats: n.expires_at > clock_timestamp() => false
                WHEN 'HELD' THEN n.expires_at > clock_timestamp()
                -- guard: notify_who_was_refunded_by_this_job: f.job_id = n.refund_job_id => false
                -- guard: notify_nobody_who_returned_tickets_before: f.job_id = n.refund_job_id => true
                -- guard: notify_guest_whose_tickets_this_job_made_void: n.kind = 'CANCELLED' AND i.voided_at >= n.created_at => false
                -- guard: notify_no_guest_whose_tickets_were_void_before: AND i.voided_at >= n.created_at =>
                WHEN 'REFUNDED' THEN (n.kind = 'CANCELLED' AND i.voided_at >= n.created_at) IS TRUE OR EXISTS (SELECT FROM refunds f WHERE f.user_id = n.user_id AND f.job_id = n.refund_job_id)
                -- guard: notify_whose_hold_was_ended: n.closed_by = n.change_id => false
                -- guard: notify_nobody_who_gave_seats_back: n.closed_by = n.change_id => true
                WHEN 'CANCELLED' THEN n.closed_by = n.change_id
                -- no guard: The states without a seat or a ticket.
                ELSE false END
       -- guard: notify_no_house_account
       -- guard: notify_guests_with_an_address: i.email IS NOT NULL OR => false OR
       AND (i.email IS NOT NULL OR NOT EXISTS (SELECT FROM house_accounts a WHERE a.user_id = n.user_id))
    -- guard: one_mail_per_person_and_change
    ON CONFLICT DO NOTHING
    RETURNING 1
)
UPDATE schedule_changes h
   SET mails = h.mails + (SELECT count(*) FROM queued),
       after_reservation_id = coalesce(
           -- no guard: The place of the job.
           (SELECT n.reservation_id FROM next n ORDER BY n.reservation_id DESC LIMIT 1), h.after_reservation_id),
       -- guard: notified_once_no_one_is_left: NOT EXISTS (SELECT FROM next) => true
       notified_at = CASE WHEN NOT EXISTS (SELECT FROM next) THEN clock_timestamp() END
  FROM change c
 -- no guard: The change that is locked above.
 WHERE h.schedule_id = c.schedule_id AND h.change_id = c.change_id
RETURNING h.notified_at IS NOT NULL AS is_notified;

-- name: notify_again
-- Begin the mails of a change anew: a hold that was in flight when it was made may have been missed.
UPDATE schedule_changes h SET notified_at = NULL, after_reservation_id = NULL
 -- guard: notify_again_this_change: h.change_id = $2 => $2::uuid IS NOT NULL
 WHERE h.schedule_id = $1 AND h.change_id = $2;

-- name: note_released
-- How many holds were ended because of a change.
UPDATE schedule_changes h SET released = h.released + $3
 -- guard: note_released_of_this_change: h.change_id = $2 => $2::uuid IS NOT NULL
 WHERE h.schedule_id = $1 AND h.change_id = $2;

-- name: finish
-- End the job of a change, unless its performance is cancelled and a hold is left, which is being paid.
UPDATE schedule_changes h SET finished_at = clock_timestamp()
 -- guard: finish_this_change: h.change_id = $2 => $2::uuid IS NOT NULL
 WHERE h.schedule_id = $1 AND h.change_id = $2
   -- guard: cancellation_ends_without_holds
   AND NOT (h.kind = 'CANCELLED' AND EXISTS (SELECT FROM reservations r WHERE r.schedule_id = h.schedule_id AND r.status = 'HELD' AND (r.expires_at > clock_timestamp() OR r.intent_id IS NOT NULL)))
RETURNING 1;
