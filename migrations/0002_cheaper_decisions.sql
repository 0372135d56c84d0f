-- Before the first release nobody runs beside this file, so it drops what it replaces.
-- squawk-ignore-file ban-drop-table, ban-drop-function, ban-drop-constraint, ban-drop-default
-- squawk-ignore-file renaming-table, renaming-object, require-concurrent-index-deletion
-- squawk-ignore-file constraint-missing-not-valid

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Replaced before the first release: no pod of a release calls or reads what is dropped here.
DROP FUNCTION IF EXISTS reservations_hold_v1(
    uuid, text[], uuid[], uuid[], integer[], integer[], integer[], text[], bytea[]);
DROP FUNCTION IF EXISTS reservations_release_v1(uuid, uuid[], uuid[], uuid[]);
DROP FUNCTION IF EXISTS reservations_expire_v1(uuid, integer);
DROP FUNCTION IF EXISTS payments_pay_v1(
    uuid, uuid[], uuid[], uuid[], uuid[], text[], text[], bigint[], text[], bytea[]);

-- Holds that will lapse -----------------------------------------------------------------------------
-- What the sweeper works off: a row per batch of holds that end together. It is no index of
-- reservations by status, because that would keep every payment from being a heap-only update.

CREATE TABLE lapsing_holds (
    schedule_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    first_reservation_id uuid NOT NULL,
    reservation_ids uuid[] NOT NULL,
    CONSTRAINT lapsing_holds_pkey PRIMARY KEY (schedule_id, expires_at, first_reservation_id)
) WITH (toast_tuple_target = 8160);

INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
SELECT schedule_id, expires_at, reservation_id, ARRAY[reservation_id]
  FROM reservations WHERE status = 'HELD';

-- Every reservation ends once, and its page has room for that.
ALTER TABLE reservations SET (fillfactor = 50);
-- The key that begins with the person serves a person's list.
DROP INDEX reservations_lapsing;
DROP INDEX reservations_by_user;

-- Events ----------------------------------------------------------------------------------------------
-- A row carries the events of one topic of one batch, as arrays side by side: event i is about
-- subject_ids[i]. The seats stand one event's after the other's, those of event i up to seats_to[i].
-- The id of an event is the row's and its place in it, and so are the order and the identity that
-- listeners rely on. A row stays until the relay has delivered it. `scope_id` is the schedule, or the
-- first person for events of wallets.

ALTER TABLE outbox RENAME TO outbox_before;
ALTER TABLE outbox_before RENAME CONSTRAINT outbox_pkey TO outbox_before_pkey;
CREATE TABLE outbox (
    batch_id bigint GENERATED ALWAYS AS IDENTITY,
    scope_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    topic text NOT NULL,
    currency text,
    subject_ids uuid[] NOT NULL,
    user_ids uuid[] NOT NULL,
    reservation_ids uuid[],
    amounts_minor bigint[],
    seats_to integer[],
    seat_ids text[],
    CONSTRAINT outbox_pkey PRIMARY KEY (batch_id, scope_id),
    CONSTRAINT outbox_side_by_side CHECK (cardinality(user_ids) = cardinality(subject_ids))
) WITH (toast_tuple_target = 8160);

-- An event's id has the row's in its upper bits: listeners must not take a new event for an old one.
SELECT setval(pg_get_serial_sequence('outbox', 'batch_id'),
              (pg_sequence_last_value(pg_get_serial_sequence('outbox_before', 'event_id')) >> 16) + 1,
              false);

INSERT INTO outbox (
    scope_id, topic, created_at, subject_ids, user_ids, reservation_ids, seat_ids, seats_to,
    amounts_minor, currency, expires_at)
SELECT o.scope_id, o.topic, o.created_at, ARRAY[o.subject_id], ARRAY[o.user_id],
       CASE WHEN o.topic = 'payment.succeeded' THEN ARRAY[(o.payload ->> 'reservation')::uuid] END,
       s.seat_ids, ARRAY[cardinality(s.seat_ids)],
       ARRAY[(o.payload ->> 'amount')::bigint], o.payload ->> 'currency',
       (o.payload ->> 'expires_at')::timestamptz
  FROM outbox_before o
 CROSS JOIN LATERAL (
       SELECT array_agg(e.seat_id) AS seat_ids
         FROM jsonb_array_elements_text(o.payload -> 'seat_ids') e (seat_id)) s
 ORDER BY o.event_id;
DROP TABLE outbox_before;

-- Checks in fewer words -------------------------------------------------------------------------------
-- The same rules as before. A check is parsed anew for each statement that writes into its table, so its
-- length is what it costs: an array as one constant, and each column once.

ALTER TABLE seats
    DROP CONSTRAINT seats_state_agrees,
    ADD CONSTRAINT seats_state_agrees CHECK (
        num_nonnulls(reservation_id, user_id) = CASE
            WHEN state = ANY ('{HELD,SOLD}'::text[]) THEN 2
            WHEN state = ANY ('{AVAILABLE,BLOCKED}'::text[]) THEN 0
            ELSE -1 END
        AND (state = 'HELD') = (expires_at IS NOT NULL)
    );
ALTER TABLE reservations
    DROP CONSTRAINT reservations_status_known,
    ADD CONSTRAINT reservations_status_known
        CHECK (status = ANY ('{HELD,CONFIRMED,EXPIRED,CANCELLED}'::text[]));
ALTER TABLE tickets
    DROP CONSTRAINT tickets_status_known,
    ADD CONSTRAINT tickets_status_known CHECK (status = ANY ('{VALID,VOID}'::text[]));
ALTER TABLE transfers
    DROP CONSTRAINT transfers_kind_known,
    ADD CONSTRAINT transfers_kind_known CHECK (kind = ANY ('{charge,payment}'::text[]));
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_account_known,
    ADD CONSTRAINT ledger_entries_account_known
        CHECK (account = ANY ('{wallet,income,cash}'::text[]));

-- Payments --------------------------------------------------------------------------------------------
-- A payment names its tickets in the order of the reservation's seats, so that nobody looks them up by
-- the payment.

ALTER TABLE payments ADD COLUMN ticket_ids uuid[] NOT NULL DEFAULT '{}';
UPDATE payments p
   SET ticket_ids = ARRAY(SELECT t.ticket_id FROM tickets t
                           WHERE t.schedule_id = p.schedule_id AND t.payment_id = p.payment_id
                           ORDER BY t.position);
ALTER TABLE payments ALTER COLUMN ticket_ids DROP DEFAULT;
DROP INDEX tickets_by_payment;

-- The ledger keeps itself, once per statement ---------------------------------------------------------
-- A transfer and its entries are written in one statement, at whose end both triggers look at all of its
-- rows at once: so a transfer is never without entries, and each addition of entries is balanced, in the
-- currency of its transfer. Whatever is refused here is refused before any commit.

DROP TRIGGER transfers_balanced ON transfers;
DROP TRIGGER ledger_entries_balanced ON ledger_entries;
DROP FUNCTION ledger_balanced();
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_of_transfer;

CREATE FUNCTION ledger_entries_balanced() RETURNS trigger
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.transfer_id, a.legs, a.imbalance INTO wrong
      FROM (SELECT e.user_id, e.transfer_id, sum(e.amount_minor) AS imbalance, count(*) AS legs,
                   min(e.currency) AS currency, max(e.currency) AS other_currency
              FROM added e
             GROUP BY e.user_id, e.transfer_id) a
      LEFT JOIN LATERAL (
           SELECT t.currency FROM transfers t
            WHERE t.user_id = a.user_id AND t.transfer_id = a.transfer_id
           OFFSET 0) t ON true
     WHERE a.imbalance <> 0 OR a.legs < 2
        OR a.currency IS DISTINCT FROM t.currency OR a.other_currency IS DISTINCT FROM t.currency
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % is not balanced: % legs sum to %', wrong.transfer_id, wrong.legs,
                        wrong.imbalance
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_balanced';
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION transfers_have_entries() RETURNS trigger
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT t.transfer_id INTO wrong
      FROM added t
      LEFT JOIN LATERAL (
           SELECT e.leg FROM ledger_entries e
            WHERE e.user_id = t.user_id AND e.transfer_id = t.transfer_id
            LIMIT 1) e ON true
     WHERE e.leg IS NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % has no entries', wrong.transfer_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_balanced';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balanced();
CREATE TRIGGER transfers_have_entries AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION transfers_have_entries();

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
