-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The waiting room -------------------------------------------------------------------------------
-- What an organizer has set, and what of a room must outlive Valkey. A person who waits has no row:
-- the numbers that were given out are between two counters, and everybody carries their own, signed.

CREATE TABLE queue_rooms (
    schedule_id uuid NOT NULL,
    mode text NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    is_closed boolean NOT NULL DEFAULT false,
    rate_per_s double precision NOT NULL,
    inside_max integer NOT NULL,
    inside_s integer NOT NULL,
    grace_s integer NOT NULL,
    opens_at timestamptz NOT NULL,
    -- The draw: the seed is secret until `lobby_size` is set, which says that it was drawn among so many.
    seed bytea NOT NULL,
    lobby_size bigint,
    -- Grows whenever the line in Valkey was lost. No number above `numbers_to` has been given out, at
    -- least `joined` have been, and whoever is before `called` had their turn.
    epoch bigint NOT NULL DEFAULT 0,
    numbers_to bigint NOT NULL DEFAULT 0,
    joined bigint NOT NULL DEFAULT 0,
    called bigint NOT NULL DEFAULT 0,
    leader_token bigint NOT NULL DEFAULT 0,
    CONSTRAINT queue_rooms_pkey PRIMARY KEY (schedule_id),
    CONSTRAINT queue_rooms_mode_known CHECK (mode IN ('off', 'fifo', 'lobby')),
    CONSTRAINT queue_rooms_rate_positive CHECK (rate_per_s > 0),
    CONSTRAINT queue_rooms_limits_positive CHECK (inside_max > 0 AND inside_s > 0 AND grace_s > 0),
    CONSTRAINT queue_rooms_seed_long CHECK (length(seed) = 32),
    CONSTRAINT queue_rooms_counters_agree CHECK (
        called >= 0 AND called <= numbers_to AND joined <= numbers_to AND lobby_size <= numbers_to)
);

-- The numbers that may never have been given out when an epoch ended: above `joined`, up to `numbers_to`.
CREATE TABLE queue_gaps (
    schedule_id uuid NOT NULL,
    epoch bigint NOT NULL,
    joined bigint NOT NULL,
    numbers_to bigint NOT NULL,
    began_at timestamptz NOT NULL,
    CONSTRAINT queue_gaps_pkey PRIMARY KEY (schedule_id, epoch),
    CONSTRAINT queue_gaps_forward CHECK (joined <= numbers_to)
);

-- Everybody who was let in, with how many were inside then, themselves included. The times are those of
-- the line's own clock, which never goes back.
CREATE TABLE queue_admissions (
    schedule_id uuid NOT NULL,
    number bigint NOT NULL,
    user_id uuid NOT NULL,
    place bigint NOT NULL,
    called bigint NOT NULL,
    admitted_at timestamptz NOT NULL,
    leaves_at timestamptz NOT NULL,
    ended_at timestamptz,
    inside integer NOT NULL,
    inside_max integer NOT NULL,
    ended_by text,
    CONSTRAINT queue_admissions_pkey PRIMARY KEY (schedule_id, number),
    CONSTRAINT queue_admissions_in_turn CHECK (place <= called),
    CONSTRAINT queue_admissions_within_cap CHECK (inside BETWEEN 1 AND inside_max),
    CONSTRAINT queue_admissions_ended_agrees CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT queue_admissions_ended_by_known CHECK (ended_by IN ('paid', 'left', 'silent', 'time'))
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
