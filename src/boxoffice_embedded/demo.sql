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

-- name: demo_accounts
-- Which of the demo's accounts are there.
SELECT email FROM users WHERE email = ANY ($1::text[]) ORDER BY email;

-- name: set_password
-- Give an account of the demo another password.
UPDATE users SET password_hash = $2 WHERE user_id = $1;

-- name: close_account
-- Take an account its address and its password; what belongs to it stays.
UPDATE users SET email = 'closed-' || user_id || '@demo.invalid', password_hash = $2
 WHERE email = $1
RETURNING user_id;

-- name: fill_concert
-- Set the facts and texts of a concert of the demo.
UPDATE concerts
   SET title_en = $2, title_ko = $3, artist_ko = $4, genre = $5, age_rating = $6, running_time_min = $7,
       description_ko = $8, faq = $9, faq_ko = $10, notices = $11, notices_ko = $12,
       organizer_contact = 'help@demo.test'
 WHERE concert_id = $1;

-- name: show_first
-- Publish a concert anew: the latest one is the first in the list.
UPDATE concerts SET published_at = clock_timestamp() WHERE concert_id = $1;
