-- name: lock_seats
-- The requested seats, always locked in the same order, which rules out deadlocks.
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.price_minor,
       s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= now()) AS free
  FROM lock_per_request.seats s
 WHERE s.schedule_id = $1 AND s.seat_id = ANY ($2::text[])
 ORDER BY s.seat_id
   FOR UPDATE;

-- name: read_seats
-- The same without a lock: a free seat may be taken before the write.
SELECT s.seat_id, s.section, s.row_label, s.number, s.grade, s.price_minor,
       s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= now()) AS free
  FROM lock_per_request.seats s
 WHERE s.schedule_id = $1 AND s.seat_id = ANY ($2::text[])
 ORDER BY s.seat_id;

-- name: hold_seats
-- Hold seats.
UPDATE lock_per_request.seats s
   SET state = 'HELD', user_id = $3, reservation_id = $4, expires_at = $5
 WHERE s.schedule_id = $1 AND s.seat_id = ANY ($2::text[]);

-- name: insert_reservation
-- The reservation of a hold.
INSERT INTO lock_per_request.reservations (
    reservation_id, schedule_id, user_id, seat_ids, amount_minor, status, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, 'HELD', $6, $7);

-- name: keys
-- The secrets that sign access tokens, by key id.
SELECT kid, secret FROM token_keys;

-- name: check
-- Held seats without exactly one reservation, and reserved seats that are not held.
SELECT (SELECT count(*)
          FROM lock_per_request.seats s
         WHERE s.state = 'HELD'
           AND 1 <> (SELECT count(*) FROM lock_per_request.reservations r
                      WHERE r.reservation_id = s.reservation_id
                        AND r.schedule_id = s.schedule_id
                        AND s.seat_id = ANY (r.seat_ids)))
     + (SELECT abs(coalesce(sum(cardinality(r.seat_ids)), 0)
                   - (SELECT count(*) FROM lock_per_request.seats s WHERE s.state = 'HELD'))
          FROM lock_per_request.reservations r) AS violations;

-- name: sold_twice
-- Seats in more than one reservation.
SELECT count(*)
  FROM (SELECT r.schedule_id, s.seat_id
          FROM lock_per_request.reservations r CROSS JOIN unnest(r.seat_ids) AS s (seat_id)
         GROUP BY r.schedule_id, s.seat_id
        HAVING count(*) > 1) AS twice;
