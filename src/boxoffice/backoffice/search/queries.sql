-- The statements of the search; all of them read. Each finds orders of some organizations (null: of all) as pairs of
-- schedule and reservation, and `orders` shows pairs.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: by_number
-- Orders by number: those that begin with $2 (empty: none), or one of $3.
SELECT n.schedule_id, n.reservation_id
  FROM (SELECT k.schedule_id, k.reservation_id
          FROM order_numbers k
         -- guard: search_numbers_that_are_meant => WHERE $3::text[] IS NOT NULL
         WHERE k.order_number = ANY ($3::text[])
         UNION
        SELECT k.schedule_id, k.reservation_id
          FROM order_numbers k
         -- guard: search_numbers_with_the_prefix => WHERE $2::text <> '') n
         -- guard: search_numbers_without_a_prefix: $2::text <> '' => true
         WHERE $2::text <> '' AND k.order_number BETWEEN $2::text AND $2::text || 'ZZZZZZZZZ') n
  -- no guard: { Schedule and concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = n.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- no guard: `orders` decides again; this one keeps the places for what the caller may see.
 WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
 ORDER BY n.reservation_id DESC
 -- no guard: Bounds the work; the service decides how many are shown.
 LIMIT $4;

-- name: by_seat
-- Orders that have a seat now, by its id, in the newest $4 schedules.
SELECT x.schedule_id, x.reservation_id
  FROM (SELECT s.schedule_id, s.starts_at
          FROM schedules s
          -- no guard: The concert of the schedule, by its primary key.
          JOIN concerts c ON c.concert_id = s.concert_id
         -- no guard: `orders` decides again; this one keeps the places for what the caller may see.
         WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
         ORDER BY s.starts_at DESC
         -- no guard: Bounds the work.
         LIMIT $4) s
  -- guard: search_seat_by_id: x.seat_id = ANY ($2::text[]) => $2::text[] IS NOT NULL
  JOIN seats x ON x.schedule_id = s.schedule_id AND x.seat_id = ANY ($2::text[])
 -- no guard: `orders` shows no seat without an order.
 WHERE x.reservation_id IS NOT NULL
 ORDER BY s.starts_at DESC, x.reservation_id DESC
 -- no guard: Bounds the work; the service decides how many are shown.
 LIMIT $3;

-- name: by_place
-- The same by row and number, in each section: a loose index scan over the sections, at most $5.
WITH RECURSIVE sections AS (
    (SELECT x.section, 1 AS at FROM seats x ORDER BY x.section
      -- no guard: A section that is read twice finds the same seats.
      LIMIT 1)
    UNION ALL
    SELECT n.section, s.at + 1
      FROM sections s
     CROSS JOIN LATERAL (
           -- no guard: The step of the scan.
           SELECT x.section FROM seats x WHERE x.section > s.section ORDER BY x.section
            -- no guard: A section that is read twice finds the same seats.
            LIMIT 1) n
     -- no guard: Bounds the work.
     WHERE s.at < $5
)
SELECT x.schedule_id, x.reservation_id
  FROM sections n
  -- no guard: Leads to the index; row and number are the guards.
  -- guard: search_place_by_row: x.row_label = ANY ($2::text[]) => $2::text[] IS NOT NULL
  -- guard: search_place_by_number: x.number = $3 => $3::integer IS NOT NULL
  JOIN seats x ON x.section = n.section AND x.row_label = ANY ($2::text[]) AND x.number = $3
  -- no guard: { Schedule and concert, by their primary keys.
  JOIN schedules s ON s.schedule_id = x.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: }
 -- no guard: `orders` decides again; this one keeps the places for what the caller may see.
 WHERE x.reservation_id IS NOT NULL AND ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
 ORDER BY s.starts_at DESC, x.reservation_id DESC
 -- no guard: Bounds the work; the service decides how many are shown.
 LIMIT $4;

-- name: newest
-- Among the newest orders, those whose buyer or guest is meant.
SELECT schedule_ids, reservation_ids, is_all FROM backoffice_search_newest_v1($1, $2, $3, $4, $5);

-- name: people
-- Orders of buyers and guests that are meant.
SELECT schedule_ids, reservation_ids, is_all FROM backoffice_search_people_v1($1, $2, $3, $4, $5);

-- name: orders
-- Orders as they are shown, in the order of their ids; a guest instead of the house account.
SELECT r.schedule_id, r.reservation_id, c.organization_id, c.concert_id, c.title, s.starts_at, v.time_zone,
       -- no guard: The name of the guest; a sale at the box office need not have one.
       coalesce(nullif(i.name, ''), u.name) AS name,
       -- guard: search_address_of_the_guest: i.kind IS NULL => true
       CASE WHEN i.kind IS NULL THEN u.email ELSE coalesce(i.email, '') END AS email,
       r.status, r.seat_ids, r.amount_minor, r.currency, r.created_at, r.expires_at, k.order_number,
       clock_timestamp() AS now
  FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY w (schedule_id, reservation_id, at)
  -- guard: search_order_of_the_schedule: r.schedule_id = w.schedule_id AND => true AND
  -- guard: search_order_by_id: AND r.reservation_id = w.reservation_id =>
  JOIN reservations r ON r.schedule_id = w.schedule_id AND r.reservation_id = w.reservation_id
  -- no guard: { What belongs to the order, by primary keys.
  JOIN schedules s ON s.schedule_id = r.schedule_id
  JOIN concerts c ON c.concert_id = s.concert_id
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  JOIN users u ON u.user_id = r.user_id
  LEFT JOIN ticket_issues i ON i.schedule_id = r.schedule_id AND i.reservation_id = r.reservation_id
  LEFT JOIN order_numbers k ON k.schedule_id = r.schedule_id AND k.reservation_id = r.reservation_id
  -- guard: }
 -- guard: search_only_of_its_organizations: c.organization_id = ANY ($1::uuid[]) => true
 -- guard: search_operators_see_all: $1::uuid[] IS NULL OR =>
 WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
 -- guard: search_orders_as_they_were_found: w.at => w.at DESC
 ORDER BY w.at;
