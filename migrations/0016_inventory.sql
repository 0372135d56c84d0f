-- Written while the previous release serves: it adds, and what that release knows stays as it is.
-- The indexes are those of new tables.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '300s';

-- Seats after the opening --------------------------------------------------------------------------------
-- The version of a schedule's layout: it grows in the transaction that adds seats, or that changes prices or
-- grades, and every process that has an older layout in memory reads the seats anew.

ALTER TABLE schedules ADD COLUMN layout_version integer NOT NULL DEFAULT 1;

-- Price and grade that a seat had before a change, with the version of the seat after it. Only seats that
-- are not held or sold change, so a reservation's price is that of the moment of its hold.
CREATE TABLE seat_price_changes (
    schedule_id uuid NOT NULL,
    seat_id text NOT NULL,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by uuid NOT NULL,
    price_minor bigint NOT NULL,
    grade text NOT NULL,
    CONSTRAINT seat_price_changes_pkey PRIMARY KEY (schedule_id, seat_id, version)
);

CREATE TRIGGER seat_price_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seat_price_changes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- Why a seat is blocked, while it is.
CREATE TABLE seat_blocks (
    schedule_id uuid NOT NULL,
    seat_id text NOT NULL,
    blocked_at timestamptz NOT NULL,
    blocked_by uuid NOT NULL,
    reason text NOT NULL,
    note text NOT NULL,
    CONSTRAINT seat_blocks_pkey PRIMARY KEY (schedule_id, seat_id),
    CONSTRAINT seat_blocks_reason_known CHECK (
        reason = ANY ('{house,broken,camera,view,other}'::text [])),
    CONSTRAINT seat_blocks_note_bounded CHECK (length(note) <= 200)
);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
