-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: insert_user
-- A new account; no row where the e-mail address is taken. ON CONFLICT instead of an error, whose details
-- would put the address into the server's log.
INSERT INTO users (user_id, email, name, password_hash, role) VALUES ($1, $2, $3, $4, $5)
-- guard: sign_up_taken_address_is_no_error_of_server
ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: insert_wallet
-- The empty wallet of a new account.
INSERT INTO wallets (user_id, currency) VALUES ($1, $2);

-- name: mail_link
-- The link that verifies the address of a new account, and its mail.
SELECT accounts_request_link_v1($1, $2, $3, $4, NULL, $5, $6, $7);

-- name: credentials
-- The credentials of an e-mail address. `is_seen`: the client address with digest $2 was recorded today.
SELECT u.user_id, u.role, u.password_hash, coalesce(v.version, 0) AS version,
       EXISTS (
           SELECT FROM known_addresses k
            -- guard: addresses_this_address_of_this_person_is_seen => WHERE $2::bytea IS NOT NULL
            WHERE k.user_id = u.user_id AND k.address_digest = $2
              -- guard: addresses_written_once_day
              AND k.seen_at > clock_timestamp() - interval '1 day'
       ) AS is_seen
  FROM users u
  -- guard: login_version_of_the_persons_tokens: v.user_id = u.user_id => false
  LEFT JOIN token_versions v ON v.user_id = u.user_id
 -- guard: login_person_of_address => WHERE $1::text IS NOT NULL;
 WHERE u.email = $1;

-- name: is_known
-- Whether an account has logged in from an address within the last $3 seconds.
SELECT EXISTS (
    SELECT FROM users u
      -- guard: addresses_its_people: k.user_id = u.user_id => true
      JOIN known_addresses k ON k.user_id = u.user_id
     -- guard: addresses_known_to_this_account: u.email = $1 => $1::text IS NOT NULL
     -- guard: addresses_this_address => WHERE u.email = $1 AND $2::bytea IS NOT NULL
     WHERE u.email = $1 AND k.address_digest = $2
       -- guard: addresses_known_for_time => AND $3::float8 IS NOT NULL
       AND k.seen_at > clock_timestamp() - make_interval(secs => $3)
) AS is_known;

-- name: secret
-- A secret that was created with the schema.
-- no guard: There is one row.
SELECT secret FROM account_secrets WHERE name = $1;

-- name: commit_without_waiting
-- Do not wait until the next write is durable; a crash of the server may lose it.
SET LOCAL synchronous_commit = off;

-- name: remember_address
-- Record that an account has logged in from an address.
INSERT INTO known_addresses (user_id, address_digest) VALUES ($1, $2)
-- guard: addresses_seen_again => ON CONFLICT DO NOTHING;
ON CONFLICT (user_id, address_digest) DO UPDATE SET seen_at = clock_timestamp();

-- name: forget_more_addresses
-- Delete all but the newest $2 addresses of an account.
DELETE FROM known_addresses
 -- guard: addresses_of_this_account_only: user_id = $1 AND =>
 WHERE user_id = $1 AND address_digest NOT IN (
    -- guard: addresses_newest_stay: DESC =>
    SELECT address_digest FROM known_addresses WHERE user_id = $1 ORDER BY seen_at DESC LIMIT $2
 );

-- name: forget_old_addresses
-- Delete some addresses of all accounts that were not seen for $1 seconds; run with each insert.
DELETE FROM known_addresses
 -- no guard: Names the rows that the subquery chooses.
 WHERE (user_id, address_digest) IN (
    SELECT user_id, address_digest FROM known_addresses
     -- guard: addresses_only_old_ones_are_forgotten => WHERE $1::float8 IS NOT NULL
     WHERE seen_at < clock_timestamp() - make_interval(secs => $1)
     -- no guard: Bounds one call and avoids waiting for another pod.
     ORDER BY seen_at LIMIT 100 FOR UPDATE SKIP LOCKED
 );

-- name: insert_session
-- Record a log-in whose token expires at $3, in seconds since the Unix epoch.
INSERT INTO account_sessions (user_id, session_id, expires_at, version, token_id, browser, system)
VALUES ($1, $2, to_timestamp($3::float8), $4, $5, $6, $7);

-- name: forget_sessions
-- Delete some log-ins whose tokens have expired; run with each insert.
DELETE FROM account_sessions
 -- no guard: Names the rows that the subquery chooses.
 WHERE (user_id, session_id) IN (
    SELECT user_id, session_id FROM account_sessions
     -- guard: sessions_only_expired_ones_are_forgotten => WHERE true
     WHERE expires_at < clock_timestamp()
     -- no guard: Bounds one call and avoids waiting for another pod.
     ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
 );

-- name: set_role
-- Change the role of an account and return the role before; no row for an unknown e-mail address.
-- guard: role_of_person_of_address: email = $1 => $1::text IS NOT NULL
WITH before AS (SELECT user_id, role FROM users WHERE email = $1 FOR NO KEY UPDATE)
UPDATE users u SET role = $2
  FROM before b
 -- guard: role_of_no_other => WHERE true
 WHERE u.user_id = b.user_id
RETURNING u.user_id, b.role AS role_before;

-- name: account_status
-- The current role and minimum token version of a person, whether token $2 is revoked, and the organizations
-- in which the person has one of the roles $3.
SELECT u.role, coalesce(v.version, 0) AS version,
       -- guard: standing_this_token: e.token_id = $2 => $2::text IS NOT NULL
       EXISTS (SELECT FROM ended_tokens e WHERE e.token_id = $2) AS is_revoked,
       ARRAY(SELECT m.organization_id
               FROM organization_members m
              -- guard: standing_memberships_of_the_person: m.user_id = u.user_id => true
              -- guard: standing_memberships_with_the_permission: m.role = ANY ($3::text[]) => $3::text[] IS NOT NULL
              WHERE m.user_id = u.user_id AND m.role = ANY ($3::text[])) AS organization_ids
  FROM users u
  -- guard: standing_version_of_the_persons_tokens: v.user_id = u.user_id => false
  LEFT JOIN token_versions v ON v.user_id = u.user_id
 -- guard: standing_this_person => WHERE $1::uuid IS NOT NULL;
 WHERE u.user_id = $1;

-- name: revoke_all_tokens
-- Revoke all tokens of a person; return the version of their next ones.
INSERT INTO token_versions AS v (user_id, version) VALUES ($1, 1)
-- guard: revocations_second_time_counts_too: + 1, changed_at = clock_timestamp() =>
ON CONFLICT (user_id) DO UPDATE SET version = v.version + 1, changed_at = clock_timestamp()
RETURNING v.version;

-- name: revoke_token
-- Revoke a token that expires at $2, in seconds since the Unix epoch.
INSERT INTO ended_tokens (token_id, expires_at) VALUES ($1, to_timestamp($2::float8))
-- guard: revocations_token_ends_once => ;
ON CONFLICT DO NOTHING;

-- name: forget_revoked_tokens
-- Delete some revocations of expired tokens; run with each insert.
DELETE FROM ended_tokens
 -- no guard: Names the rows that the subquery chooses.
 WHERE token_id IN (
    SELECT token_id FROM ended_tokens
     -- guard: revocations_only_what_has_expired_is_forgotten => WHERE true
     WHERE expires_at < clock_timestamp() - interval '1 minute'
     -- guard: revocations_few_are_forgotten_at_time => ORDER BY expires_at
     ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
 );

-- name: minimum_versions_since
-- Minimum token versions that changed since $1; times in seconds since the Unix epoch.
SELECT user_id, version, extract(epoch FROM changed_at)::float8 AS changed_at
  FROM token_versions
 -- no guard: Reading a row twice has no effect.
 WHERE changed_at > to_timestamp($1::float8);

-- name: revoked_tokens_since
-- Tokens that were revoked since $1 and have not expired.
SELECT token_id, extract(epoch FROM expires_at)::float8 AS expires_at
  FROM ended_tokens
 -- no guard: Reading a row twice has no effect; an expired token is refused for that.
 WHERE ended_at > to_timestamp($1::float8) AND expires_at > clock_timestamp();

-- name: lost_times
-- The times that restores have lost, while tokens of them have not expired ($1: their longest life in seconds); in
-- seconds since the Unix epoch.
SELECT extract(epoch FROM recovered_to)::float8 AS since, extract(epoch FROM restored_at)::float8 AS until
  FROM restores
 -- no guard: An expired token is refused for that.
 WHERE restored_at > clock_timestamp() - make_interval(secs => $1);

-- name: keys
-- Every key that still verifies; times in seconds since the Unix epoch.
SELECT kid, secret, extract(epoch FROM created_at)::float8 AS created_at,
       extract(epoch FROM verifies_until)::float8 AS verifies_until
  FROM token_keys
 -- guard: keys_those_that_still_verify => WHERE true;
 WHERE verifies_until IS NULL OR verifies_until > clock_timestamp();

-- name: lock_keys
-- Serialize changes of the keys; reads go on.
-- guard: keys_one_process_at_time_changes_them => SELECT 1;
LOCK TABLE token_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: insert_first_key
-- Add a key unless there is a signing key. Run under lock_keys, or two processes would both find none.
INSERT INTO token_keys (kid, secret)
-- guard: keys_one_first_key => SELECT $1, $2 WHERE true;
SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM token_keys WHERE verifies_until IS NULL);

-- name: retire_keys
-- Let every key verify for at most $1 more seconds.
UPDATE token_keys
   -- guard: keys_nearer_end_stays => SET verifies_until = clock_timestamp() + make_interval(secs => $1)
   SET verifies_until = least(verifies_until, clock_timestamp() + make_interval(secs => $1))
 -- no guard: Saves writes: the line above keeps the end of an expired key.
 WHERE verifies_until IS NULL OR verifies_until > clock_timestamp();

-- name: insert_key
-- Add a key, which signs until the next rotation.
INSERT INTO token_keys (kid, secret) VALUES ($1, $2);

-- name: seed_users
-- People for demonstrations and load tests, numbered from $4 and all with one password hash; fewer rows
-- where some of the addresses are taken.
INSERT INTO users (user_id, email, name, password_hash)
SELECT p.user_id, format('buyer-%s-%s@example.test', $4 + p.ord, $2::text),
       format('Buyer %s', $4 + p.ord), $3
  FROM unnest($1::uuid[]) WITH ORDINALITY p (user_id, ord)
-- guard: seed_used_tag_is_no_error_of_server
ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: seed_wallets
-- Their empty wallets.
INSERT INTO wallets (user_id, currency)
SELECT p.user_id, $2 FROM unnest($1::uuid[]) p (user_id);
