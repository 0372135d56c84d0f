-- Every statement of the logbook room.

-- name: record
-- One deed; who calls has the transaction of the deed open.
INSERT INTO logbook (
    organizer_id, actor_id, action, concert_id, schedule_id, request_id, details)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb);

-- name: entries
-- What was done to an organizer's concerts, newest first, before a place in that order; of one concert
-- or schedule where one is given.
SELECT l.entry_id, l.written_at, l.actor_id, u.name AS actor_name, l.action, l.concert_id,
       c.title AS concert_title, l.schedule_id, s.starts_at, l.request_id, l.details::text AS details
  FROM logbook l
  LEFT JOIN users u ON u.user_id = l.actor_id
  LEFT JOIN concerts c ON c.concert_id = l.concert_id
  LEFT JOIN schedules s ON s.schedule_id = l.schedule_id
 WHERE l.organizer_id = $1
   AND ($2::bigint IS NULL OR l.entry_id < $2)
   AND ($3::uuid IS NULL OR l.concert_id = $3)
   AND ($4::uuid IS NULL OR l.schedule_id = $4)
 ORDER BY l.entry_id DESC
 LIMIT $5;

-- name: entries_of_shop
-- What was done to everybody's concerts, newest first, before a place in that order; of one concert or
-- schedule where one is given.
SELECT l.entry_id, l.written_at, l.actor_id, u.name AS actor_name, l.action, l.concert_id,
       c.title AS concert_title, l.schedule_id, s.starts_at, l.request_id, l.details::text AS details
  FROM logbook l
  LEFT JOIN users u ON u.user_id = l.actor_id
  LEFT JOIN concerts c ON c.concert_id = l.concert_id
  LEFT JOIN schedules s ON s.schedule_id = l.schedule_id
 WHERE ($1::bigint IS NULL OR l.entry_id < $1)
   AND ($2::uuid IS NULL OR l.concert_id = $2)
   AND ($3::uuid IS NULL OR l.schedule_id = $3)
 ORDER BY l.entry_id DESC
 LIMIT $4;
