-- name: demo_schedule
-- The open schedule of the demo's organizer whose performance is to come: the first, as others may have
-- been added by hand.
SELECT s.schedule_id
  FROM users u
  JOIN concerts c ON c.organizer_id = u.user_id
  JOIN schedules s ON s.concert_id = c.concert_id
 WHERE u.email = $1 AND c.status = 'PUBLISHED' AND s.status = 'OPEN' AND s.starts_at > clock_timestamp()
 ORDER BY s.created_at
 LIMIT 1;
