-- Statements of the sales statistics. They only read, and take no row locks.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: schedule
-- The terms of a schedule of these organizations; of any where $2 is null.
SELECT s.status, s.currency, s.hold_ttl_s
  FROM schedules s
  -- guard: sales_stats_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: sales_stats_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: sales_stats_only_its_organizers: c.organization_id = ANY ($2::uuid[]) => true
 -- guard: sales_stats_operator_too: $2::uuid[] IS NULL OR =>
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: totals
-- The seats of a schedule by state, a lapsed hold being available, and what was paid for them and not
-- returned.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
SELECT n.available, n.held, n.sold, n.blocked, p.sales, p.revenue
  FROM moment m
 CROSS JOIN LATERAL (
      SELECT count(*) FILTER (
                 WHERE x.state = 'AVAILABLE' OR (x.state = 'HELD' AND x.expires_at <= m.at)
             ) AS available,
             count(*) FILTER (WHERE x.state = 'HELD' AND x.expires_at > m.at) AS held,
             count(*) FILTER (WHERE x.state = 'SOLD') AS sold,
             count(*) FILTER (WHERE x.state = 'BLOCKED') AS blocked
        FROM seats x
       WHERE x.schedule_id = $1
 ) n
 CROSS JOIN (
      SELECT count(*) AS sales,
             (coalesce(sum(p.amount_minor), 0) - (
                 SELECT coalesce(sum(f.amount_minor + f.compensation_minor), 0)
                   FROM refunds f
                  -- guard: sales_stats_refunds_of_this_schedule => WHERE $1::uuid IS NOT NULL))::bigint AS revenue
                  WHERE f.schedule_id = $1))::bigint AS revenue
        FROM payments p
       WHERE p.schedule_id = $1
 ) p;

-- name: sold_by_step
-- Holds and sales of a schedule since $2, by steps of $4 seconds since 1970. Only reservations from the
-- id $3 on are read: ids are ordered by time, so older rows need no scan.
WITH recent AS MATERIALIZED (
    SELECT r.created_at, r.closed_at, r.status, r.amount_minor
      FROM reservations r
     WHERE r.schedule_id = $1 AND r.reservation_id >= $3
       -- guard: sales_stats_complimentary_tickets_are_no_sales
       AND NOT EXISTS (SELECT FROM ticket_issues i WHERE i.schedule_id = r.schedule_id AND i.reservation_id = r.reservation_id AND i.kind = 'COMPLIMENTARY')
)
SELECT e.step, sum(e.holds) AS holds, sum(e.sales) AS sales, sum(e.revenue)::bigint AS revenue
  FROM (SELECT floor(date_part('epoch', r.created_at) / $4)::bigint AS step, 1 AS holds, 0 AS sales,
               0::bigint AS revenue
          FROM recent r
         WHERE r.created_at >= $2
         UNION ALL
        SELECT floor(date_part('epoch', r.closed_at) / $4)::bigint, 0, 1, r.amount_minor
          FROM recent r
         WHERE r.status IN ('CONFIRMED', 'REFUNDED') AND r.closed_at >= $2) e
 GROUP BY e.step;
