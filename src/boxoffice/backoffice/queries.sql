-- The statements of the backoffice; all of them read.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: own_schedule
-- A schedule of the organizations $2, or of any, for null.
SELECT s.schedule_id, s.concert_id, c.organization_id
  FROM schedules s
  -- guard: backoffice_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: backoffice_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: backoffice_only_its_organizers: c.organization_id = ANY ($2::uuid[]) => true
 -- guard: backoffice_operator_too: $2::uuid[] IS NULL OR =>
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: of_schedule
-- Reservations of a schedule, also archived ones, newest first, before a cursor; optionally those of a
-- seat, by any of its spellings. Scans the primary keys backwards; with a seat it filters the scan.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, k.order_number,
       clock_timestamp() AS now
  FROM (
      (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
              r.currency, r.created_at, r.expires_at, r.closed_at
         FROM reservations r
        -- guard: backoffice_reservations_of_this_schedule => WHERE $1::uuid IS NOT NULL
        WHERE r.schedule_id = $1
          -- guard: backoffice_page_cursor: r.reservation_id < $2 => true
          AND ($2::uuid IS NULL OR r.reservation_id < $2)
          -- guard: backoffice_reservations_of_seat: r.seat_ids && $3 => true
          AND ($3::text[] IS NULL OR r.seat_ids && $3)
        ORDER BY r.reservation_id DESC
        -- no guard: Bounds the work; the outer order and limit decide the page.
        LIMIT $4)
      UNION ALL
      (SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
              a.currency, a.created_at, a.expires_at, a.closed_at
         FROM reservations_archive a
        -- guard: backoffice_archived_of_this_schedule => WHERE false
        WHERE a.schedule_id = $1
          -- guard: backoffice_archived_page_cursor: reservation_id < => reservation_id >
          AND ($2::uuid IS NULL OR a.reservation_id < $2)
          -- guard: backoffice_archived_of_seat: OR a.seat_ids && $3 =>
          AND ($3::text[] IS NULL OR a.seat_ids && $3)
        ORDER BY a.reservation_id DESC
        -- no guard: Bounds the work; the outer order and limit decide the page.
        LIMIT $4)
  ) r
  -- guard: backoffice_reservation_buyer => JOIN users u ON true
  JOIN users u ON u.user_id = r.user_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
 ORDER BY r.reservation_id DESC
 -- guard: backoffice_page_limit_reservations: $4 => $4 + 9
 LIMIT $4;

-- name: of_user
-- A user's reservations of a schedule, newest first, before a cursor, along the key that begins with the
-- user.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, k.order_number,
       clock_timestamp() AS now
  FROM users u
 CROSS JOIN LATERAL (
      (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
              r.currency, r.created_at, r.expires_at, r.closed_at
         FROM reservations r
        -- guard: backoffice_persons_reservations_of_this_schedule => WHERE $1::uuid IS NOT NULL
        WHERE r.schedule_id = $1
          -- guard: backoffice_own_reservations
          AND r.user_id = u.user_id
          -- guard: backoffice_persons_page_cursor: r.reservation_id < $2 => true
          AND ($2::uuid IS NULL OR r.reservation_id < $2)
          -- guard: backoffice_persons_reservations_of_seat: r.seat_ids && $4 => true
          AND ($4::text[] IS NULL OR r.seat_ids && $4))
      UNION ALL
      (SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
              a.currency, a.created_at, a.expires_at, a.closed_at
         FROM reservations_archive a
        -- guard: backoffice_archived_of_person_in_this_schedule => WHERE false
        WHERE a.schedule_id = $1
          -- guard: backoffice_own_archived => AND false
          AND a.user_id = u.user_id
          -- no guard: Bounds the work; the outer order and limit decide the page.
          AND ($2::uuid IS NULL OR a.reservation_id < $2)
          -- no guard: The same filter of live reservations is a guard.
          AND ($4::text[] IS NULL OR a.seat_ids && $4)
        ORDER BY a.reservation_id DESC
        -- no guard: Bounds the work; the outer order and limit decide the page.
        LIMIT $5)
  ) r
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
 -- guard: backoffice_person_of_address => WHERE $3::text IS NOT NULL
 WHERE u.email = $3
 ORDER BY r.reservation_id DESC
 -- guard: backoffice_page_limit_of_person: $5 => $5 + 9
 LIMIT $5;

-- name: reservation
-- One reservation of a schedule.
SELECT r.schedule_id, r.reservation_id, r.user_id, u.email, u.name, r.status, r.seat_ids,
       r.amount_minor, r.currency, r.created_at, r.expires_at, r.closed_at, k.order_number,
       clock_timestamp() AS now
  FROM (
      SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.amount_minor,
             r.currency, r.created_at, r.expires_at, r.closed_at
        FROM reservations r
       -- guard: backoffice_reservation_of_this_schedule: r.schedule_id = $1 => $1::uuid IS NOT NULL
       -- guard: backoffice_reservation_by_id: r.reservation_id = $2 => $2::uuid IS NOT NULL
       WHERE r.schedule_id = $1 AND r.reservation_id = $2
       UNION ALL
      SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.amount_minor,
             a.currency, a.created_at, a.expires_at, a.closed_at
        FROM reservations_archive a
       -- guard: backoffice_archived_by_id: reservation_id = => reservation_id <>
       WHERE a.schedule_id = $1 AND a.reservation_id = $2
  ) r
  -- guard: backoffice_detail_buyer => JOIN users u ON true
  JOIN users u ON u.user_id = r.user_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id;

-- name: by_number
-- The reservation with an order number.
SELECT n.schedule_id, n.reservation_id
  FROM order_numbers n
 -- guard: backoffice_reservation_by_number => WHERE $1::text IS NOT NULL
 WHERE n.order_number = $1;

-- name: payments
-- The payments for a reservation.
SELECT p.payment_id, p.amount_minor, p.currency, p.method, p.status, p.created_at
  FROM payments p
 -- guard: backoffice_payments_for_this_reservation: p.reservation_id = $2 => $2::uuid IS NOT NULL
 -- guard: backoffice_payments_in_this_schedule: p.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE p.reservation_id = $2 AND p.schedule_id = $1
 ORDER BY p.created_at;

-- name: transfers
-- A user's ledger transfers of some payments.
SELECT t.transfer_id, t.kind, t.amount_minor, t.currency, t.created_at
  FROM transfers t
 -- guard: backoffice_transfers_of_this_person: t.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: backoffice_transfers_of_these_payments => WHERE t.user_id = $1 AND $2::uuid[] IS NOT NULL
 WHERE t.user_id = $1 AND t.payment_id = ANY ($2::uuid[])
 ORDER BY t.transfer_id;

-- name: tickets
-- The tickets of a reservation, in the order of its seats.
SELECT t.ticket_id, t.seat_id, t.status, t.issued_at
  FROM payments p
 CROSS JOIN LATERAL unnest(p.ticket_ids) n (ticket_id)
  -- guard: backoffice_tickets_themselves: AND t.ticket_id = n.ticket_id =>
  JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.ticket_id
 -- guard: backoffice_tickets_of_this_reservation: p.reservation_id = $2 => $2::uuid IS NOT NULL
 -- guard: backoffice_tickets_in_this_schedule: p.schedule_id = $1 => $1::uuid IS NOT NULL
 WHERE p.reservation_id = $2 AND p.schedule_id = $1
 ORDER BY t.position;
