-- Behind a pooler, the statement of a batch whose answer was lost is forbidden by its number before its
-- outcome is looked up.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Given-up statements ------------------------------------------------------------------------------------
-- Random numbers; a row is forgotten after a day.

CREATE TABLE given_up_statements (
    number bigint NOT NULL,
    given_up_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT given_up_statements_pkey PRIMARY KEY (number)
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
