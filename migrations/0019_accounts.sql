-- Written while the previous release serves: it adds columns without defaults or with constant ones, which
-- touches no row, and tables of its own, whose indexes are made in an instant.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Accounts -------------------------------------------------------------------------------------------
-- `credentials_version` grows with each change of the password or the e-mail address: a link that was mailed
-- before is void. An address is verified by a link that was mailed to it.

ALTER TABLE users
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN credentials_version integer NOT NULL DEFAULT 0;

-- Whether the organizer asks for a verified address before a hold.
ALTER TABLE concerts ADD COLUMN requires_verified_email boolean NOT NULL DEFAULT false;

-- Links in mail ----------------------------------------------------------------------------------------
-- A link is for one purpose and one address, works once, and ends `ttl_s` after it was mailed. The token is in
-- the mail only: `token_hashes` has the SHA-256 of that of each attempt to send it. A reset that was asked for
-- an address without an account has a row as well, with a `user_id` of no account: the same work is done.

CREATE TABLE account_links (
    link_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    used_at timestamptz,
    ttl_s integer NOT NULL,
    credentials_version integer NOT NULL,
    purpose text NOT NULL,
    email text NOT NULL,
    email_before text,
    language text,
    token_hashes bytea [] NOT NULL DEFAULT '{}',
    CONSTRAINT account_links_pkey PRIMARY KEY (link_id),
    CONSTRAINT account_links_purpose_known
        CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    CONSTRAINT account_links_language_known CHECK (language IN ('en', 'ko')),
    CONSTRAINT account_links_before_agrees CHECK ((purpose = 'change_email') = (email_before IS NOT NULL)),
    CONSTRAINT account_links_used_was_sent CHECK (used_at IS NULL OR expires_at IS NOT NULL)
);

CREATE INDEX account_links_by_age ON account_links (created_at);

-- Log-ins ----------------------------------------------------------------------------------------------
-- One row per log-in, until its token expires; for showing a person where the account is logged in. What ends
-- a token is in `ended_tokens` and `token_versions`. No request reads this table but those about it.

CREATE TABLE account_sessions (
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    version integer NOT NULL,
    token_id text NOT NULL,
    browser text NOT NULL,
    system text NOT NULL,
    CONSTRAINT account_sessions_pkey PRIMARY KEY (user_id, session_id),
    CONSTRAINT account_sessions_of_user FOREIGN KEY (user_id) REFERENCES users (user_id)
);

CREATE INDEX account_sessions_by_expiry ON account_sessions (expires_at);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
