-- Every statement of the waiting room.

-- name: rooms
-- The waiting rooms that are open, at most $1: not switched off, and the performance was not days ago.
SELECT r.schedule_id, r.mode, r.is_paused, r.is_closed, r.rate_per_s, r.inside_max, r.inside_s,
       r.grace_s, extract(epoch FROM r.opens_at)::double precision AS opens_at, r.seed, r.lobby_size,
       r.epoch, r.numbers_to, r.joined, r.called,
       ARRAY(SELECT ARRAY[g.joined, g.numbers_to] FROM queue_gaps g
              WHERE g.schedule_id = r.schedule_id ORDER BY g.epoch) AS gaps,
       s.status <> 'DRAFT' AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL AS is_public,
       s.status = 'CLOSED' AS is_sale_closed,
       extract(epoch FROM least(s.sale_closes_at, s.starts_at))::double precision AS sale_ends_at
  FROM queue_rooms r
  JOIN schedules s ON s.schedule_id = r.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE r.mode <> 'off'
   AND greatest(s.starts_at, s.sale_closes_at) > clock_timestamp() - interval '1 day'
 ORDER BY r.schedule_id
 LIMIT $1;

-- name: left
-- Who is not inside any more, by those transactions that an earlier reading may not have seen: $1 is what
-- that one returned as seen_to, 0 for all. At most $2 rows, in the order of the transactions, without
-- those whose passes have long ended; at least one row, which names nobody where nobody has left.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS seen_to, l.schedule_id, l.numbers,
       l.written_by::text::bigint AS written_by,
       extract(epoch FROM l.until_at - clock_timestamp())::double precision AS passes_for_s
  FROM (SELECT 1) one
  LEFT JOIN LATERAL (
       SELECT l.schedule_id, l.numbers, l.written_by, l.until_at
         FROM queue_leavers l
        WHERE l.written_by >= $1::bigint::text::xid8
          AND l.until_at > clock_timestamp() - interval '1 minute'
        ORDER BY l.written_by, l.entry_id
        LIMIT $2) l ON true;

-- name: forget_left
-- Forget who has left so long ago that every pass of theirs has ended.
DELETE FROM queue_leavers l WHERE l.until_at < clock_timestamp() - interval '10 minutes';

-- name: lock_opening
-- Open a waiting room alone until the end of the transaction, so that none is opened past the limit.
SELECT pg_advisory_xact_lock(hashtextextended('boxoffice queue rooms', 0));

-- name: rooms_open
-- How many waiting rooms are open beside that of schedule $1, and how many of them are organizer $2's.
SELECT count(*) AS rooms, count(*) FILTER (WHERE c.organizer_id = $2) AS own
  FROM queue_rooms r
  JOIN schedules s ON s.schedule_id = r.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE r.mode <> 'off' AND r.schedule_id <> $1
   AND greatest(s.starts_at, s.sale_closes_at) > clock_timestamp() - interval '1 day';

-- name: room
-- The waiting room of schedule $1, switched off or not.
SELECT r.schedule_id, r.mode, r.is_paused, r.is_closed, r.rate_per_s, r.inside_max, r.inside_s,
       r.grace_s, extract(epoch FROM r.opens_at)::double precision AS opens_at, r.seed, r.lobby_size,
       r.epoch, r.numbers_to, r.joined, r.called,
       ARRAY(SELECT ARRAY[g.joined, g.numbers_to] FROM queue_gaps g
              WHERE g.schedule_id = r.schedule_id ORDER BY g.epoch) AS gaps,
       s.status <> 'DRAFT' AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL AS is_public,
       s.status = 'CLOSED' AS is_sale_closed,
       extract(epoch FROM least(s.sale_closes_at, s.starts_at))::double precision AS sale_ends_at
  FROM queue_rooms r
  JOIN schedules s ON s.schedule_id = r.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE r.schedule_id = $1;

-- name: lock_room
-- Have the waiting room of schedule $1 to oneself until the end of the transaction.
SELECT r.schedule_id FROM queue_rooms r WHERE r.schedule_id = $1 FOR NO KEY UPDATE;

-- name: sale_of_organizer
-- When the sale of schedule $1 opens, and its concert, if organizer $2 has it; without one
-- of anybody's.
SELECT extract(epoch FROM s.sale_opens_at)::double precision AS opens_at, s.concert_id
  FROM schedules s
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE s.schedule_id = $1 AND ($2::uuid IS NULL OR c.organizer_id = $2);

-- name: add_room
-- A room for schedule $1 that is switched off, unless there is one: with mode, rate, cap, time inside,
-- grace, opening and seed.
INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s, opens_at, seed)
VALUES ($1, 'off', $2, $3, $4, $5, to_timestamp($6), $7)
ON CONFLICT ON CONSTRAINT queue_rooms_pkey DO NOTHING;

-- name: set_room
-- What the organizer wants of the room of schedule $1.
UPDATE queue_rooms
   SET mode = $2, is_paused = $3, is_closed = $4, rate_per_s = $5, inside_max = $6, inside_s = $7,
       grace_s = $8, opens_at = to_timestamp($9)
 WHERE schedule_id = $1;

-- name: checkpoint
-- What leader $2 of the room of schedule $1 has seen: $3 numbers given out, called up to $4; and up to
-- which number $5 may be given out from now on. Says what holds, or nothing after a later leader.
UPDATE queue_rooms
   SET leader_token = $2, joined = greatest(joined, $3), called = greatest(called, $4),
       numbers_to = greatest(numbers_to, $5)
 WHERE schedule_id = $1 AND leader_token <= $2
RETURNING numbers_to;

-- name: draw
-- Settle for leader $2 that the lobby of schedule $1 was drawn among $3; once.
UPDATE queue_rooms
   SET leader_token = $2, lobby_size = $3, joined = greatest(joined, $3)
 WHERE schedule_id = $1 AND leader_token <= $2 AND lobby_size IS NULL AND mode = 'lobby'
RETURNING lobby_size;

-- name: begin_epoch
-- Begin another epoch of the room of schedule $1 for leader $2, with $3 numbers to give out.
SELECT queue_begin_epoch_v1($1, $2, $3) AS begun;

-- name: admit
-- Put people who were let in on record, unless the epoch of their line, $2, is over.
SELECT ord, is_theirs, is_out, extract(epoch FROM leaves_at)::double precision AS leaves_at
  FROM queue_admit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
 ORDER BY ord;

-- name: end
-- Note that people are not inside any more.
SELECT queue_end_v1($1, $2, $3, $4);

-- name: insiders
-- Who is inside schedule $1 by the record at time $2.
SELECT a.user_id, a.number, a.place, a.inside, a.inside_max,
       (extract(epoch FROM a.leaves_at) * 1000)::bigint AS ends_ms,
       (extract(epoch FROM a.admitted_at) * 1000)::bigint AS admitted_ms
  FROM queue_admissions a
 WHERE a.schedule_id = $1 AND a.ended_at IS NULL AND a.leaves_at > $2
 ORDER BY a.number;

-- name: admissions
-- The records of numbers $2 of schedule $1.
SELECT a.number, a.user_id, a.ended_at IS NOT NULL AS is_out,
       extract(epoch FROM a.leaves_at)::double precision AS leaves_at
  FROM queue_admissions a
 WHERE a.schedule_id = $1 AND a.number = ANY ($2::bigint[]);

-- name: note_joins
-- Who got which number in the room of schedule $1.
INSERT INTO queue_joins (schedule_id, numbers, accounts) VALUES ($1, $2, $3);

-- name: joins
-- At most $3 rows of who got which number in the room of schedule $1, after row $2.
SELECT j.join_id, j.numbers, j.accounts
  FROM queue_joins j
 WHERE j.schedule_id = $1 AND j.join_id > $2
 ORDER BY j.join_id
 LIMIT $3;

-- name: let_in
-- Which of numbers $2 of schedule $1 were let in, and so are spent.
SELECT a.number FROM queue_admissions a WHERE a.schedule_id = $1 AND a.number = ANY ($2::bigint[]);

-- name: given_above
-- The numbers above $2 that are on record as given in the room of schedule $1.
SELECT n.number
  FROM queue_joins j
 CROSS JOIN LATERAL unnest(j.numbers) n (number)
 WHERE j.schedule_id = $1 AND n.number > $2;
