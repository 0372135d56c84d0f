-- Tables of their own, empty at first: an index is made in an instant.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Outbound webhooks --------------------------------------------------------------------------------
-- An endpoint belongs to an organizer and gets the events of this organizer's concerts. While a secret is
-- rotated, the one before it signs too, until `previous_until`. A deleted endpoint has no secrets; its row
-- goes with its last delivery. `creation_key` and `rotation_key` are the idempotency keys of the requests
-- that made the endpoint and its current secret.

CREATE TABLE webhook_endpoints (
    endpoint_id uuid NOT NULL,
    organizer_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_until timestamptz,
    url text NOT NULL,
    topics text [] NOT NULL,
    state text NOT NULL DEFAULT 'ACTIVE',
    disabled_reason text,
    secret bytea,
    previous_secret bytea,
    creation_key text NOT NULL,
    rotation_key text,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (endpoint_id),
    CONSTRAINT webhook_endpoints_of_organizer FOREIGN KEY (organizer_id) REFERENCES users (user_id),
    CONSTRAINT webhook_endpoints_key_unique UNIQUE (organizer_id, creation_key),
    CONSTRAINT webhook_endpoints_url_bounded CHECK (length(url) BETWEEN 1 AND 2048),
    CONSTRAINT webhook_endpoints_has_topics CHECK (cardinality(topics) BETWEEN 1 AND 64),
    CONSTRAINT webhook_endpoints_state_known CHECK (state IN ('ACTIVE', 'DISABLED', 'DELETED')),
    CONSTRAINT webhook_endpoints_reason_agrees
        CHECK (state = 'DELETED' OR (state = 'DISABLED') = (disabled_reason IS NOT NULL)),
    CONSTRAINT webhook_endpoints_secret_agrees CHECK ((state = 'DELETED') = (secret IS NULL)),
    CONSTRAINT webhook_endpoints_secret_long
        CHECK (length(secret) BETWEEN 24 AND 64 AND length(previous_secret) BETWEEN 24 AND 64),
    CONSTRAINT webhook_endpoints_previous_agrees
        CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);

CREATE INDEX webhook_endpoints_active ON webhook_endpoints (organizer_id) WHERE state = 'ACTIVE';

-- An event on its way to an endpoint. `attempts` counts every claim and every replay and is the fencing
-- token of the result: a result that was claimed before another claim is not written. `tries` counts
-- results since the event was queued or replayed. `claimed_under` is the token of the messenger's lease.

CREATE TABLE webhook_deliveries (
    endpoint_id uuid NOT NULL,
    event_id bigint NOT NULL,
    queued_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    tried_at timestamptz,
    claimed_under bigint,
    attempts integer NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    last_status integer,
    state text NOT NULL DEFAULT 'WAITING',
    topic text NOT NULL,
    last_error text,
    last_answer text,
    body text NOT NULL,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (endpoint_id, event_id),
    CONSTRAINT webhook_deliveries_to_endpoint
        FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (endpoint_id),
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('WAITING', 'DELIVERED', 'FAILED')),
    CONSTRAINT webhook_deliveries_counted CHECK (tries >= 0 AND attempts >= tries),
    CONSTRAINT webhook_deliveries_answer_bounded CHECK (octet_length(last_answer) <= 4096)
) WITH (fillfactor = 80);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'WAITING';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (endpoint_id, queued_at, event_id);

-- Events that an organizer asked for as a test have negative ids.
CREATE SEQUENCE webhook_test_ids AS bigint INCREMENT BY -1 MAXVALUE -1 START WITH -1;

-- Mail ---------------------------------------------------------------------------------------------
-- One row per mail; one mail of a kind per subject, such as the receipt of a payment. Address and language
-- are fixed by the first claim, so that a repetition is the same mail. The id is part of its Message-ID.

CREATE TABLE mails (
    user_id uuid NOT NULL,
    mail_id uuid NOT NULL DEFAULT gen_random_uuid(),
    scope_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    claimed_under bigint,
    attempts integer NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    kind text NOT NULL,
    state text NOT NULL DEFAULT 'WAITING',
    to_address text,
    language text,
    message_id text,
    last_error text,
    CONSTRAINT mails_pkey PRIMARY KEY (user_id, mail_id),
    CONSTRAINT mails_once_per_subject UNIQUE (user_id, kind, subject_id),
    CONSTRAINT mails_kind_named CHECK (kind ~ '^[a-z][a-z_]*$'),
    CONSTRAINT mails_state_known CHECK (state IN ('WAITING', 'SENT', 'FAILED')),
    CONSTRAINT mails_sent_agrees CHECK ((state = 'SENT') = (sent_at IS NOT NULL)),
    CONSTRAINT mails_claim_agrees
        CHECK (num_nonnulls(to_address, language, message_id) = CASE attempts WHEN 0 THEN 0 ELSE 3 END),
    CONSTRAINT mails_counted CHECK (tries >= 0 AND attempts >= tries)
) WITH (fillfactor = 80);

CREATE INDEX mails_due ON mails (due_at) WHERE state = 'WAITING';
CREATE INDEX mails_by_age ON mails (queued_at) WHERE state <> 'WAITING';

-- The language that a person chose for mail.
CREATE TABLE mail_languages (
    user_id uuid NOT NULL,
    language text NOT NULL,
    CONSTRAINT mail_languages_pkey PRIMARY KEY (user_id),
    CONSTRAINT mail_languages_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT mail_languages_known CHECK (language IN ('en', 'ko'))
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
