-- Statements of the ranking. They only read, and take no row locks.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: sold
-- Valid tickets by schedule and hour since 1970, of payments since $2; of the schedules $1, or of all upcoming
-- ones. Only payments from the id $3 on are read: ids are ordered by time, so older rows need no scan.
SELECT p.schedule_id, floor(date_part('epoch', p.created_at) / 3600)::bigint AS hour, count(*) AS tickets
  FROM schedules s
  -- guard: ranking_payments_of_the_schedule: p.schedule_id = s.schedule_id AND =>
  JOIN payments p ON p.schedule_id = s.schedule_id AND p.payment_id >= $3
  -- guard: ranking_tickets_of_the_payment: AND t.payment_id = p.payment_id =>
  JOIN tickets t ON t.schedule_id = p.schedule_id AND t.payment_id = p.payment_id
 -- guard: ranking_of_all_schedules: $1::uuid[] IS NULL => false
 WHERE ($1::uuid[] IS NULL OR s.schedule_id = ANY ($1::uuid[]))
   -- guard: ranking_upcoming_schedules
   AND s.starts_at > clock_timestamp()
   -- guard: ranking_recent_sales => AND $2::timestamptz IS NOT NULL
   AND p.created_at >= $2
   -- guard: ranking_valid_tickets
   AND t.status = 'VALID'
 GROUP BY p.schedule_id, hour;

-- name: ranked
-- The concerts of these schedules ($1, with their scores $2) that buyers see, best first, at most $3.
SELECT c.concert_id, c.title, c.title_en, c.title_ko
  FROM unnest($1::uuid[], $2::double precision[]) r (schedule_id, score)
  -- guard: ranked_its_schedule => JOIN schedules s ON true
  JOIN schedules s ON s.schedule_id = r.schedule_id
  -- guard: ranked_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: ranked_published: c.status = 'PUBLISHED' => true
 -- guard: ranked_not_taken_down: c.taken_down_at IS NULL => true
 WHERE c.status = 'PUBLISHED' AND c.taken_down_at IS NULL
   -- guard: ranked_upcoming: s.starts_at > clock_timestamp() => true
   -- guard: ranked_not_cancelled: s.status <> 'CANCELLED' => true
   AND s.starts_at > clock_timestamp() AND s.status <> 'CANCELLED'
 GROUP BY c.concert_id
 ORDER BY sum(r.score) DESC, c.concert_id
 -- guard: ranked_at_most: $3 => $3 + 99
 LIMIT $3;
