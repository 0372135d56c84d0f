-- Written while the previous release serves: it adds columns without defaults, which touches no row.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- What a notice names beside its order: a dispute, and the secret that only the provider and the shop know.
ALTER TABLE provider_notices
    ADD COLUMN dispute_key text,
    ADD COLUMN secret text;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
