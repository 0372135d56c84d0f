-- Written while the previous release serves: it only adds. The indexes are those of new tables, and a new column
-- with a constant default agrees with its check.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- How long seats that return stay held for the waiting list before they are on sale: a hold reads it in the row
-- that it reads anyhow. 0: the schedule never had a list. It only grows, because the ends of seats depend on it.
ALTER TABLE schedules ADD COLUMN waiting_list_turn_s integer NOT NULL DEFAULT 0;

-- The waiting list of a schedule. `last_place`: places that were given; a join, and each turn of the line, locks
-- this row, so that the order of places is the order of commits.
CREATE TABLE waiting_lists (
    schedule_id uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    last_place bigint NOT NULL DEFAULT 0,
    is_on boolean NOT NULL,
    CONSTRAINT waiting_lists_pkey PRIMARY KEY (schedule_id),
    CONSTRAINT waiting_lists_of_schedule FOREIGN KEY (schedule_id) REFERENCES schedules (schedule_id)
        ON DELETE CASCADE,
    CONSTRAINT waiting_lists_place_not_negative CHECK (last_place >= 0)
) WITH (fillfactor = 50);

-- A person who waits for `seats` adjacent seats of a grade (null: any). OFFERED: a reservation holds them until
-- `offer_expires_at`, or longer while it is paid. TAKEN: it was paid; LAPSED: it was not. LEFT: the person left.
-- CLOSED: the sale or the list ended. LIMIT_REACHED: the person has as many tickets as the schedule allows.
CREATE TABLE waiting_list_entries (
    schedule_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    user_id uuid NOT NULL,
    place bigint NOT NULL,
    joined_at timestamptz NOT NULL,
    offered_at timestamptz,
    offer_expires_at timestamptz,
    ended_at timestamptz,
    reservation_id uuid,
    seats integer NOT NULL,
    status text NOT NULL DEFAULT 'WAITING',
    grade text,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    CONSTRAINT waiting_list_entries_pkey PRIMARY KEY (schedule_id, entry_id),
    CONSTRAINT waiting_list_entries_key_unique UNIQUE (user_id, schedule_id, idempotency_key),
    CONSTRAINT waiting_list_entries_place_unique UNIQUE (schedule_id, place),
    CONSTRAINT waiting_list_entries_seats_positive CHECK (seats > 0),
    CONSTRAINT waiting_list_entries_status_agrees CHECK (
        num_nonnulls(offered_at, offer_expires_at, reservation_id)
            = CASE WHEN status = ANY ('{OFFERED,TAKEN,LAPSED}'::text []) THEN 3 ELSE 0 END
        AND (ended_at IS NULL) = (status = ANY ('{WAITING,OFFERED}'::text []))),
    CONSTRAINT waiting_list_entries_status_known CHECK (
        status = ANY ('{WAITING,OFFERED,TAKEN,LAPSED,LEFT,CLOSED,LIMIT_REACHED}'::text []))
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX waiting_list_entries_one_live ON waiting_list_entries (schedule_id, user_id)
    WHERE status IN ('WAITING', 'OFFERED');
CREATE UNIQUE INDEX waiting_list_entries_one_per_reservation
    ON waiting_list_entries (schedule_id, reservation_id) WHERE reservation_id IS NOT NULL;
CREATE INDEX waiting_list_entries_waiting ON waiting_list_entries (schedule_id, place)
    WHERE status = 'WAITING';
CREATE INDEX waiting_list_entries_of_person ON waiting_list_entries (user_id, entry_id);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
