-- Which restores this database has come through. Nothing else writes the table, and pods of the previous release do
-- not read it.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Restores ---------------------------------------------------------------------------------------------
-- A database that was never restored is in incarnation 0. What was committed after `recovered_to` is lost here, and
-- not at listeners, buyers and payment providers. The incarnation is the part of an event's id above 46 bits, of
-- an epoch of a waiting room above 16, and of a fencing token above 40.

CREATE TABLE restores (
    incarnation integer NOT NULL,
    restored_at timestamptz NOT NULL,
    recovered_to timestamptz NOT NULL,
    backup_label text NOT NULL,
    target text NOT NULL,
    CONSTRAINT restores_pkey PRIMARY KEY (incarnation),
    CONSTRAINT restores_incarnation_fits CHECK (incarnation BETWEEN 1 AND 127),
    CONSTRAINT restores_forward CHECK (recovered_to <= restored_at)
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
