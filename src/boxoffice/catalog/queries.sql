-- Statements about concerts, schedules and seat maps.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: published_concerts
-- A page of public concerts, newest first, after the place ($1, $2); null for the first page. A concert is
-- listed while it has an upcoming performance. The times are those of upcoming performances that are neither
-- drafts nor cancelled, and the zone is that of the first one's venue.
SELECT c.concert_id, c.title, c.artist, c.venue, c.published_at, s.first_starts_at, s.last_starts_at,
       c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.genre, c.age_rating, s.time_zone
  FROM concerts c
  LEFT JOIN LATERAL (
      SELECT min(s.starts_at) AS first_starts_at, max(s.starts_at) AS last_starts_at,
             (array_agg(v.time_zone ORDER BY s.starts_at))[1] AS time_zone
        FROM schedules s
        -- guard: concerts_zone_of_its_venue => LEFT JOIN venues v ON true
        LEFT JOIN venues v ON v.venue_id = s.venue_id
       -- guard: concerts_their_dates => WHERE true
       WHERE s.concert_id = c.concert_id
         -- guard: concerts_no_dates_of_drafts
         AND s.status <> 'DRAFT'
         -- guard: concerts_no_dates_that_are_cancelled
         AND s.status <> 'CANCELLED'
         -- guard: concerts_no_dates_that_are_over
         AND s.starts_at > clock_timestamp()
  -- no guard: Joins each concert with its dates; the condition is inside.
  ) s ON true
 -- guard: concerts_no_drafts => WHERE true
 WHERE c.status = 'PUBLISHED'
   -- guard: concerts_not_taken_down
   AND c.taken_down_at IS NULL
   -- guard: concerts_not_past: AND => AND true OR
   AND EXISTS (
       SELECT FROM schedules u
        -- guard: concerts_over_by_its_dates: concert_id = c.concert_id AND u. =>
        -- guard: concerts_over_once_all_have_begun => WHERE u.concert_id = c.concert_id )
        WHERE u.concert_id = c.concert_id AND u.starts_at > clock_timestamp())
   -- guard: concerts_page_cursor => AND ($1::timestamptz IS NULL OR $2::uuid IS NOT NULL)
   -- guard: concerts_first_page: $1::timestamptz IS NULL => false
   AND ($1::timestamptz IS NULL OR (c.published_at, c.concert_id) < ($1::timestamptz, $2::uuid))
 ORDER BY c.published_at DESC, c.concert_id DESC
 -- guard: concerts_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: published_concert
-- A public concert; none that an operator has taken down.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email
  FROM concerts c
 -- guard: concert_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: concert_no_draft: status = 'PUBLISHED' AND c. =>
 -- guard: concert_not_taken_down: c.taken_down_at IS NULL => true
 WHERE c.concert_id = $1 AND c.status = 'PUBLISHED' AND c.taken_down_at IS NULL;

-- name: schedules_of_concert
-- Every schedule of a concert, or its schedule $2, with seat counts; a lapsed hold counts as available.
-- With $3 only what buyers see: no draft, and no performance that has begun.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status,
       s.currency, s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.doors_at, s.version, s.changed_at, s.refundable_until, s.cancelled_at, s.postponed_from,
       to_json(v)::text AS venue,
       -- guard: schedules_on_sale_while_it_is_open: s.status = 'OPEN' AND =>
       -- guard: schedules_on_sale_from_its_opening => s.status = 'OPEN'
       s.status = 'OPEN' AND m.at >= s.sale_opens_at
           -- guard: schedules_on_sale_until_it_closes => AND m.at < s.starts_at AS on_sale,
           -- guard: schedules_on_sale_where_it_never_closes => AND coalesce(m.at < s.sale_closes_at, false) AS on_sale,
           -- guard: schedules_on_sale_until_performance_begins => AND m.at < coalesce(s.sale_closes_at, 'infinity') AS on_sale,
           AND m.at < least(s.sale_closes_at, s.starts_at) AS on_sale,
       n.seats_total, n.seats_available, n.price_min_minor, n.price_max_minor
  FROM schedules s
  -- guard: schedules_at_their_venue => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 CROSS JOIN moment m
 CROSS JOIN LATERAL (
      SELECT count(*) AS seats_total,
             -- guard: schedules_only_available_seats_are_counted_so { => count(*
             count(*) FILTER (
                 -- guard: schedules_seat_that_is_held_is_not_available: AND x.expires_at <= m.at =>
                 -- guard: schedules_lapsed_seat_is_available => WHERE x.state = 'AVAILABLE'
                 WHERE x.state = 'AVAILABLE' OR (x.state = 'HELD' AND x.expires_at <= m.at)
             -- guard: }
             ) AS seats_available,
             min(x.price_minor) AS price_min_minor,
             max(x.price_minor) AS price_max_minor
        FROM seats x
       -- guard: schedules_their_seats => WHERE true
       WHERE x.schedule_id = s.schedule_id
  ) n
 -- guard: schedules_of_this_concert: s.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: schedules_by_id: s.schedule_id = $2 => true
 -- guard: schedules_all_without_an_id: $2::uuid IS NULL OR =>
 WHERE s.concert_id = $1 AND ($2::uuid IS NULL OR s.schedule_id = $2)
   -- guard: schedules_draft_hidden_from_buyers: status <> 'DRAFT' AND s. =>
   -- guard: schedules_past_hidden_from_buyers: AND s.starts_at > m.at =>
   -- guard: schedules_all_are_shown_to_their_organizer: NOT $3::boolean => $3::boolean IS NULL
   AND (NOT $3::boolean OR (s.status <> 'DRAFT' AND s.starts_at > m.at))
 ORDER BY s.starts_at, s.schedule_id;

-- name: published_schedule
-- A schedule of a published concert that is no draft, with its concert and the mode of its waiting room;
-- also one whose performance has begun.
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status,
       s.currency, s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.doors_at, s.version, s.changed_at, s.refundable_until, s.cancelled_at, s.postponed_from,
       to_json(v)::text AS venue,
       -- guard: schedule_on_sale_while_it_is_open: s.status = 'OPEN' AND =>
       -- guard: schedule_on_sale_from_its_opening => s.status = 'OPEN'
       s.status = 'OPEN' AND m.at >= s.sale_opens_at
           -- guard: schedule_on_sale_until_it_closes => AND m.at < s.starts_at AS on_sale,
           -- guard: schedule_on_sale_where_it_never_closes => AND coalesce(m.at < s.sale_closes_at, false) AS on_sale,
           -- guard: schedule_on_sale_until_performance_begins => AND m.at < coalesce(s.sale_closes_at, 'infinity') AS on_sale,
           AND m.at < least(s.sale_closes_at, s.starts_at) AS on_sale,
       coalesce(q.mode, 'off') AS waiting_room, c.title, c.artist, c.venue AS concert_venue, c.title_en,
       c.title_ko, c.artist_en, c.artist_ko
  FROM schedules s
  -- guard: schedule_at_its_venue => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
  -- guard: schedule_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
  -- no guard: For the page; the waiting room itself decides about admission.
  LEFT JOIN queue_rooms q ON q.schedule_id = s.schedule_id
 CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) m
 -- guard: schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: schedule_not_draft: AND c.status = 'PUBLISHED' =>
 -- guard: schedule_not_while_it_is_draft_itself: s.status <> 'DRAFT' AND =>
 WHERE s.schedule_id = $1 AND s.status <> 'DRAFT' AND c.status = 'PUBLISHED'
   -- guard: schedule_not_taken_down => AND true;
   AND c.taken_down_at IS NULL;

-- name: concerts_of_organizer
-- A page of some organizations' concerts, newest first, from a place ($2, $3) on; null for the first page.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email,
       c.organization_id, o.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  -- guard: own_concerts_organizer => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = c.organization_id
 CROSS JOIN LATERAL (
      -- guard: own_concerts_open_schedules: FILTER (WHERE s.status = 'OPEN') =>
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             -- guard: own_concerts_on_sale_are_open_ones: s.status = 'OPEN' AND =>
             -- guard: own_concerts_on_sale_once_sale_has_opened => count(*) FILTER (WHERE s.status = 'OPEN'
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 -- guard: own_concerts_on_sale_until_it_closes: least(s.sale_closes_at, s.starts_at) => s.starts_at
                 -- guard: own_concerts_on_sale_until_performance_begins: least(s.sale_closes_at, s.starts_at => coalesce(s.sale_closes_at, 'infinity'
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       -- guard: own_concerts_their_schedules => WHERE true
       WHERE s.concert_id = c.concert_id
  ) s
 -- guard: own_concerts_own_organizer_only => WHERE $1::uuid[] IS NOT NULL
 WHERE c.organization_id = ANY ($1::uuid[])
   -- guard: own_concerts_page_cursor => AND ($2::timestamptz IS NULL OR $3::uuid IS NOT NULL)
   AND ($2::timestamptz IS NULL OR (c.created_at, c.concert_id) < ($2::timestamptz, $3::uuid))
 ORDER BY c.created_at DESC, c.concert_id DESC
 -- guard: own_concerts_page_limit: $4 => $4 + 9
 LIMIT $4;

-- name: concerts_of_shop
-- A page of all concerts, newest first, from a place ($1, $2) on; null for the first page.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email,
       c.organization_id, o.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  -- guard: all_concerts_organizer => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = c.organization_id
 CROSS JOIN LATERAL (
      -- guard: all_concerts_open_schedules: FILTER (WHERE s.status = 'OPEN') =>
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             -- guard: all_concerts_on_sale_are_open_ones: s.status = 'OPEN' AND =>
             -- guard: all_concerts_on_sale_once_sale_has_opened => count(*) FILTER (WHERE s.status = 'OPEN'
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 -- guard: all_concerts_on_sale_until_it_closes: least(s.sale_closes_at, s.starts_at) => s.starts_at
                 -- guard: all_concerts_on_sale_until_performance_begins: least(s.sale_closes_at, s.starts_at => coalesce(s.sale_closes_at, 'infinity'
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       -- guard: all_concerts_their_schedules => WHERE true
       WHERE s.concert_id = c.concert_id
  ) s
 -- guard: all_concerts_page_cursor => WHERE ($1::timestamptz IS NULL OR $2::uuid IS NOT NULL)
 WHERE ($1::timestamptz IS NULL OR (c.created_at, c.concert_id) < ($1::timestamptz, $2::uuid))
 ORDER BY c.created_at DESC, c.concert_id DESC
 -- guard: all_concerts_page_limit: $3 => $3 + 9
 LIMIT $3;

-- name: own_concert
-- A concert of these organizations, draft or not; of any where $1 is null.
SELECT c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at, c.created_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email,
       c.organization_id, o.name AS organizer_name, c.taken_down_at, c.taken_down_reason, s.schedules_total,
       s.schedules_open, s.schedules_on_sale
  FROM concerts c
  -- guard: own_concert_organizer => JOIN organizations o ON true
  JOIN organizations o ON o.organization_id = c.organization_id
 CROSS JOIN LATERAL (
      -- guard: own_concert_open_schedules: FILTER (WHERE s.status = 'OPEN') =>
      SELECT count(*) AS schedules_total, count(*) FILTER (WHERE s.status = 'OPEN') AS schedules_open,
             -- guard: own_concert_on_sale_are_open_ones: s.status = 'OPEN' AND =>
             -- guard: own_concert_on_sale_once_sale_has_opened => count(*) FILTER (WHERE s.status = 'OPEN'
             count(*) FILTER (WHERE s.status = 'OPEN' AND clock_timestamp() >= s.sale_opens_at
                 -- guard: own_concert_on_sale_until_it_closes: least(s.sale_closes_at, s.starts_at) => s.starts_at
                 -- guard: own_concert_on_sale_until_performance_begins: least(s.sale_closes_at, s.starts_at => coalesce(s.sale_closes_at, 'infinity'
                 AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)) AS schedules_on_sale
        FROM schedules s
       -- guard: own_concert_its_schedules => WHERE true
       WHERE s.concert_id = c.concert_id
  ) s
 -- guard: own_concert_own_organizer_only: c.organization_id = ANY ($1::uuid[]) => true
 -- guard: own_concert_by_id: c.concert_id = $2 => $2::uuid IS NOT NULL
 -- guard: own_concert_operator_too: $1::uuid[] IS NULL OR =>
 WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[])) AND c.concert_id = $2;

-- name: concert_of_organizer
-- The status of a concert, if it is of these organizations, and whether it is taken down.
-- guard: concert_status_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
-- guard: concert_status_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
SELECT c.status, c.taken_down_at IS NOT NULL AS is_taken_down FROM concerts c WHERE c.concert_id = $1 AND c.organization_id = ANY ($2::uuid[]);

-- name: schedule_of_organizer
-- The concert and status of a schedule of these organizations; of any where $2 is null.
SELECT s.concert_id, s.status, c.organization_id
  FROM schedules s
  -- guard: schedule_status_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: schedule_status_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: schedule_status_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => true
 -- guard: schedule_status_operator_too: $2::uuid[] IS NULL OR =>
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: venue_time_zone
-- The time zone of a venue of the organization of concert $3, which is one of $2.
SELECT v.time_zone
  FROM venues v
  -- guard: venue_zone_of_the_concerts_organization: c.organization_id = v.organization_id => c.concert_id IS NOT NULL
  JOIN concerts c ON c.organization_id = v.organization_id
 -- guard: venue_zone_by_id: v.venue_id = $1 => $1::uuid IS NOT NULL
 -- guard: venue_zone_own_organizer_only: v.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 -- no guard: The concert, by its primary key.
 WHERE v.venue_id = $1 AND v.organization_id = ANY ($2::uuid[]) AND c.concert_id = $3;

-- name: insert_concert
-- A draft.
INSERT INTO concerts (concert_id, organizer_id, organization_id, title, artist, venue, description)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING concert_id, title, artist, venue, description, status, published_at,
       version, title_en, title_ko, artist_en, artist_ko, description_en, description_ko, genre,
       running_time_min, intermission_min, age_rating, faq, faq_en, faq_ko, notices, notices_en,
       notices_ko, refund_notes, refund_notes_en, refund_notes_ko, organizer_contact, requires_verified_email;

-- name: lock_concert_of_organizer
-- Serialize changes of a concert's list of schedules; no row where it is not of these organizations.
SELECT c.organization_id
  FROM concerts c
 -- guard: lock_concert_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: lock_concert_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE c.concert_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: lock_concert_it_is_locked => ;
   FOR NO KEY UPDATE OF c;

-- name: count_schedules
-- How many schedules a concert has.
-- guard: count_schedules_of_this_concert: s.concert_id = $1 => $1::uuid IS NOT NULL
SELECT count(*) AS schedules FROM schedules s WHERE s.concert_id = $1;

-- name: insert_schedule
-- A draft without seats.
WITH made AS (
    INSERT INTO schedules (
        schedule_id, concert_id, starts_at, sale_opens_at, sale_closes_at, currency, hold_ttl_s,
        ticket_limit, seats_return_delay_max_s, venue_id, doors_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    RETURNING *
)
SELECT s.schedule_id, s.concert_id, s.starts_at, s.sale_opens_at, s.sale_closes_at, s.status, s.currency,
       s.hold_ttl_s, s.ticket_limit, s.seats_return_delay_max_s,
       s.doors_at, s.version, s.changed_at, s.refundable_until, s.cancelled_at, s.postponed_from,
       to_json(v)::text AS venue
  FROM made s
  -- guard: new_schedule_at_its_venue => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id;

-- name: publish_concert
-- Publish a draft; no row where it is published already, taken down, or has no schedule with
-- seats.
UPDATE concerts c
   SET status = 'PUBLISHED', published_at = now(), version = c.version + 1
 -- guard: publish_by_id => WHERE $1::uuid IS NOT NULL
 WHERE c.concert_id = $1
   -- guard: publish_own_organizer_only => AND $2::uuid[] IS NOT NULL
   AND c.organization_id = ANY ($2::uuid[])
   -- guard: publish_once
   AND c.status = 'DRAFT'
   -- guard: publish_not_taken_down
   AND c.taken_down_at IS NULL
   -- guard: publish_with_seats {
   AND EXISTS (
       SELECT FROM schedules s
         -- guard: publish_with_seats_of_its_schedules => JOIN seats x ON true
         JOIN seats x ON x.schedule_id = s.schedule_id
        -- guard: publish_with_schedules => WHERE true)
        WHERE s.concert_id = c.concert_id)
   -- guard: }
RETURNING c.concert_id, c.title, c.artist, c.venue, c.description, c.status, c.published_at,
       c.version, c.title_en, c.title_ko, c.artist_en, c.artist_ko, c.description_en, c.description_ko, c.genre,
       c.running_time_min, c.intermission_min, c.age_rating, c.faq, c.faq_en, c.faq_ko, c.notices, c.notices_en,
       c.notices_ko, c.refund_notes, c.refund_notes_en, c.refund_notes_ko, c.organizer_contact, c.requires_verified_email,
       c.organization_id;

-- name: open_schedule
-- Put a schedule on sale; nothing where it is open, has no seats, or its concert is a draft or taken down.
-- The concert is locked, so that a concurrent take-down finds the sale open and closes it.
UPDATE schedules s
   SET status = 'OPEN', version = s.version + 1
  FROM (SELECT c.concert_id, c.organization_id
          FROM schedules o
          -- guard: open_concert_that_it_belongs_to => JOIN concerts c ON true
          JOIN concerts c ON c.concert_id = o.concert_id
         -- guard: open_concert_by_id => WHERE true
         WHERE o.schedule_id = $1
           -- guard: open_own_organizer_only => AND $2::uuid[] IS NOT NULL
           AND c.organization_id = ANY ($2::uuid[])
           -- guard: open_not_of_draft
           AND c.status = 'PUBLISHED'
           -- guard: open_not_taken_down
           AND c.taken_down_at IS NULL
           -- guard: open_not_beside_take_down => ) c
           FOR SHARE OF c) c
 -- guard: open_by_id => WHERE $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
   -- guard: open_once
   AND s.status IN ('DRAFT', 'CLOSED')
   -- guard: open_its_concert
   AND c.concert_id = s.concert_id
   -- guard: open_with_seats
   -- guard: open_with_seats_of_schedule: x.schedule_id = s.schedule_id => true
   AND EXISTS (SELECT FROM seats x WHERE x.schedule_id = s.schedule_id)
RETURNING s.concert_id, c.organization_id;

-- name: close_schedule
-- Take a schedule off sale; nothing where it is closed or was never open.
UPDATE schedules s
   SET status = 'CLOSED', version = s.version + 1
  FROM concerts c
 -- guard: close_by_id => WHERE $1::uuid IS NOT NULL
 WHERE s.schedule_id = $1
   -- guard: close_once
   AND s.status = 'OPEN'
   -- guard: close_its_concert
   AND c.concert_id = s.concert_id
   -- guard: close_own_organizer_only => AND $2::uuid[] IS NOT NULL
   AND c.organization_id = ANY ($2::uuid[])
RETURNING s.concert_id, c.organization_id;

-- name: take_down
-- Hide a concert of any organizer; no row where it is hidden.
UPDATE concerts c
   SET taken_down_at = clock_timestamp(), taken_down_reason = $2, version = c.version + 1
 -- guard: take_down_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: take_down_once => WHERE c.concert_id = $1
 WHERE c.concert_id = $1 AND c.taken_down_at IS NULL
RETURNING c.organization_id, c.title;

-- name: close_sales
-- End every sale of a concert.
UPDATE schedules s
   SET status = 'CLOSED', version = s.version + 1
 -- guard: take_down_its_sales: s.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: take_down_sales_that_are_open: AND s.status = 'OPEN' =>
 WHERE s.concert_id = $1 AND s.status = 'OPEN'
RETURNING s.schedule_id;

-- name: restore
-- Show a concert again; no row where it was not taken down. Its sales stay closed.
UPDATE concerts c
   SET taken_down_at = NULL, taken_down_reason = NULL, version = c.version + 1
 -- guard: restore_by_id: c.concert_id = $1 => $1::uuid IS NOT NULL
 -- guard: restore_once => WHERE c.concert_id = $1
 WHERE c.concert_id = $1 AND c.taken_down_at IS NOT NULL
RETURNING c.organization_id, c.title;

-- name: lock_schedule_of_organizer
-- Lock a schedule against being opened, and against other seat maps, until the transaction ends.
SELECT s.concert_id, s.status, c.organization_id
  FROM schedules s
  -- guard: lock_schedule_its_concert => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: lock_schedule_by_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: lock_schedule_own_organizer_only: c.organization_id = ANY ($2::uuid[]) => $2::uuid[] IS NOT NULL
 WHERE s.schedule_id = $1 AND c.organization_id = ANY ($2::uuid[])
   -- guard: lock_schedule_it_is_locked => ;
   FOR UPDATE OF s;

-- name: count_seats
-- How many seats a schedule has.
-- guard: count_seats_of_this_schedule: s.schedule_id = $1 => $1::uuid IS NOT NULL
SELECT count(*) AS seats FROM seats s WHERE s.schedule_id = $1;

-- name: conflicting_seats
-- New seats whose id or place exists already; at most $6.
SELECT n.seat_id
  FROM unnest($2::text[], $3::text[], $4::text[], $5::integer[])
       AS n (seat_id, section, row_label, number)
 -- no guard: Head of the conditions below, which are guards.
 WHERE EXISTS (
       -- guard: in_way_by_id_in_this_hall: s.schedule_id = $1 => $1::uuid IS NOT NULL
       -- guard: in_way_by_id: AND s.seat_id = n.seat_id =>
       -- guard: in_way_by_id_too: s.seat_id = n.seat_id => false
       SELECT FROM seats s WHERE s.schedule_id = $1 AND s.seat_id = n.seat_id)
    -- no guard: Head of the conditions below, which are guards.
    OR EXISTS (
       SELECT FROM seats s
        -- guard: in_way_by_place_in_this_hall => WHERE true
        -- guard: in_way_by_place_too => WHERE false
        WHERE s.schedule_id = $1
          -- guard: in_way_by_section: section = n.section AND s. =>
          -- guard: in_way_by_row: row_label = n.row_label AND s. =>
          -- guard: in_way_by_number: AND s.number = n.number =>
          AND s.section = n.section AND s.row_label = n.row_label AND s.number = n.number)
 -- guard: in_way_limit: $6 => $6 + 9
 LIMIT $6;

-- name: labels_of_schedule
-- The spellings of sections, rows and grades in a schedule.
-- guard: labels_by_schedule_id: s.schedule_id = $1 => $1::uuid IS NOT NULL
SELECT DISTINCT s.section, s.row_label AS row, s.grade FROM seats s WHERE s.schedule_id = $1;

-- name: insert_seats
-- A part of a seat map; $2 is the ordinal of its first seat.
INSERT INTO seats (schedule_id, ordinal, seat_id, section, row_label, number, grade, price_minor)
SELECT $1, $2::integer + n.at::integer - 1, n.seat_id, n.section, n.row_label, n.number, n.grade,
       n.price_minor
  FROM unnest($3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::bigint[])
       WITH ORDINALITY AS n (seat_id, section, row_label, number, grade, price_minor, at);

-- name: analyze_seats
-- Update planner statistics after an upload: autovacuum would take a minute. Skipped while another
-- session (autovacuum, another upload) holds the lock.
ANALYZE (SKIP_LOCKED) seats;
