-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: hold
-- Decide a batch of holds of one schedule; one row for the whole batch.
SELECT outcomes, created_at, expires_at, currency, amounts_minor, seat_versions, in_the_way, cooldown_s,
       returns_at
  FROM reservations_hold_v4($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL);

-- name: hold_with_offers
-- Decide a batch of holds of one schedule with offers; one row for the whole batch.
SELECT outcomes, created_at, expires_at, currency, amounts_minor, seat_versions, in_the_way, cooldown_s,
       returns_at, are_refused, are_at_fault, price_types, prices_minor, discounts_minor, fees_minor
  FROM offers_hold_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: find_holds_by_key
-- What holds with these keys did, archived ones included, for requests whose answer was lost.
SELECT c.ord::integer AS ord,
       -- guard: find_holds_fingerprint_is_compared => 'replayed' AS outcome,
       CASE WHEN r.fingerprint = c.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
       r.reservation_id, r.created_at, r.expires_at, r.amount_minor, r.currency, r.seat_ids,
       o.price_types, o.prices_minor, o.discounts_minor, o.fees_minor
  FROM unnest($2::uuid[], $3::text[], $4::bytea[])
       WITH ORDINALITY c (user_id, key, fingerprint, ord)
 CROSS JOIN LATERAL (
      SELECT r.reservation_id, r.created_at, r.expires_at, r.amount_minor, r.currency, r.seat_ids,
             r.fingerprint
        FROM reservations r
       -- guard: find_holds_of_this_schedule: r.schedule_id = $1 => ($1::uuid IS NOT NULL)
       -- guard: find_holds_of_this_person: user_id = c.user_id AND r. =>
       -- guard: find_holds_by_this_key: AND r.idempotency_key = c.key =>
       WHERE r.schedule_id = $1 AND r.user_id = c.user_id AND r.idempotency_key = c.key
       UNION ALL
      SELECT a.reservation_id, a.created_at, a.expires_at, a.amount_minor, a.currency, a.seat_ids,
             a.fingerprint
        FROM reservations_archive a
       -- guard: find_holds_archived_by_this_key => WHERE false
       WHERE a.schedule_id = $1 AND a.user_id = c.user_id AND a.idempotency_key = c.key
 ) r
  -- no guard: The prices of the reservation, by their primary key.
  LEFT JOIN reservation_offers o ON o.schedule_id = $1 AND o.reservation_id = r.reservation_id
 ORDER BY c.ord;

-- name: release
-- Decide a batch of releases of one schedule.
SELECT ord, outcome, seat_ids, key, seat_versions, returns_at
  FROM reservations_release_v4($1, $2, $3, $4)
 ORDER BY ord;

-- name: holds_to_release
-- Holds of a schedule that have not ended and are not being paid, at most $3; made until $2, where it is given.
SELECT r.reservation_id, r.user_id
  FROM reservations r
 -- guard: release_holds_of_this_schedule: r.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: release_only_holds: AND r.status = 'HELD' =>
 WHERE r.schedule_id = $1 AND r.status = 'HELD'
   -- no guard: { The release decides again; without these the same holds are read for ever.
   AND r.expires_at > clock_timestamp() AND r.intent_id IS NULL
   -- guard: }
   -- guard: release_holds_made_until: r.created_at <= $2 => true
   AND ($2::timestamptz IS NULL OR r.created_at <= $2)
 ORDER BY r.reservation_id
 -- no guard: Bounds the work of one call.
 LIMIT $3;

-- name: find_releases
-- Which of these release requests took effect, for requests whose answer was lost.
SELECT c.ord::integer AS ord, 'released' AS outcome, r.seat_ids, r.idempotency_key AS key,
       NULL::bigint[] AS seat_versions, NULL::timestamptz AS returns_at
  FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY c (reservation_id, request_id, ord)
  JOIN reservations r
    -- guard: find_releases_by_this_request: AND r.closed_by = c.request_id =>
    -- guard: find_releases_reservation_by_id: reservation_id = c.reservation_id AND r. =>
    ON r.schedule_id = $1 AND r.reservation_id = c.reservation_id AND r.closed_by = c.request_id
 ORDER BY c.ord;

-- name: get
-- One reservation of one person, with the database's time and the payment, if there is one.
SELECT r.schedule_id, r.reservation_id, r.status, coalesce(l.seat_ids, r.seat_ids) AS seat_ids, r.amount_minor,
       r.currency, r.created_at, r.expires_at, p.payment_id, r.intent_id, clock_timestamp() AS now,
       r.seat_ids AS sold_seat_ids, k.order_number, o.price_types, o.prices_minor, o.discounts_minor, o.fees_minor
  FROM reservations r
  LEFT JOIN payments p
    -- guard: reservation_its_payment => ON p.schedule_id = r.schedule_id
    ON p.schedule_id = r.schedule_id AND p.reservation_id = r.reservation_id
  LEFT JOIN LATERAL (
       SELECT array_agg(t.seat_id ORDER BY n.at) AS seat_ids
         FROM unnest(p.ticket_ids) WITH ORDINALITY n (id, at)
         -- guard: reservation_shows_live_seats: AND t.status <> 'VOID' =>
         JOIN tickets t ON t.schedule_id = r.schedule_id AND t.ticket_id = n.id AND t.status <> 'VOID'
       -- no guard: Joins each payment with its live tickets; the conditions are inside.
       OFFSET 0) l ON true
  -- no guard: The prices of the reservation, by their primary key.
  LEFT JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
 -- guard: reservation_only_own: r.user_id = $3 => $3::uuid IS NOT NULL
 WHERE r.schedule_id = $1 AND r.reservation_id = $2 AND r.user_id = $3
 UNION ALL
SELECT a.schedule_id, a.reservation_id, a.status, a.seat_ids, a.amount_minor, a.currency, a.created_at,
       a.expires_at, NULL, NULL, clock_timestamp(), a.seat_ids, k.order_number, o.price_types, o.prices_minor,
       o.discounts_minor, o.fees_minor
  FROM reservations_archive a
  -- no guard: The prices of the reservation, by their primary key.
  LEFT JOIN reservation_offers o ON o.schedule_id = a.schedule_id AND o.reservation_id = a.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = a.schedule_id AND k.reservation_id = a.reservation_id
 -- guard: reservation_only_own_archived: AND a.user_id = $3 =>
 WHERE a.schedule_id = $1 AND a.reservation_id = $2 AND a.user_id = $3;

-- name: list_of_user
-- Reservations of a person, the newest first, from a cursor on.
SELECT r.schedule_id, r.reservation_id, r.status, coalesce(l.seat_ids, r.seat_ids) AS seat_ids, r.amount_minor,
       r.currency, r.created_at, r.expires_at, p.payment_id, r.intent_id, clock_timestamp() AS now,
       r.seat_ids AS sold_seat_ids, k.order_number, o.price_types, o.prices_minor, o.discounts_minor, o.fees_minor
  FROM (
      (SELECT r.schedule_id, r.reservation_id, r.status, r.seat_ids, r.amount_minor, r.currency,
              r.created_at, r.expires_at, r.intent_id
         FROM reservations r
        -- guard: reservations_only_own: r.user_id = $1 => $1::uuid IS NOT NULL
        WHERE r.user_id = $1 AND ($2::uuid IS NULL OR r.reservation_id < $2)
        ORDER BY r.reservation_id DESC
        -- no guard: Bounds the work; the outer order and limit decide the page.
        LIMIT $3)
      UNION ALL
      (SELECT a.schedule_id, a.reservation_id, a.status, a.seat_ids, a.amount_minor, a.currency,
              a.created_at, a.expires_at, NULL
         FROM reservations_archive a
        -- guard: reservations_only_own_archived: a.user_id = $1 => false
        WHERE a.user_id = $1 AND ($2::uuid IS NULL OR a.reservation_id < $2)
        ORDER BY a.reservation_id DESC
        -- no guard: Bounds the work; the outer order and limit decide the page.
        LIMIT $3)
  ) r
  LEFT JOIN payments p
    -- guard: reservations_their_payments => ON p.schedule_id = r.schedule_id
    ON p.schedule_id = r.schedule_id AND p.reservation_id = r.reservation_id
  LEFT JOIN LATERAL (
       SELECT array_agg(t.seat_id ORDER BY n.at) AS seat_ids
         FROM unnest(p.ticket_ids) WITH ORDINALITY n (id, at)
         -- guard: reservations_show_live_seats: AND t.status <> 'VOID' =>
         JOIN tickets t ON t.schedule_id = r.schedule_id AND t.ticket_id = n.id AND t.status <> 'VOID'
       -- no guard: Joins each payment with its live tickets; the conditions are inside.
       OFFSET 0) l ON true
  -- no guard: The prices of the reservation, by their primary key.
  LEFT JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
 ORDER BY r.reservation_id DESC
 -- guard: reservations_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: active_of_user
-- Holds that have not lapsed, or paid reservations, of a person, in one schedule or in all. The newest first,
-- from a cursor on.
SELECT r.schedule_id, r.reservation_id, r.status, coalesce(l.seat_ids, r.seat_ids) AS seat_ids, r.amount_minor,
       r.currency, r.created_at, r.expires_at, p.payment_id, r.intent_id, clock_timestamp() AS now,
       r.seat_ids AS sold_seat_ids, k.order_number, o.price_types, o.prices_minor, o.discounts_minor, o.fees_minor
  FROM reservations r
  LEFT JOIN payments p
    -- guard: active_reservations_their_payments: reservation_id = r.reservation_id => user_id <> r.user_id
    ON p.schedule_id = r.schedule_id AND p.reservation_id = r.reservation_id
  LEFT JOIN LATERAL (
       SELECT array_agg(t.seat_id ORDER BY n.at) AS seat_ids
         FROM unnest(p.ticket_ids) WITH ORDINALITY n (id, at)
         -- guard: active_reservations_show_live_seats: AND t.status <> 'VOID' =>
         JOIN tickets t ON t.schedule_id = r.schedule_id AND t.ticket_id = n.id AND t.status <> 'VOID'
       -- no guard: Joins each payment with its live tickets; the conditions are inside.
       OFFSET 0) l ON true
  -- no guard: The prices of the reservation, by their primary key.
  LEFT JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
  -- no guard: The number of the order, by its primary key.
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
 -- guard: active_reservations_only_own: r.user_id = $1 => $1::uuid IS NOT NULL
 -- guard: active_reservations_from_where_last_page_ended: r.reservation_id < $2 => true
 WHERE r.user_id = $1 AND ($2::uuid IS NULL OR r.reservation_id < $2)
   -- guard: active_reservations_of_one_status: r.status = $4 => $4::text IS NOT NULL
   -- guard: active_reservations_no_hold_that_has_lapsed => AND r.status = $4 AND true
   AND r.status = $4 AND ($4 = 'CONFIRMED' OR r.expires_at > clock_timestamp())
   -- guard: active_reservations_of_one_schedule: r.schedule_id = $5 => true
   AND ($5::uuid IS NULL OR r.schedule_id = $5)
 ORDER BY r.reservation_id DESC
 -- guard: active_reservations_pages_worth: $3 => $3 + 9
 LIMIT $3;

-- name: person_in_schedule
-- The ticket limit of a schedule, and how many of its seats a person holds or has live tickets for.
SELECT s.ticket_limit, coalesce(sum(coalesce(l.seats, cardinality(r.seat_ids))), 0)::integer AS seats
  FROM schedules s
  LEFT JOIN reservations r
    -- guard: standing_of_this_schedule => ON r.user_id = $2
    -- guard: standing_own: r.user_id = $2 => $2::uuid IS NOT NULL
    ON r.schedule_id = s.schedule_id AND r.user_id = $2
   -- guard: standing_only_what_counts
   AND (r.status = 'CONFIRMED' OR (r.status = 'HELD' AND r.expires_at > clock_timestamp()))
  LEFT JOIN LATERAL (
       SELECT count(*) AS seats
         FROM payments p
        CROSS JOIN LATERAL unnest(p.ticket_ids) n (id)
         -- guard: standing_only_live_tickets: AND t.status <> 'VOID' =>
         JOIN tickets t ON t.schedule_id = p.schedule_id AND t.ticket_id = n.id AND t.status <> 'VOID'
        -- no guard: { The payment of the reservation, by its unique key; a hold has none.
        WHERE r.status = 'CONFIRMED'
          AND p.reservation_id = r.reservation_id AND p.schedule_id = r.schedule_id
       HAVING r.status = 'CONFIRMED'
       OFFSET 0) l ON true
       -- guard: }
 -- guard: standing_by_schedule_id => WHERE $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
 GROUP BY s.ticket_limit;

-- name: lapsed_schedules
-- Schedules with lapsed holds to close, the oldest first, and how many seconds ago the oldest of each ended: a
-- loose index scan that reads only the oldest row of each schedule.
WITH RECURSIVE oldest AS (
    (SELECT h.schedule_id, h.expires_at
       FROM lapsing_holds h
      ORDER BY h.schedule_id, h.expires_at
      -- guard: sweep_first_schedule_once: 1 => 9
      LIMIT 1)
    UNION ALL
    SELECT n.schedule_id, n.expires_at
      FROM oldest o
     CROSS JOIN LATERAL (
           SELECT h.schedule_id, h.expires_at
             FROM lapsing_holds h
            -- guard: sweep_from_schedule_to_schedule: schedule_id > => schedule_id <>
            WHERE h.schedule_id > o.schedule_id
            ORDER BY h.schedule_id, h.expires_at
            -- guard: sweep_each_later_schedule_once: 1 => 9
            LIMIT 1) n
)
SELECT o.schedule_id, extract(epoch FROM clock_timestamp() - o.expires_at)::float8 AS lag_s
  FROM oldest o
 -- guard: sweep_only_schedules_with_something_due
 WHERE o.expires_at <= clock_timestamp()
 ORDER BY o.expires_at;

-- name: expire
-- Close lapsed holds of one schedule; how many, and whether more can be closed now.
SELECT closed, more FROM reservations_expire_v2($1, $2);
