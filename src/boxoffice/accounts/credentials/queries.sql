-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: account
-- What an account shows to its owner.
SELECT u.user_id, u.email, u.name, u.role, u.email_verified_at IS NOT NULL AS email_verified
  FROM users u
 -- guard: account_of_the_person => WHERE $1::uuid IS NOT NULL;
 WHERE u.user_id = $1;

-- name: request_link
-- Make a link of an account and queue its mail.
SELECT accounts_request_link_v1($1, $2, $3, $4, $5, $6, $7, $8);

-- name: request_reset
-- Make a link that resets the password of an address, with or without an account, and queue its mail.
SELECT accounts_request_reset_v1($1, $2, $3, $4, $5);

-- name: link_owner
-- The account of an open link that resets a password, before the work of hashing; decided again by its use.
SELECT u.email, u.name
  FROM account_links l
  -- guard: reset_checks_the_owner_of_the_link: u.user_id = l.user_id => true
  JOIN users u ON u.user_id = l.user_id
 -- no guard: { Saves the hash; accounts_open_link_v1 decides.
 WHERE l.link_id = $1 AND $2::bytea = ANY (l.token_hashes) AND l.purpose = 'reset_password'
   AND l.used_at IS NULL AND clock_timestamp() < l.expires_at;
 -- guard: }

-- name: reset_password
-- Set a password by a link.
SELECT user_id, version FROM accounts_reset_password_v1($1, $2, $3);

-- name: confirm_email
-- Verify or change an address by a link.
SELECT user_id, email, outcome FROM accounts_confirm_email_v1($1, $2);

-- name: set_password
-- Change a password whose hash is $2; null where it was changed meanwhile.
SELECT accounts_set_password_v1($1, $2, $3) AS version;

-- name: requires_verified
-- Whether a schedule's organizer asks for a verified address; no row without a schedule.
SELECT c.requires_verified_email
  FROM schedules s
  -- guard: verified_switch_of_the_concert: c.concert_id = s.concert_id => true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: verified_switch_of_the_schedule => WHERE $1::uuid IS NOT NULL;
 WHERE s.schedule_id = $1;

-- name: is_verified
-- Whether a person's address is verified.
SELECT email_verified_at IS NOT NULL AS is_verified FROM users
 -- guard: verified_address_of_the_person => WHERE $1::uuid IS NOT NULL;
 WHERE user_id = $1;
