-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Tokens that end before their time --------------------------------------------------------------
-- A person without a row has version 0. Access tokens carry the version of their log-in, and those of an
-- older one are refused: a log-out everywhere and a change of role count it up.

CREATE TABLE token_versions (
    user_id uuid NOT NULL,
    version integer NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT token_versions_pkey PRIMARY KEY (user_id),
    CONSTRAINT token_versions_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT token_versions_counted CHECK (version > 0)
);

-- Every process reads what has changed since it looked last.
CREATE INDEX token_versions_by_change ON token_versions (changed_at);

-- Single tokens whose owner has logged out; a row is of no use once the token has expired.
CREATE TABLE ended_tokens (
    token_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ended_tokens_pkey PRIMARY KEY (token_id)
);

CREATE INDEX ended_tokens_by_end ON ended_tokens (ended_at);
CREATE INDEX ended_tokens_by_expiry ON ended_tokens (expires_at);

-- From where an account has logged in ------------------------------------------------------------
-- Keyed digests: the addresses themselves are stored nowhere.

CREATE TABLE known_addresses (
    user_id uuid NOT NULL,
    address_digest bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT known_addresses_pkey PRIMARY KEY (user_id, address_digest),
    CONSTRAINT known_addresses_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT known_addresses_digest_whole CHECK (length(address_digest) = 32)
);

CREATE INDEX known_addresses_by_age ON known_addresses (seen_at);

CREATE TABLE account_secrets (
    name text NOT NULL,
    secret bytea NOT NULL,
    CONSTRAINT account_secrets_pkey PRIMARY KEY (name),
    CONSTRAINT account_secrets_long CHECK (length(secret) >= 32)
);

INSERT INTO account_secrets (name, secret)
SELECT 'known_addresses', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
