-- What the fault suite reads of the database, and the one thing that it sets there as an organizer would.

-- name: seat_ids
-- The seats of a schedule in their order.
SELECT seat_id FROM seats WHERE schedule_id = $1 ORDER BY ordinal;

-- name: top_ups
-- The top-ups of some people that carry this run's keys.
SELECT transfer_id, user_id, amount_minor, idempotency_key
  FROM transfers
 WHERE kind = 'charge' AND user_id = ANY($1::uuid[]) AND idempotency_key LIKE $2 || '%';

-- name: left_undone
-- What the relay and the sweeper have not got to yet: events that wait, and holds that have lapsed.
SELECT (SELECT count(*) FROM outbox) AS events,
       (SELECT count(*) FROM reservations
         WHERE status = 'HELD' AND expires_at < clock_timestamp()) AS holds;

-- name: one_at_a_time
-- Let one person be in the waiting room of schedule $1 at a time, for as long as they want.
UPDATE queue_rooms SET inside_max = 1, inside_s = 3600, grace_s = 3600 WHERE schedule_id = $1;
