-- Written while the previous release serves: it only adds. The indexes are those of new tables.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- A hold reads it in the row that it reads anyhow: true lets `offers_hold_v1` decide.
ALTER TABLE schedules ADD COLUMN has_offers boolean NOT NULL DEFAULT false;

-- Terms of a schedule with offers. Holds that count against a limit, and refunds, lock this row; so does a
-- change of the terms. `is_limited`: a channel has a quota, so every hold counts. Before `public_from` a hold
-- needs a presale code.
CREATE TABLE schedule_offers (
    schedule_id uuid NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL,
    public_from timestamptz,
    fee_minor bigint NOT NULL DEFAULT 0,
    is_limited boolean NOT NULL DEFAULT false,
    CONSTRAINT schedule_offers_pkey PRIMARY KEY (schedule_id),
    CONSTRAINT schedule_offers_fee_bounded CHECK (fee_minor BETWEEN 0 AND 9000000000000)
);

-- What a kind of visitor pays for a seat: the seat's price less `percent_off` of it, rounded down, less
-- `amount_off_minor`, never below zero. `grades`: only for seats of these grades.
CREATE TABLE price_types (
    schedule_id uuid NOT NULL,
    code text NOT NULL,
    ordinal integer NOT NULL,
    percent_off integer NOT NULL,
    amount_off_minor bigint NOT NULL,
    grades text [],
    name text NOT NULL,
    name_ko text NOT NULL,
    note text NOT NULL,
    note_ko text NOT NULL,
    CONSTRAINT price_types_pkey PRIMARY KEY (schedule_id, code),
    CONSTRAINT price_types_reduction_bounded CHECK (
        percent_off BETWEEN 0 AND 100 AND amount_off_minor BETWEEN 0 AND 9000000000000)
);

-- `taken` counts the seats of holds and sales; it is exact below the quota's edge at the latest, where a hold
-- returns what has ended first. Without a quota nothing is counted.
CREATE TABLE sales_channels (
    schedule_id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL,
    quota integer,
    taken bigint NOT NULL DEFAULT 0,
    CONSTRAINT sales_channels_pkey PRIMARY KEY (schedule_id, code),
    CONSTRAINT sales_channels_quota_kept CHECK (quota >= 0 AND taken >= 0 AND taken <= quota)
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX sales_channels_one_default ON sales_channels (schedule_id) WHERE is_default;

-- Codes with the same terms. `is_presale`: admits before `public_from`, between `valid_from` and
-- `valid_until`. `uses_max` per code, `seats_max` per use, `person_uses_max` per person; null: no limit of
-- its own. `is_shared`: one code for many, which the organizer chose.
CREATE TABLE code_batches (
    schedule_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    disabled_at timestamptz,
    valid_from timestamptz,
    valid_until timestamptz,
    amount_off_minor bigint NOT NULL,
    percent_off integer NOT NULL,
    uses_max integer,
    seats_max integer,
    person_uses_max integer,
    codes integer NOT NULL,
    is_presale boolean NOT NULL,
    is_shared boolean NOT NULL,
    channel text,
    name text NOT NULL,
    idempotency_key text NOT NULL,
    CONSTRAINT code_batches_pkey PRIMARY KEY (schedule_id, batch_id),
    CONSTRAINT code_batches_key_unique UNIQUE (schedule_id, idempotency_key),
    CONSTRAINT code_batches_reduction_bounded CHECK (
        percent_off BETWEEN 0 AND 100 AND amount_off_minor BETWEEN 0 AND 9000000000000),
    CONSTRAINT code_batches_limits_positive CHECK (least(uses_max, seats_max, person_uses_max, codes) > 0),
    CONSTRAINT code_batches_window CHECK (valid_from < valid_until)
);

-- A code is kept as its digest: whoever reads the table cannot use it. `taken` counts uses as the
-- channels' does; one that has ended is returned when the code is wanted again.
CREATE TABLE offer_codes (
    schedule_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    batch_id uuid NOT NULL,
    taken bigint NOT NULL DEFAULT 0,
    disabled_at timestamptz,
    uses_max integer,
    suffix text NOT NULL,
    CONSTRAINT offer_codes_pkey PRIMARY KEY (schedule_id, code_hash),
    CONSTRAINT offer_codes_of_batch FOREIGN KEY (schedule_id, batch_id)
        REFERENCES code_batches (schedule_id, batch_id),
    CONSTRAINT offer_codes_uses_kept CHECK (taken >= 0 AND taken <= uses_max)
) WITH (fillfactor = 70);

CREATE INDEX offer_codes_of_batch ON offer_codes (batch_id, suffix);

-- `partner_id`: this seat and that one are sold together, an accessible seat and its companion's.
CREATE TABLE seat_attributes (
    schedule_id uuid NOT NULL,
    seat_id text NOT NULL,
    partner_id text,
    is_accessible boolean NOT NULL,
    note text NOT NULL,
    note_ko text NOT NULL,
    CONSTRAINT seat_attributes_pkey PRIMARY KEY (schedule_id, seat_id),
    CONSTRAINT seat_attributes_partner_differs CHECK (partner_id <> seat_id)
);

-- What a reservation of a schedule with offers costs, fixed at the hold; each array in the order of its
-- seats. A seat's part of the amount is prices_minor - discounts_minor + fees_minor. state: OPEN (counted;
-- whether it was paid is in the reservation), SOLD (counted), RETURNED. `seats`: how many count.
CREATE TABLE reservation_offers (
    schedule_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    batch_id uuid,
    seats integer NOT NULL,
    state text NOT NULL DEFAULT 'OPEN',
    channel text,
    code_hash bytea,
    price_types text [] NOT NULL,
    prices_minor bigint [] NOT NULL,
    discounts_minor bigint [] NOT NULL,
    fees_minor bigint [] NOT NULL,
    CONSTRAINT reservation_offers_pkey PRIMARY KEY (schedule_id, reservation_id),
    CONSTRAINT reservation_offers_state_agrees CHECK (
        CASE state WHEN 'RETURNED' THEN seats = 0 WHEN 'OPEN' THEN seats > 0 WHEN 'SOLD' THEN seats > 0
                   ELSE false END),
    CONSTRAINT reservation_offers_code_agrees CHECK ((batch_id IS NULL) = (code_hash IS NULL)),
    CONSTRAINT reservation_offers_lines_agree CHECK (
        cardinality(price_types) = cardinality(prices_minor)
        AND cardinality(prices_minor) = cardinality(discounts_minor)
        AND cardinality(prices_minor) = cardinality(fees_minor)
        AND cardinality(prices_minor) >= seats)
) WITH (fillfactor = 80);

CREATE INDEX reservation_offers_open ON reservation_offers (schedule_id) WHERE state = 'OPEN';
CREATE INDEX reservation_offers_of_code ON reservation_offers (batch_id, user_id) WHERE batch_id IS NOT NULL;

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
