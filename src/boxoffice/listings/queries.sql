-- Statements of lists, and the featured concert.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: performances
-- The upcoming performances of these concerts that are no drafts, with seat counts; a lapsed hold counts as
-- available.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
SELECT s.concert_id, m.at AS read_at, s.status, s.sale_opens_at, least(s.sale_closes_at, s.starts_at) AS sale_ends_at,
       s.currency, coalesce(v.city, '') AS city, v.name AS venue, v.name_en AS venue_en, v.name_ko AS venue_ko, n.seats_total, n.seats_available, n.price_from_minor
  FROM schedules s
 CROSS JOIN moment m
  -- guard: listing_at_its_venue => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 CROSS JOIN LATERAL (
      SELECT count(*) AS seats_total, min(x.price_minor) AS price_from_minor,
             -- guard: listing_available_seats { => count(*) AS seats_available
             count(*) FILTER (
                 -- guard: listing_lapsed_seat_is_available => WHERE x.state = 'AVAILABLE'
                 -- guard: listing_held_seat_is_not_available: AND x.expires_at <= m.at =>
                 WHERE x.state = 'AVAILABLE' OR (x.state = 'HELD' AND x.expires_at <= m.at)
             ) AS seats_available
             -- guard: }
        FROM seats x
       -- guard: listing_its_seats => WHERE true
       WHERE x.schedule_id = s.schedule_id
  ) n
 -- guard: listing_of_these_concerts: s.concert_id = ANY ($1::uuid[]) => $1::uuid[] IS NOT NULL
 -- guard: listing_no_drafts: s.status <> 'DRAFT' => true
 -- guard: listing_upcoming: AND s.starts_at > m.at =>
 WHERE s.concert_id = ANY ($1::uuid[]) AND s.status <> 'DRAFT' AND s.starts_at > m.at
 ORDER BY s.starts_at, s.schedule_id;

-- name: featured
-- The concert at the top of the shop's list, also one that is not listed any more.
SELECT f.concert_id, c.organization_id, c.title
  FROM featured_concerts f
  -- guard: featured_its_concert => JOIN concerts c ON true;
  JOIN concerts c ON c.concert_id = f.concert_id;

-- name: lock_featured
-- The same, locked until the transaction ends.
SELECT f.concert_id, c.organization_id, c.title
  FROM featured_concerts f
  -- guard: featured_its_locked_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = f.concert_id
   -- no guard: Without it two entries of the log would name the same concert as replaced.
   FOR UPDATE OF f;

-- name: feature
-- Feature a public concert in place of another one; no row for one that buyers do not see.
WITH concert AS (
    SELECT c.concert_id, c.organization_id, c.title
      FROM concerts c
     -- guard: feature_this_concert: c.concert_id = $1 AND => $1::uuid IS NOT NULL AND
     -- guard: feature_a_published_concert: c.status = 'PUBLISHED' AND =>
     -- guard: feature_none_that_is_taken_down: AND c.taken_down_at IS NULL =>
     WHERE c.concert_id = $1 AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL
), chosen AS (
    INSERT INTO featured_concerts (concert_id, chosen_by) SELECT c.concert_id, $2 FROM concert c
    -- no guard: The primary key refuses a second row in any case.
    ON CONFLICT (place) DO UPDATE
       SET concert_id = excluded.concert_id, chosen_by = excluded.chosen_by, chosen_at = clock_timestamp()
)
SELECT c.concert_id, c.organization_id, c.title FROM concert c;

-- name: feature_none
-- Feature no concert.
DELETE FROM featured_concerts;

-- name: prices
-- The prices of each grade of a concert's upcoming performances that are neither drafts nor cancelled, highest first.
SELECT x.grade, s.currency, min(x.price_minor) AS price_min_minor, max(x.price_minor) AS price_max_minor
  FROM schedules s
  -- guard: prices_of_its_seats => JOIN seats x ON true
  JOIN seats x ON x.schedule_id = s.schedule_id
 -- guard: prices_of_this_concert: s.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: prices_of_shown_performances: s.status NOT IN ('DRAFT', 'CANCELLED') => true
 -- guard: prices_upcoming: AND s.starts_at > clock_timestamp() =>
 WHERE s.concert_id = $1 AND s.status NOT IN ('DRAFT', 'CANCELLED') AND s.starts_at > clock_timestamp()
 GROUP BY x.grade, s.currency
 ORDER BY price_max_minor DESC, x.grade;
