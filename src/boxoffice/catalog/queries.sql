-- Every statement of the catalog room.

-- name: published_concerts
-- A page of what the public sees, newest first, from a place ($1, $2) on; null for the first page. A
-- concert is listed while a performance is yet to begin; the times are those of such performances, of
-- which a draft is not told.
SELECT c.concert_id, c.title, c.artist, c.venue, c.published_at, s.first_starts_at, s.last_starts_at
  FROM concerts c
  LEFT JOIN LATERAL (
      SELECT min(s.starts_at) AS first_starts_at, max(s.starts_at) AS last_starts_at
        FROM schedules s
       WHERE s.concert_id = c.concert_id
         AND s.status <> 'DRAFT'
         AND s.starts_at > clock_timestamp()
  ) s ON true
 WHERE c.status = 'PUBLISHED'
   AND c.taken_down_at IS NULL
   AND EXISTS (
       SELECT FROM schedules u
        WHERE u.concert_id = c.concert_id AND u.starts_at > clock_timestamp())
   AND ($1::timestamptz IS NULL OR (c.published_at, c.concert_id) < ($1::timestamptz, $2::uuid))
 ORDER BY c.published_at DESC, c.concert_id DESC
 LIMIT $3;

-- name: published_concert
-- One concert as the public sees it; none that an operator has taken down.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at
  FROM concerts c
 WHERE c.concert_id = $1 AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL;

-- name: schedules_of_concert
-- Every schedule of a concert, or its schedule $2, with its seats counted; a lapsed hold counts as
-- available. Where $3 is set, only what buyers are shown: no draft, and no performance that has begun.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status,
       s.currency, s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.status = 'OPEN' AND m.at >= s.sale_opens_at
           AND m.at < least(s.sale_closes_at, s.starts_at) AS on_sale,
       n.seats_total, n.seats_available, n.price_min_minor, n.price_max_minor
  FROM schedules s
 CROSS JOIN moment m
 CROSS JOIN LATERAL (
      SELECT count(*) AS seats_total,
             count(*) FILTER (
                 WHERE x.state = 'AVAILABLE' OR (x.state = 'HELD' AND x.expires_at <= m.at)
             ) AS seats_available,
             min(x.price_minor) AS price_min_minor,
             max(x.price_minor) AS price_max_minor
        FROM seats x
       WHERE x.schedule_id = s.schedule_id
  ) n
 WHERE s.concert_id = $1 AND ($2::uuid IS NULL OR s.schedule_id = $2)
   AND (NOT $3::boolean OR (s.status <> 'DRAFT' AND s.starts_at > m.at))
 ORDER BY s.starts_at, s.schedule_id;

-- name: published_schedule
-- One schedule of a published concert that is no draft, with what is performed and how people wait for
-- it; also one whose performance has begun.
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status,
       s.currency, s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.status = 'OPEN' AND m.at >= s.sale_opens_at
           AND m.at < least(s.sale_closes_at, s.starts_at) AS on_sale,
       coalesce(q.mode, 'off') AS waiting_room, c.title, c.artist, c.venue
  FROM schedules s
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN queue_rooms q ON q.schedule_id = s.schedule_id
 CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) m
 WHERE s.schedule_id = $1 AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED'
   AND c.taken_down_at IS NULL;

-- name: concerts_of_organizer
-- A page of an organizer's concerts, newest first, from a place ($2, $3) on; null for the first page.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       u.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  JOIN users u ON u.user_id = c.organizer_id
 CROSS JOIN LATERAL (
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       WHERE s.concert_id = c.concert_id
  ) s
 WHERE c.organizer_id = $1
   AND ($2::timestamptz IS NULL OR (c.created_at, c.concert_id) < ($2::timestamptz, $3::uuid))
 ORDER BY c.created_at DESC, c.concert_id DESC
 LIMIT $4;

-- name: concerts_of_shop
-- A page of everybody's concerts, newest first, from a place ($1, $2) on; null for the first page.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       u.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  JOIN users u ON u.user_id = c.organizer_id
 CROSS JOIN LATERAL (
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       WHERE s.concert_id = c.concert_id
  ) s
 WHERE ($1::timestamptz IS NULL OR (c.created_at, c.concert_id) < ($1::timestamptz, $2::uuid))
 ORDER BY c.created_at DESC, c.concert_id DESC
 LIMIT $3;

-- name: own_concert
-- One concert of an organizer, draft or not; without an organizer anybody's.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       u.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  JOIN users u ON u.user_id = c.organizer_id
 CROSS JOIN LATERAL (
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       WHERE s.concert_id = c.concert_id
  ) s
 WHERE ($1::uuid IS NULL OR c.organizer_id = $1) AND c.concert_id = $2;

-- name: concert_of_organizer
-- The status of a concert, if it is this organizer's, and whether it is taken down.
SELECT c.status, c.taken_down_at IS NOT NULL AS is_taken_down FROM concerts c WHERE c.concert_id = $1 AND c.organizer_id = $2;

-- name: schedule_of_organizer
-- The status of a schedule and its concert, if they are this organizer's, or anybody's without one.
SELECT s.concert_id, s.status
  FROM schedules s
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE s.schedule_id = $1 AND ($2::uuid IS NULL OR c.organizer_id = $2);

-- name: insert_concert
-- A draft.
INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, description)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING concert_id, title, artist, venue, description, status, published_at;

-- name: lock_concert_of_organizer
-- Let one change of the concert's list of schedules happen at a time; none if it is not theirs.
SELECT c.concert_id
  FROM concerts c
 WHERE c.concert_id = $1 AND c.organizer_id = $2
   FOR NO KEY UPDATE OF c;

-- name: count_schedules
-- How many schedules a concert has.
SELECT count(*) AS schedules FROM schedules s WHERE s.concert_id = $1;

-- name: insert_schedule
-- A draft without seats.
INSERT INTO schedules (
    schedule_id, concert_id, starts_at, sale_opens_at, sale_closes_at, currency, hold_ttl_s,
    ticket_limit, seats_return_delay_max_s)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING schedule_id, concert_id, starts_at, sale_opens_at, sale_closes_at, status, currency,
          hold_ttl_s, ticket_limit, seats_return_delay_max_s;

-- name: publish_concert
-- Make a draft visible; nothing where it is published already, taken down, or has no schedule with
-- seats.
UPDATE concerts c
   SET status = 'PUBLISHED', published_at = now()
 WHERE c.concert_id = $1
   AND c.organizer_id = $2
   AND c.status = 'DRAFT'
   AND c.taken_down_at IS NULL
   AND EXISTS (
       SELECT FROM schedules s
         JOIN seats x ON x.schedule_id = s.schedule_id
        WHERE s.concert_id = c.concert_id)
RETURNING c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at;

-- name: open_schedule
-- Put a schedule on sale; nothing where it is open, has no seats, or its concert is a draft or taken down.
-- The concert is locked, so that whoever takes it down meanwhile finds the sale open and closes it.
UPDATE schedules s
   SET status = 'OPEN'
  FROM (SELECT c.concert_id
          FROM schedules o
          JOIN concerts c ON c.concert_id = o.concert_id
         WHERE o.schedule_id = $1
           AND c.organizer_id = $2
           AND c.status = 'PUBLISHED'
           AND c.taken_down_at IS NULL
           FOR SHARE OF c) c
 WHERE s.schedule_id = $1
   AND s.status IN ('DRAFT', 'CLOSED')
   AND c.concert_id = s.concert_id
   AND EXISTS (SELECT FROM seats x WHERE x.schedule_id = s.schedule_id)
RETURNING s.concert_id;

-- name: close_schedule
-- Take a schedule off sale; nothing where it is closed or was never open.
UPDATE schedules s
   SET status = 'CLOSED'
  FROM concerts c
 WHERE s.schedule_id = $1
   AND s.status = 'OPEN'
   AND c.concert_id = s.concert_id
   AND c.organizer_id = $2
RETURNING s.concert_id;

-- name: take_down
-- Take a concert away from the public, whoever's it is; nothing where that was done.
UPDATE concerts c
   SET taken_down_at = clock_timestamp(), taken_down_reason = $2
 WHERE c.concert_id = $1 AND c.taken_down_at IS NULL
RETURNING c.organizer_id, c.title;

-- name: close_sales
-- End every sale of a concert.
UPDATE schedules s
   SET status = 'CLOSED'
 WHERE s.concert_id = $1 AND s.status = 'OPEN'
RETURNING s.schedule_id;

-- name: restore
-- Give a concert back to the public; nothing where it was not taken down. Its sales stay closed.
UPDATE concerts c
   SET taken_down_at = NULL, taken_down_reason = NULL
 WHERE c.concert_id = $1 AND c.taken_down_at IS NOT NULL
RETURNING c.organizer_id, c.title;

-- name: lock_schedule_of_organizer
-- Keep the schedule from being opened, and from other seat maps, until the transaction ends.
SELECT s.concert_id, s.status
  FROM schedules s
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE s.schedule_id = $1 AND c.organizer_id = $2
   FOR UPDATE OF s;

-- name: count_seats
-- How many seats a schedule has.
SELECT count(*) AS seats FROM seats s WHERE s.schedule_id = $1;

-- name: seats_in_the_way
-- Which of the new seats are there already, by their id or by their place; $6 at the most.
SELECT n.seat_id
  FROM unnest($2::text[], $3::text[], $4::text[], $5::integer[])
       AS n (seat_id, section, row_label, number)
 WHERE EXISTS (
       SELECT FROM seats s WHERE s.schedule_id = $1 AND s.seat_id = n.seat_id)
    OR EXISTS (
       SELECT FROM seats s
        WHERE s.schedule_id = $1
          AND s.section = n.section AND s.row_label = n.row_label AND s.number = n.number)
 LIMIT $6;

-- name: labels_of_schedule
-- How sections, rows and grades are written in a schedule.
SELECT DISTINCT s.section, s.row_label AS row, s.grade FROM seats s WHERE s.schedule_id = $1;

-- name: insert_seats
-- A part of a seat map; $2 is the ordinal of its first seat.
INSERT INTO seats (schedule_id, ordinal, seat_id, section, row_label, number, grade, price_minor)
SELECT $1, $2::integer + n.at::integer - 1, n.seat_id, n.section, n.row_label, n.number, n.grade,
       n.price_minor
  FROM unnest($3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::bigint[])
       WITH ORDINALITY AS n (seat_id, section, row_label, number, grade, price_minor, at);

-- name: analyze_seats
-- Tell the planner about a seat map before anybody asks for it: autovacuum would come a minute later.
-- Skipped where somebody else (autovacuum, another upload) is at it.
ANALYZE (SKIP_LOCKED) seats;
