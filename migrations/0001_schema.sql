-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- People -----------------------------------------------------------------------------------------

CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'buyer',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT users_email_unique UNIQUE (email),
    CONSTRAINT users_role_known CHECK (role IN ('buyer', 'organizer'))
);

-- The newest key signs; every key that is not past its time verifies.
CREATE TABLE token_keys (
    kid text PRIMARY KEY,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    verifies_until timestamptz,
    CONSTRAINT token_keys_secret_long CHECK (length(secret) >= 32)
);

-- Catalog ----------------------------------------------------------------------------------------

CREATE TABLE concerts (
    concert_id uuid PRIMARY KEY,
    organizer_id uuid NOT NULL REFERENCES users (user_id),
    title text NOT NULL,
    artist text NOT NULL,
    venue text NOT NULL,
    description text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'DRAFT',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz,
    CONSTRAINT concerts_status_known CHECK (status IN ('DRAFT', 'PUBLISHED')),
    CONSTRAINT concerts_published_at_agrees CHECK ((status = 'PUBLISHED') = (published_at IS NOT NULL))
);

CREATE TABLE schedules (
    schedule_id uuid PRIMARY KEY,
    concert_id uuid NOT NULL REFERENCES concerts (concert_id),
    starts_at timestamptz NOT NULL,
    sale_opens_at timestamptz NOT NULL,
    sale_closes_at timestamptz,
    status text NOT NULL DEFAULT 'DRAFT',
    currency text NOT NULL,
    hold_ttl_s integer NOT NULL,
    ticket_limit integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schedules_status_known CHECK (status IN ('DRAFT', 'OPEN', 'CLOSED')),
    CONSTRAINT schedules_sale_window CHECK (sale_closes_at IS NULL OR sale_closes_at > sale_opens_at),
    CONSTRAINT schedules_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT schedules_hold_ttl_positive CHECK (hold_ttl_s BETWEEN 1 AND 86400),
    CONSTRAINT schedules_ticket_limit_positive CHECK (ticket_limit BETWEEN 1 AND 1000)
);

CREATE INDEX schedules_by_concert ON schedules (concert_id, starts_at, schedule_id);

-- Seats ------------------------------------------------------------------------------------------
-- One row is the truth about one seat. The columns that a hold changes are in no index, and the fill
-- factor leaves room in the page, so that a hold is a heap-only update. `version` grows with every
-- visible change and is the fencing token. A change that may follow the unwritten end of a hold (a
-- take-over, a payment) counts for two: the end itself was visible and counted for one.
--
-- Here and below, only the primary key begins with the schedule, wherever rows are looked up by it. To a
-- planner that believes a table small, every index with the same first column looks as good as the
-- right one; a plan of that kind, kept while the table grows, would read the whole schedule per row.

CREATE TABLE seats (
    schedule_id uuid NOT NULL REFERENCES schedules (schedule_id),
    reservation_id uuid,
    user_id uuid,
    expires_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    price_minor bigint NOT NULL,
    ordinal integer NOT NULL,
    number integer NOT NULL,
    state text NOT NULL DEFAULT 'AVAILABLE',
    seat_id text NOT NULL,
    section text NOT NULL,
    row_label text NOT NULL,
    grade text NOT NULL,
    CONSTRAINT seats_pkey PRIMARY KEY (schedule_id, seat_id),
    CONSTRAINT seats_place_unique UNIQUE (section, row_label, number, schedule_id),
    CONSTRAINT seats_price_not_negative CHECK (price_minor BETWEEN 0 AND 9000000000000),
    CONSTRAINT seats_state_agrees CHECK (
        (state IN ('AVAILABLE', 'BLOCKED')
            AND reservation_id IS NULL AND user_id IS NULL AND expires_at IS NULL)
        OR (state = 'HELD'
            AND reservation_id IS NOT NULL AND user_id IS NOT NULL AND expires_at IS NOT NULL)
        OR (state = 'SOLD'
            AND reservation_id IS NOT NULL AND user_id IS NOT NULL AND expires_at IS NULL)
    )
) WITH (fillfactor = 50);

-- Reservations -----------------------------------------------------------------------------------
-- Hot tables have no foreign key to the schedule: each insert would lock the one row that everybody
-- shares. The functions check it, and the audit checks them.

CREATE TABLE reservations (
    schedule_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    amount_minor bigint NOT NULL,
    status text NOT NULL DEFAULT 'HELD',
    currency text NOT NULL,
    seat_ids text[] NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    closed_at timestamptz,
    closed_by uuid,
    CONSTRAINT reservations_pkey PRIMARY KEY (schedule_id, reservation_id),
    CONSTRAINT reservations_key_unique UNIQUE (user_id, schedule_id, idempotency_key),
    CONSTRAINT reservations_status_known
        CHECK (status IN ('HELD', 'CONFIRMED', 'EXPIRED', 'CANCELLED')),
    CONSTRAINT reservations_closed_at_agrees CHECK ((status = 'HELD') = (closed_at IS NULL)),
    CONSTRAINT reservations_has_seats CHECK (cardinality(seat_ids) > 0),
    CONSTRAINT reservations_amount_not_negative CHECK (amount_minor >= 0)
) WITH (fillfactor = 80);

-- Led by the schedule: the sweeper's look at each schedule's oldest hold, and its work on one schedule,
-- cost what is due there, however much another schedule has left lying.
CREATE INDEX reservations_lapsing ON reservations (schedule_id, expires_at) WHERE status = 'HELD';
CREATE INDEX reservations_by_user ON reservations (user_id, reservation_id);

CREATE TABLE tickets (
    schedule_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    user_id uuid NOT NULL,
    seat_id text NOT NULL,
    position integer NOT NULL,
    status text NOT NULL DEFAULT 'VALID',
    issued_at timestamptz NOT NULL,
    CONSTRAINT tickets_pkey PRIMARY KEY (schedule_id, ticket_id),
    CONSTRAINT tickets_status_known CHECK (status IN ('VALID', 'VOID'))
);

-- The second lock on overselling: whatever the code does, one seat has one live ticket.
CREATE UNIQUE INDEX tickets_one_live_per_seat ON tickets (schedule_id, seat_id) WHERE status <> 'VOID';
CREATE INDEX tickets_by_payment ON tickets (schedule_id, payment_id);

-- Money ------------------------------------------------------------------------------------------
-- A transfer moves money between accounts; its entries say into which account how much went
-- (negative: out of it) and sum to zero. Both legs carry the person whom the transfer concerns, so
-- that they live on one shard. The house's income is the sum of its entries: no hot row.

CREATE TABLE wallets (
    user_id uuid PRIMARY KEY,
    currency text NOT NULL,
    balance_minor bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    CONSTRAINT wallets_never_negative CHECK (balance_minor >= 0),
    CONSTRAINT wallets_countable CHECK (balance_minor <= 9000000000000000)
) WITH (fillfactor = 70);

CREATE TABLE transfers (
    user_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    schedule_id uuid,
    payment_id uuid,
    idempotency_key text,
    fingerprint bytea,
    balance_after_minor bigint,
    created_at timestamptz NOT NULL,
    CONSTRAINT transfers_pkey PRIMARY KEY (user_id, transfer_id),
    CONSTRAINT transfers_kind_known CHECK (kind IN ('charge', 'payment')),
    CONSTRAINT transfers_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT transfers_payment_agrees
        CHECK ((kind = 'payment') = (payment_id IS NOT NULL AND schedule_id IS NOT NULL)),
    CONSTRAINT transfers_charge_keyed
        CHECK ((kind = 'charge') = (idempotency_key IS NOT NULL AND fingerprint IS NOT NULL))
);

CREATE UNIQUE INDEX transfers_key_unique ON transfers (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE ledger_entries (
    user_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    leg smallint NOT NULL,
    account text NOT NULL,
    schedule_id uuid,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (user_id, transfer_id, leg),
    CONSTRAINT ledger_entries_of_transfer
        FOREIGN KEY (user_id, transfer_id) REFERENCES transfers (user_id, transfer_id),
    CONSTRAINT ledger_entries_account_known CHECK (account IN ('wallet', 'income', 'cash')),
    CONSTRAINT ledger_entries_moves_something CHECK (amount_minor <> 0)
);

CREATE TABLE payments (
    schedule_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    created_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'SUCCEEDED',
    method text NOT NULL,
    provider_reference text,
    currency text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (schedule_id, payment_id),
    CONSTRAINT payments_once_per_reservation UNIQUE (reservation_id, schedule_id),
    CONSTRAINT payments_key_unique UNIQUE (user_id, schedule_id, idempotency_key),
    CONSTRAINT payments_status_known CHECK (status IN ('SUCCEEDED')),
    CONSTRAINT payments_provider_agrees CHECK ((method = 'wallet') = (provider_reference IS NULL))
);

-- Events -----------------------------------------------------------------------------------------
-- A row stays until the relay has delivered it. `scope_id` is the schedule, or the person for events
-- of a wallet.

CREATE TABLE outbox (
    event_id bigint GENERATED ALWAYS AS IDENTITY,
    scope_id uuid NOT NULL,
    topic text NOT NULL,
    subject_id uuid NOT NULL,
    user_id uuid NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (event_id, scope_id)
);

-- A role that must run once at a time holds its lease; `token` grows with every change of hands.
CREATE TABLE leases (
    role text PRIMARY KEY,
    holder uuid NOT NULL,
    token bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

-- The ledger keeps itself ------------------------------------------------------------------------

CREATE FUNCTION ledger_balanced() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    imbalance numeric;
    legs bigint;
    currencies bigint;
BEGIN
    SELECT sum(e.amount_minor), count(*), count(DISTINCT e.currency)
      INTO imbalance, legs, currencies
      FROM ledger_entries e
     WHERE e.user_id = NEW.user_id AND e.transfer_id = NEW.transfer_id;
    IF imbalance IS DISTINCT FROM 0 OR legs < 2 OR currencies <> 1 THEN
        RAISE EXCEPTION 'transfer % is not balanced: % legs sum to %', NEW.transfer_id, legs, imbalance
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_balanced';
    END IF;
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER transfers_balanced AFTER INSERT ON transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balanced();
CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balanced();

CREATE FUNCTION ledger_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: corrections are new entries', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_append_only';
END;
$$;

CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
