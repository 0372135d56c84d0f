-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Who got which number, many to a row, written a moment after they got it: what makes a lost line whole
-- again for people who have lost their tickets too. `accounts` has 16 bytes for each of `numbers`.

CREATE TABLE queue_joins (
    schedule_id uuid NOT NULL,
    join_id bigint GENERATED ALWAYS AS IDENTITY,
    numbers bigint [] NOT NULL,
    accounts bytea NOT NULL,
    CONSTRAINT queue_joins_pkey PRIMARY KEY (schedule_id, join_id),
    CONSTRAINT queue_joins_agree CHECK (length(accounts) = 16 * cardinality(numbers))
);

-- There is nothing to compress in them.
ALTER TABLE queue_joins ALTER COLUMN accounts SET STORAGE EXTERNAL;
ALTER TABLE queue_joins ALTER COLUMN numbers SET STORAGE EXTERNAL;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
