-- People without an account in a waiting room, and which account has redeemed such a place. Pods of the previous
-- release know neither, and change neither.
-- The index is built while admissions wait: a room has few of them, and they leave for the archive.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The key makes an identity out of a browser's secret. It is random, so that no secret can be chosen for the bucket
-- that its identity falls into, and stays from when people without an account are first allowed.
ALTER TABLE queue_rooms
    ADD COLUMN allows_anonymous boolean NOT NULL DEFAULT false,
    ADD COLUMN anonymous_key bytea;

-- One account per number, and one number per account.
CREATE TABLE queue_redemptions (
    schedule_id uuid NOT NULL,
    number bigint NOT NULL,
    user_id uuid NOT NULL,
    redeemed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT queue_redemptions_pkey PRIMARY KEY (schedule_id, number),
    CONSTRAINT queue_redemptions_one_per_account UNIQUE (schedule_id, user_id)
);

-- Finds whether an account had its turn already.
CREATE INDEX queue_admissions_of_user ON queue_admissions (schedule_id, user_id);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
