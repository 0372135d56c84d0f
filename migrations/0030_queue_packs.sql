-- The numbers of a waiting room as its state in Valkey has them, so that a lost state is back within seconds. The rows
-- of `queue_joins` stay the record: pods of the previous release read those, and write rows that are in no pack yet.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE queue_joins ADD COLUMN is_packed boolean NOT NULL DEFAULT false;

-- Packs ----------------------------------------------------------------------------------------------------
-- A pack has the numbers of many rows of `queue_joins`; its parts are the accounts with the same byte 15. `buckets` has
-- byte 16, one for each bucket, `counts` how many numbers that has, in 4 bytes, and `entries` all of them in this order:
-- the first 14 bytes of the account, and the number in 5.

CREATE TABLE queue_packs (
    schedule_id uuid NOT NULL,
    part smallint NOT NULL,
    pack_id bigint NOT NULL,
    buckets bytea NOT NULL,
    counts bytea NOT NULL,
    entries bytea NOT NULL,
    CONSTRAINT queue_packs_pkey PRIMARY KEY (schedule_id, part, pack_id),
    CONSTRAINT queue_packs_part_is_byte CHECK (part BETWEEN 0 AND 255),
    CONSTRAINT queue_packs_agree CHECK (length(counts) = 4 * length(buckets) AND length(entries) % 19 = 0)
);

-- There is nothing to compress in them.
ALTER TABLE queue_packs ALTER COLUMN entries SET STORAGE EXTERNAL;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
