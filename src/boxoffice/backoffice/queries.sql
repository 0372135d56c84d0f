-- Every statement of the backoffice room. All of them read.

-- name: own_schedule
-- Whether a schedule is this organizer's, or anybody's where none is given.
SELECT s.schedule_id
  FROM schedules s
  JOIN concerts c ON c.concert_id = s.concert_id
 WHERE s.schedule_id = $1 AND ($2::uuid IS NULL OR c.organizer_id = $2);

-- name: of_schedule
-- Reservations of a schedule, newest first, before a place; of those that list a seat where one is
-- given, in one of its spellings; the archived ones among them. It reads back along the primary keys, and
-- for a seat through what it does not list.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, clock_timestamp() AS now
  FROM (
      (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
              r.currency, r.created_at, r.expires_at, r.closed_at
         FROM reservations r
        WHERE r.schedule_id = $1
          AND ($2::uuid IS NULL OR r.reservation_id < $2)
          AND ($3::text[] IS NULL OR r.seat_ids && $3)
        ORDER BY r.reservation_id DESC
        LIMIT $4)
      UNION ALL
      (SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
              a.currency, a.created_at, a.expires_at, a.closed_at
         FROM reservations_archive a
        WHERE a.schedule_id = $1
          AND ($2::uuid IS NULL OR a.reservation_id < $2)
          AND ($3::text[] IS NULL OR a.seat_ids && $3)
        ORDER BY a.reservation_id DESC
        LIMIT $4)
  ) r
  JOIN users u ON u.user_id = r.user_id
 ORDER BY r.reservation_id DESC
 LIMIT $4;

-- name: of_person
-- A person's reservations in a schedule, newest first, before a place; along the key that begins with
-- the person.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, clock_timestamp() AS now
  FROM users u
 CROSS JOIN LATERAL (
      (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
              r.currency, r.created_at, r.expires_at, r.closed_at
         FROM reservations r
        WHERE r.schedule_id = $1
          AND r.user_id = u.user_id
          AND ($2::uuid IS NULL OR r.reservation_id < $2)
          AND ($4::text[] IS NULL OR r.seat_ids && $4))
      UNION ALL
      (SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
              a.currency, a.created_at, a.expires_at, a.closed_at
         FROM reservations_archive a
        WHERE a.schedule_id = $1
          AND a.user_id = u.user_id
          AND ($2::uuid IS NULL OR a.reservation_id < $2)
          AND ($4::text[] IS NULL OR a.seat_ids && $4)
        ORDER BY a.reservation_id DESC
        LIMIT $5)
  ) r
 WHERE u.email = $3
 ORDER BY r.reservation_id DESC
 LIMIT $5;

-- name: reservation
-- One reservation of a schedule.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, clock_timestamp() AS now
  FROM (
      SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
             r.currency, r.created_at, r.expires_at, r.closed_at
        FROM reservations r
       WHERE r.schedule_id = $1 AND r.reservation_id = $2
       UNION ALL
      SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
             a.currency, a.created_at, a.expires_at, a.closed_at
        FROM reservations_archive a
       WHERE a.schedule_id = $1 AND a.reservation_id = $2
  ) r
  JOIN users u ON u.user_id = r.user_id;

-- name: payments
-- The payments for a reservation.
SELECT p.payment_id, p.amount_minor, p.currency, p.method, p.status, p.created_at
  FROM payments p
 WHERE p.reservation_id = $2 AND p.schedule_id = $1
 ORDER BY p.created_at;

-- name: transfers
-- What moved in a person's ledger for some payments.
SELECT t.transfer_id, t.kind, t.amount_minor, t.currency, t.created_at
  FROM transfers t
 WHERE t.user_id = $1 AND t.payment_id = ANY ($2::uuid[])
 ORDER BY t.transfer_id;

-- name: tickets
-- The tickets that a person has in a schedule for a reservation, in the order of its seats.
SELECT t.ticket_id, t.seat_id, t.status, t.issued_at
  FROM payments p
 CROSS JOIN LATERAL unnest(p.ticket_ids) n (ticket_id)
  JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.ticket_id
 WHERE p.reservation_id = $2 AND p.schedule_id = $1
 ORDER BY t.position;
