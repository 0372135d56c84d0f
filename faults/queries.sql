-- Reads of the fault suite, and one setting of an organizer.

-- name: seat_ids
-- The seats of a schedule in order.
SELECT seat_id FROM seats WHERE schedule_id = $1 ORDER BY ordinal;

-- name: top_ups
-- The top-ups of some persons under this run's keys.
SELECT transfer_id, user_id, amount_minor, idempotency_key
  FROM transfers
 WHERE kind = 'charge' AND user_id = ANY($1::uuid[]) AND idempotency_key LIKE $2 || '%';

-- name: left_undone
-- Pending work of relay and sweeper: events, and lapsed holds.
SELECT (SELECT count(*) FROM outbox) AS events,
       (SELECT count(*) FROM reservations
         WHERE status = 'HELD' AND expires_at < clock_timestamp()) AS holds;

-- name: admit_one_at_a_time
-- Admit one person at a time to the sale of schedule $1, without a time limit.
UPDATE queue_rooms SET inside_max = 1, inside_s = 3600, grace_s = 3600 WHERE schedule_id = $1;
