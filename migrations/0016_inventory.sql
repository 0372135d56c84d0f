-- Written while the previous release serves: it adds, and a wider check holds for every row that the
-- narrower one held for. The indexes are those of new tables. Tickets without a payment are written by this
-- release only, and the previous one looks tickets up by their payment.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid, ban-drop-constraint, ban-drop-not-null

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

-- Complimentary tickets and sales at the box office ------------------------------------------------------
-- The owner of a concert's tickets that no buyer holds: an account with which no person logs in. Its tickets
-- do not count against the ticket limit.
CREATE TABLE house_accounts (
    concert_id uuid NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT house_accounts_pkey PRIMARY KEY (concert_id),
    CONSTRAINT house_accounts_user_unique UNIQUE (user_id)
);

-- Tickets that an organizer issued without a hold. COMPLIMENTARY: a named guest, no payment, amount 0; with an
-- address they are mailed. BOX_OFFICE: sold and paid at once, in cash or at a card terminal. All tickets of an
-- issue become void together.
CREATE TABLE ticket_issues (
    schedule_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    issued_at timestamptz NOT NULL,
    issued_by uuid NOT NULL,
    voided_at timestamptz,
    voided_by uuid,
    kind text NOT NULL,
    name text NOT NULL,
    email text,
    language text,
    reason text NOT NULL,
    note text NOT NULL,
    list_name text NOT NULL,
    ticket_ids uuid [] NOT NULL,
    CONSTRAINT ticket_issues_pkey PRIMARY KEY (schedule_id, reservation_id),
    CONSTRAINT ticket_issues_kind_agrees CHECK (
        CASE kind WHEN 'COMPLIMENTARY' THEN name <> ''
                  WHEN 'BOX_OFFICE' THEN email IS NULL
                  ELSE false END),
    CONSTRAINT ticket_issues_mail_agrees CHECK ((email IS NULL) = (language IS NULL)),
    CONSTRAINT ticket_issues_voided_agrees CHECK ((voided_at IS NULL) = (voided_by IS NULL))
);

ALTER TABLE tickets ALTER COLUMN payment_id DROP NOT NULL;

-- A sale at the box office: till or terminal −, income +. Its refund: refunds_due −, till or terminal +.
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_account_known,
    ADD CONSTRAINT ledger_entries_account_known CHECK (
        account = ANY ('{wallet,income,cash,suspense,refunds_due,fees,disputes,till,terminal}'::text []))
        NOT VALID;
ALTER TABLE ledger_entries VALIDATE CONSTRAINT ledger_entries_account_known;

ALTER TABLE refunds
    DROP CONSTRAINT refunds_destination_agrees,
    ADD CONSTRAINT refunds_destination_agrees CHECK (
        CASE WHEN destination = ANY ('{wallet,till,terminal}'::text []) THEN true
             WHEN destination = 'provider' THEN provider IS NOT NULL AND payment_key IS NOT NULL
             ELSE false END) NOT VALID;
ALTER TABLE refunds VALIDATE CONSTRAINT refunds_destination_agrees;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
