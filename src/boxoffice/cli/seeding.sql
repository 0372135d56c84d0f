-- name: account
-- Who has an address, and what they may do.
SELECT user_id, role FROM users WHERE email = $1;
