-- A repeated creation of a concert or schedule finds the first one.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5s';

-- Keys of requests --------------------------------------------------------------------------------------
-- They stay when what they created is deleted, so `created_id` refers to nothing.

CREATE TABLE creation_keys (
    organization_id uuid NOT NULL CONSTRAINT creation_keys_of_organization REFERENCES organizations,
    kind text NOT NULL CONSTRAINT creation_keys_kind_known CHECK (kind IN ('concert', 'schedule')),
    creation_key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT creation_keys_pkey PRIMARY KEY (organization_id, kind, creation_key)
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
