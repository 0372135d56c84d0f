-- A repeated creation finds its venue. Pods of the previous release write no key, and nulls do not collide. An
-- organization has a few venues: the index is built in milliseconds.
-- squawk-ignore-file constraint-missing-not-valid, disallowed-unique-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Venues -----------------------------------------------------------------------------------------------
-- `creation_key` is the idempotency key of the request that created the venue.

ALTER TABLE venues
    ADD COLUMN creation_key text,
    ADD CONSTRAINT venues_key_unique UNIQUE (organization_id, creation_key);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
