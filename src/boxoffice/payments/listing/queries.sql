-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: of_user
-- Payments of a person with their tickets in the order of the seats, the newest first, from a cursor on.
SELECT c.organization_id, c.concert_id, p.schedule_id, p.payment_id, p.reservation_id, p.amount_minor, p.currency,
       p.method, p.created_at,
       p.ticket_ids, t.seat_ids, t.void_ticket_ids, p.user_id, u.email, u.name, c.title, s.starts_at,
       v.time_zone, NULL::uuid AS intent_id, k.order_number
  FROM (SELECT p.*
          FROM payments p
         -- guard: my_payments_only_own: p.user_id = $1 => $1::uuid IS NOT NULL
         -- guard: my_payments_page_cursor: p.payment_id < $2 => true
         WHERE p.user_id = $1 AND ($2::uuid IS NULL OR p.payment_id < $2)
         ORDER BY p.payment_id DESC
         -- guard: my_payments_page_limit: $3 => $3 + 9
         LIMIT $3) p
  -- no guard: { The payer, the schedule, the concert, the venue and the number of a payment, by their primary keys.
  JOIN users u ON u.user_id = p.user_id
  JOIN schedules s ON s.schedule_id = p.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
  -- guard: }
 CROSS JOIN LATERAL (
      SELECT array_agg(t.seat_id ORDER BY n.at) AS seat_ids,
             -- guard: my_payments_tickets_that_are_void: FILTER (WHERE t.status = 'VOID') =>
             array_agg(t.ticket_id) FILTER (WHERE t.status = 'VOID') AS void_ticket_ids
        FROM unnest(p.ticket_ids) WITH ORDINALITY n (ticket_id, at)
        -- no guard: The tickets of the payment, by their primary key.
        JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.ticket_id
 ) t
 ORDER BY p.payment_id DESC;

-- name: of_seller
-- Payments of an organizer (null: of any), the newest first, from cursor $2 on; of a schedule $3, a payment $4,
-- a reservation $5, a method $6 and a status $7 where these are given.
SELECT c.organization_id, c.concert_id, p.schedule_id, p.payment_id, p.reservation_id, p.amount_minor, p.currency,
       p.method, p.created_at,
       p.ticket_ids, p.seat_ids, p.void_ticket_ids, p.user_id, u.email, u.name, c.title, s.starts_at,
       v.time_zone, i.intent_id, k.order_number
  FROM schedules s
  -- no guard: { The concert and the venue of the schedule, by their primary keys.
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: }
 CROSS JOIN LATERAL (
      SELECT p.schedule_id, p.payment_id, p.reservation_id, p.user_id, p.amount_minor, p.currency, p.method,
             p.created_at, p.ticket_ids, t.seat_ids, t.void_ticket_ids
        FROM payments p
       CROSS JOIN LATERAL (
            SELECT array_agg(t.seat_id ORDER BY n.at) AS seat_ids,
                   -- guard: sellers_payments_tickets_that_are_void: FILTER (WHERE t.status = 'VOID') =>
                   array_agg(t.ticket_id) FILTER (WHERE t.status = 'VOID') AS void_ticket_ids,
                   -- guard: sellers_payments_status_counts_void_tickets: FILTER (WHERE t.status = 'VOID') =>
                   CASE count(*) FILTER (WHERE t.status = 'VOID')
                       -- guard: sellers_payments_status_without_refund
                       WHEN 0 THEN 'SUCCEEDED'
                       -- guard: sellers_payments_status_of_whole_refund
                       WHEN count(*) THEN 'REFUNDED'
                       -- no guard: The rest.
                       ELSE 'PARTLY_REFUNDED' END AS status
              FROM unnest(p.ticket_ids) WITH ORDINALITY n (ticket_id, at)
              -- no guard: The tickets of the payment, by their primary key.
              JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.ticket_id
       ) t
       -- guard: sellers_payments_of_the_schedule: p.schedule_id = s.schedule_id => true
       WHERE p.schedule_id = s.schedule_id
         -- guard: sellers_payments_page_cursor: p.payment_id < $2 => true
         AND ($2::uuid IS NULL OR p.payment_id < $2)
         -- guard: sellers_payments_by_id: p.payment_id = $4 => true
         AND ($4::uuid IS NULL OR p.payment_id = $4)
         -- guard: sellers_payments_of_reservation: p.reservation_id = $5 => true
         AND ($5::uuid IS NULL OR p.reservation_id = $5)
         -- guard: sellers_payments_of_method: p.method = $6 => true
         AND ($6::text IS NULL OR p.method = $6)
         -- guard: sellers_payments_of_status: t.status = $7 => true
         AND ($7::text IS NULL OR t.status = $7)
       ORDER BY p.payment_id DESC
       -- no guard: Bounds the work; the outer order and limit decide the page.
       LIMIT $8
 ) p
  -- no guard: { The payer and the number of the order, by their primary keys.
  JOIN users u ON u.user_id = p.user_id
  LEFT JOIN order_numbers k ON k.schedule_id = p.schedule_id AND k.reservation_id = p.reservation_id
  -- guard: }
  -- guard: sellers_payments_show_their_order: AND i.payment_id = p.payment_id =>
  LEFT JOIN payment_intents i ON i.user_id = p.user_id AND i.reservation_id = p.reservation_id AND i.payment_id = p.payment_id
 -- guard: sellers_payments_only_own: c.organization_id = ANY ($1::uuid[]) => true
 WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
   -- guard: sellers_payments_of_wanted_schedule: s.schedule_id = $3 => true
   AND ($3::uuid IS NULL OR s.schedule_id = $3)
 ORDER BY p.payment_id DESC
 -- guard: sellers_payments_page_limit: $8 => $8 + 9
 LIMIT $8;

-- name: reservation_of_order
-- The reservation that an intent pays, none for a top-up.
SELECT i.schedule_id, i.reservation_id
  FROM payment_intents i
 -- guard: order_of_this_intent: AND i.intent_id = $2 => AND $2::uuid IS NOT NULL
 WHERE i.user_id = $1 AND i.intent_id = $2 AND i.reservation_id IS NOT NULL;

-- name: reservation_of_number
-- The reservation with an order number.
SELECT k.schedule_id, k.reservation_id
  FROM order_numbers k
 -- guard: order_of_this_number => WHERE $1::text IS NOT NULL
 WHERE k.order_number = $1;
