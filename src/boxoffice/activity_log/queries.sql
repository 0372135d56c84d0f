-- The statements of the activity log.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: record
-- Adds an entry, in the transaction of the action. The column organizer_id has the organization.
INSERT INTO logbook (
    organizer_id, actor_id, action, concert_id, schedule_id, request_id, details)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb);

-- name: entries
-- Actions in some organizations, newest first, before a cursor; optionally of one concert or schedule. Each
-- organization's newest are read from the index; all together would be sorted.
SELECT l.entry_id, l.written_at, l.organizer_id AS organization_id, l.actor_id, u.name AS actor_name, l.action,
       l.concert_id, c.title AS concert_title, l.schedule_id, s.starts_at, v.time_zone, l.request_id,
       l.details::text AS details
  FROM unnest($1::uuid[]) o (organization_id)
 CROSS JOIN LATERAL (
      SELECT *
        FROM logbook n
       -- guard: activity_own_organizer_only => WHERE $1::uuid[] IS NOT NULL
       WHERE n.organizer_id = o.organization_id
         -- guard: activity_page_cursor: n.entry_id < $2 => true
         AND ($2::bigint IS NULL OR n.entry_id < $2)
         -- guard: activity_of_concert: n.concert_id = $3 => true
         AND ($3::uuid IS NULL OR n.concert_id = $3)
         -- guard: activity_of_schedule: n.schedule_id = $4 => true
         AND ($4::uuid IS NULL OR n.schedule_id = $4)
       ORDER BY n.entry_id DESC
       -- no guard: Bounds the reading of one organization; the limit below decides.
       LIMIT $5
 ) l
  -- no guard: Adds the actor's name; the condition below decides which entries are shown.
  LEFT JOIN users u ON u.user_id = l.actor_id
  -- guard: activity_concert_of_entry => LEFT JOIN concerts c ON true
  LEFT JOIN concerts c ON c.concert_id = l.concert_id
  -- guard: activity_schedule_of_entry => LEFT JOIN schedules s ON true
  LEFT JOIN schedules s ON s.schedule_id = l.schedule_id
  -- no guard: The venue of the schedule, by its primary key.
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 ORDER BY l.entry_id DESC
 -- guard: activity_page_limit: $5 => $5 + 9
 LIMIT $5;

-- name: entries_of_shop
-- Actions on all concerts, newest first, before a cursor; optionally of one concert or schedule.
SELECT l.entry_id, l.written_at, l.organizer_id AS organization_id, l.actor_id, u.name AS actor_name, l.action,
       l.concert_id, c.title AS concert_title, l.schedule_id, s.starts_at, v.time_zone, l.request_id,
       l.details::text AS details
  FROM logbook l
  -- guard: all_activity_actor => LEFT JOIN users u ON true
  LEFT JOIN users u ON u.user_id = l.actor_id
  -- guard: all_activity_concert_of_entry => LEFT JOIN concerts c ON true
  LEFT JOIN concerts c ON c.concert_id = l.concert_id
  -- guard: all_activity_schedule_of_entry => LEFT JOIN schedules s ON true
  LEFT JOIN schedules s ON s.schedule_id = l.schedule_id
  -- no guard: The venue of the schedule, by its primary key.
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 -- guard: all_activity_page_cursor: l.entry_id < $1 => true
 WHERE ($1::bigint IS NULL OR l.entry_id < $1)
   -- guard: all_activity_of_concert: l.concert_id = $2 => true
   AND ($2::uuid IS NULL OR l.concert_id = $2)
   -- guard: all_activity_of_schedule: l.schedule_id = $3 => true
   AND ($3::uuid IS NULL OR l.schedule_id = $3)
 ORDER BY l.entry_id DESC
 -- guard: all_activity_page_limit: $4 => $4 + 9
 LIMIT $4;
