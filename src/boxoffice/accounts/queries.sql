-- name: insert_user
-- A new person; no row where users_email_unique refuses a second account with the same address. A refusal
-- that is no error: the server's log would have the address in its details.
INSERT INTO users (user_id, email, name, password_hash, role) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: insert_wallet
-- The empty wallet of a new person.
INSERT INTO wallets (user_id, currency) VALUES ($1, $2);

-- name: credentials
-- What a login needs to know about an address.
SELECT user_id, role, password_hash FROM users WHERE email = $1;

-- name: set_role
-- Change what a person may do; no row where nobody has that address.
UPDATE users SET role = $2 WHERE email = $1 RETURNING user_id;

-- name: keys
-- Every key that still verifies; times in seconds since the Unix epoch.
SELECT kid, secret, extract(epoch FROM created_at)::float8 AS created_at,
       extract(epoch FROM verifies_until)::float8 AS verifies_until
  FROM token_keys
 WHERE verifies_until IS NULL OR verifies_until > clock_timestamp();

-- name: lock_keys
-- Let one process at a time change the keys; reading goes on.
LOCK TABLE token_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: insert_first_key
-- A key, unless one signs already. Run under lock_keys: two processes would both find none.
INSERT INTO token_keys (kid, secret)
SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM token_keys WHERE verifies_until IS NULL);

-- name: retire_keys
-- Give every key an end in $1 seconds, or leave it a nearer one.
UPDATE token_keys
   SET verifies_until = least(verifies_until, clock_timestamp() + make_interval(secs => $1))
 WHERE verifies_until IS NULL OR verifies_until > clock_timestamp();

-- name: insert_key
-- A key that signs until the next rotation.
INSERT INTO token_keys (kid, secret) VALUES ($1, $2);

-- name: seed_users
-- People for demonstrations and load tests, numbered from $4 and all with one password hash; fewer rows
-- where some of the addresses are taken.
INSERT INTO users (user_id, email, name, password_hash)
SELECT p.user_id, format('buyer-%s-%s@example.test', $4 + p.ord, $2::text),
       format('Buyer %s', $4 + p.ord), $3
  FROM unnest($1::uuid[]) WITH ORDINALITY p (user_id, ord)
ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: seed_wallets
-- Their empty wallets.
INSERT INTO wallets (user_id, currency)
SELECT p.user_id, $2 FROM unnest($1::uuid[]) p (user_id);
