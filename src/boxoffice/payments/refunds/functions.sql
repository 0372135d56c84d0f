-- Decisions about refunds, one payment or refund per call, each in one transaction. Lock order, look-ups by key
-- and changes by ctid as in `reservations/functions.sql`; a refund's own row is locked last.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Refund tickets of a payment: void them, put their seats back on sale, and owe the money, or pay it into the
-- wallet at once. With a return delay of the schedule the seats stay held for the reservation, and lapse
-- together at a random time. The caller has computed what is refunded and kept per ticket (`policy.py`) for the start of
-- the performance p_starts_at; that holds before p_valid_until, by the time of the decision.
-- p_transfer_ids: of the refund, of its payout, and of the compensation.
-- outcome: refunded, replayed, key_reused, payment_not_found, ticket_not_found, already_refunded, disputed,
-- not_refundable, quote_changed, currency_differs. seat_versions: the new ones of seat_ids; both are empty with a return delay,
-- which processes learn of from their next reading.
CREATE OR REPLACE FUNCTION refunds_decide_v1(
    p_schedule_id uuid,
    p_payment_id uuid,
    p_user_id uuid,
    p_refund_id uuid,
    p_transfer_ids uuid[],
    p_ticket_ids uuid[],
    p_refunds_minor bigint[],
    p_fees_minor bigint[],
    p_compensation_minor bigint,
    p_starts_at timestamptz,
    p_valid_until timestamptz,
    p_reason text,
    p_to_wallet boolean,
    p_decided_by uuid,
    p_job_id uuid,
    p_key text,
    p_fingerprint bytea,
    OUT outcome text,
    OUT seat_ids text[],
    OUT seat_versions bigint[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    decided_at timestamptz;
    sale record;
    places tid[];
    all_live boolean;
    prices_agree boolean;
    starts_at timestamptz;
    returns_at timestamptz;
    wallet_currency text;
    changed bigint;
BEGIN
    -- The same lock as a hold: the count of the person's seats changes.
    -- guard: refund_persons_lock_of_hold => NULL;
    PERFORM pg_advisory_xact_lock(uuid_hash_extended(p_user_id, uuid_hash_extended(p_schedule_id, 0)));

    -- guard: refund_fingerprint_is_compared => SELECT 'replayed'
    SELECT CASE WHEN f.fingerprint = p_fingerprint THEN 'replayed' ELSE 'key_reused' END
      INTO outcome
      FROM refunds f
     -- guard: refund_key_is_compared: AND f.idempotency_key = p_key =>
     WHERE f.user_id = p_user_id AND f.idempotency_key = p_key;
    -- guard: refund_repetition_is_replayed => IF false THEN
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT p.reservation_id, p.method, p.provider_reference, p.currency, p.amount_minor, p.ticket_ids,
           p.created_at
      INTO sale
      FROM payments p
     CROSS JOIN LATERAL (
           SELECT r.status FROM reservations r
            -- no guard: { The payment's own reservation, by its primary key.
            WHERE r.schedule_id = p.schedule_id AND r.reservation_id = p.reservation_id
              -- guard: }
              -- no guard: The person's lock excludes holds and payments; this orders the sweeper and the archive.
              FOR NO KEY UPDATE) r
     -- guard: refund_only_own: AND p.user_id = p_user_id =>
     WHERE p.schedule_id = p_schedule_id AND p.payment_id = p_payment_id AND p.user_id = p_user_id;
    -- guard: refund_payment_that_exists => IF false THEN
    IF NOT FOUND THEN
        outcome := 'payment_not_found';
        RETURN;
    END IF;

    SELECT array_agg(w.seat_id ORDER BY w.at), array_agg(l.place ORDER BY w.at),
           array_agg(l.version + 1 ORDER BY w.at), bool_and(w.status = 'VALID'),
           -- guard: refund_line_is_the_price => true
           bool_and(coalesce(o.paid_minor, l.price_minor) = w.paid_minor)
      INTO seat_ids, places, seat_versions, all_live, prices_agree
      FROM (SELECT c.at, t.seat_id, t.status, c.refund_minor + c.fee_minor AS paid_minor
              FROM unnest(p_ticket_ids, p_refunds_minor, p_fees_minor)
                   WITH ORDINALITY c (ticket_id, refund_minor, fee_minor, at)
              LEFT JOIN LATERAL (
                   SELECT t.seat_id, t.status FROM tickets t
                    -- no guard: Finds the ticket by its primary key.
                    WHERE t.schedule_id = p_schedule_id AND t.ticket_id = c.ticket_id
                      -- guard: refund_tickets_of_this_payment
                      AND t.ticket_id = ANY (sale.ticket_ids)
                   -- no guard: Joins each id with its ticket, if any; the conditions are inside.
                   OFFSET 0) t ON true
             ORDER BY t.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place, s.version, s.price_minor FROM seats s
            -- no guard: { Finds the seat; the update below repeats owner and state.
            WHERE s.schedule_id = p_schedule_id
              AND s.seat_id = w.seat_id
              AND s.reservation_id = sale.reservation_id
              AND s.state = 'SOLD'
              FOR NO KEY UPDATE) l ON true
            -- guard: }
      LEFT JOIN LATERAL (
           SELECT x.price_minor - x.discount_minor + x.fee_minor AS paid_minor
             FROM reservations r
             -- no guard: { The prices of the payment's reservation, where offers decided them.
             JOIN reservation_offers o ON o.schedule_id = r.schedule_id AND o.reservation_id = r.reservation_id
            CROSS JOIN LATERAL unnest(r.seat_ids, o.prices_minor, o.discounts_minor, o.fees_minor)
                       x (seat_id, price_minor, discount_minor, fee_minor)
            WHERE r.schedule_id = p_schedule_id AND r.reservation_id = sale.reservation_id
              -- guard: }
              -- guard: refund_price_of_this_seat
              AND x.seat_id = w.seat_id
           -- no guard: Joins each seat with its price, if any; the conditions are inside.
           OFFSET 0) o ON true;

    SELECT w.currency INTO wallet_currency FROM wallets w
     -- no guard: The update below repeats the person, and takes the same lock.
     WHERE w.user_id = p_user_id FOR NO KEY UPDATE;

    -- Taken after the last wait: a fee may have changed at midnight meanwhile.
    decided_at := clock_timestamp();
    SELECT s.starts_at INTO starts_at FROM schedules s
     -- no guard: The schedule of the payment, by its primary key.
     WHERE s.schedule_id = p_schedule_id;
    outcome := CASE
        -- guard: refund_ticket_that_exists => WHEN false THEN 'ticket_not_found'
        WHEN array_position(seat_ids, NULL) IS NOT NULL THEN 'ticket_not_found'
        -- guard: refund_once => WHEN false THEN 'already_refunded'
        WHEN NOT all_live THEN 'already_refunded'
        -- guard: refund_nothing_that_is_disputed => WHEN false THEN 'disputed'
        WHEN EXISTS (SELECT FROM disputes d WHERE d.payment_id = p_payment_id AND d.status <> 'WON') THEN 'disputed'
        -- guard: refund_nothing_after_the_start => WHEN false THEN 'not_refundable'
        WHEN p_reason = 'buyer' AND decided_at >= starts_at THEN 'not_refundable'
        -- guard: refund_for_the_start_that_was_quoted => WHEN false THEN 'quote_changed'
        WHEN starts_at IS DISTINCT FROM p_starts_at THEN 'quote_changed'
        -- guard: refund_while_the_quote_holds => WHEN false THEN 'quote_changed'
        WHEN decided_at >= p_valid_until THEN 'quote_changed'
        -- no guard: Answers the comparison of prices above, which is a guard.
        WHEN NOT prices_agree THEN 'quote_changed'
        -- guard: refund_wallets_currency => WHEN false THEN 'currency_differs'
        WHEN (p_to_wallet OR p_compensation_minor > 0) AND wallet_currency IS DISTINCT FROM sale.currency THEN 'currency_differs'
        ELSE 'refunded' END;
    -- guard: refund_nothing_that_is_refused => IF false THEN
    IF outcome <> 'refunded' THEN
        RETURN;
    END IF;

    -- From here on the person's row has the count of seats, and no reader counts the reservations.
    PERFORM reservations_count_v1(p_schedule_id, ARRAY[p_user_id], ARRAY[0], ARRAY[sale.created_at]);
    UPDATE schedule_buyers b SET sold_seats = b.sold_seats - cardinality(p_ticket_ids)
     -- guard: refund_persons_own_count: AND b.user_id = p_user_id =>
     WHERE b.schedule_id = p_schedule_id AND b.user_id = p_user_id;

    UPDATE tickets t SET status = 'VOID'
      FROM unnest(p_ticket_ids) c (ticket_id)
     -- no guard: The tickets that were looked up, by their primary key.
     WHERE t.schedule_id = p_schedule_id AND t.ticket_id = c.ticket_id
       -- no guard: The status was compared under the person's lock; the count below notices the rest.
       AND t.status = 'VALID';
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: refund_tickets_that_were_voided_are_counted => IF false THEN
    IF changed <> cardinality(p_ticket_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'voided % tickets of %', changed, cardinality(p_ticket_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ticket_guard';
    END IF;

    returns_at := reservations_plan_return_v1(p_schedule_id, sale.reservation_id, decided_at);
    UPDATE seats s
       SET state = r.state, reservation_id = r.reservation_id, user_id = r.user_id, expires_at = r.expires_at,
           version = w.version
      FROM unnest(places, seat_versions) w (place, version),
           -- no guard: A constraint compares owner and end with the state.
           (SELECT 'AVAILABLE', NULL::uuid, NULL::uuid, NULL::timestamptz WHERE returns_at IS NULL
             UNION ALL
            -- no guard: The other half of the choice above.
            SELECT 'HELD', sale.reservation_id, p_user_id, returns_at WHERE returns_at IS NOT NULL)
           r (state, reservation_id, user_id, expires_at)
     -- no guard: { Finds the rows that are locked above; the count below notices a seat that is not the sale's.
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.reservation_id = sale.reservation_id
       AND s.version + 1 = w.version
       AND s.state = 'SOLD';
     -- guard: }
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: refund_seats_that_were_freed_are_counted => IF false THEN
    IF changed <> cardinality(p_ticket_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'freed % seats of %', changed, cardinality(p_ticket_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    UPDATE reservations r SET status = 'REFUNDED'
     -- no guard: The payment's own reservation, which is locked above.
     WHERE r.schedule_id = p_schedule_id AND r.reservation_id = sale.reservation_id
       -- guard: refund_reservation_ends_with_its_last_ticket => ;
       AND NOT EXISTS (SELECT FROM unnest(sale.ticket_ids) c (id) JOIN tickets t ON t.schedule_id = p_schedule_id AND t.ticket_id = c.id AND t.status <> 'VOID');

    PERFORM refunds_book_v1(
        p_schedule_id, p_payment_id, p_user_id, p_transfer_ids, sale.currency, p_to_wallet,
        (SELECT sum(u.minor)::bigint FROM unnest(p_refunds_minor) u (minor)),
        (SELECT sum(u.minor)::bigint FROM unnest(p_fees_minor) u (minor)),
        p_compensation_minor, decided_at);

    INSERT INTO refunds (
        user_id, refund_id, schedule_id, payment_id, job_id, decided_by, amount_minor, fee_minor,
        compensation_minor, created_at, changed_at, closed_at, status, reason, destination, currency,
        provider, payment_key, is_whole, ticket_ids, seat_ids, idempotency_key, fingerprint)
    SELECT p_user_id, p_refund_id, p_schedule_id, p_payment_id, p_job_id, p_decided_by, a.refund_minor,
           a.fee_minor, p_compensation_minor, decided_at, decided_at,
           -- no guard: A constraint compares it with the status.
           CASE a.status WHEN 'DONE' THEN decided_at END, a.status, p_reason,
           -- no guard: Names the destination of the money; a constraint refuses a provider without its key.
           CASE WHEN p_to_wallet THEN 'wallet' ELSE 'provider' END, sale.currency,
           -- no guard: The provider of the sale, or none.
           CASE WHEN sale.method <> 'wallet' THEN sale.method END, sale.provider_reference,
           cardinality(p_ticket_ids) = cardinality(sale.ticket_ids), p_ticket_ids, seat_ids, p_key,
           p_fingerprint
      FROM (SELECT r.refund_minor, f.fee_minor,
                   -- guard: refund_of_provider_is_owed_until_it_is_paid => 'DONE' AS status
                   CASE WHEN p_to_wallet OR r.refund_minor = 0 THEN 'DONE' ELSE 'PENDING' END AS status
              FROM (SELECT sum(u.minor)::bigint AS refund_minor FROM unnest(p_refunds_minor) u (minor)) r
             CROSS JOIN (SELECT sum(u.minor)::bigint AS fee_minor FROM unnest(p_fees_minor) u (minor)) f) a;

    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT 'refund', f.refund_id, f.user_id, decided_at
      FROM refunds f
     -- guard: refund_cashier_pays_what_is_owed: AND f.status = 'PENDING' =>
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id AND f.status = 'PENDING';

    INSERT INTO outbox (
        scope_id, topic, created_at, subject_ids, user_ids, reservation_ids, seat_ids, seats_to,
        amounts_minor, currency)
    SELECT p_schedule_id, 'payment.refunded', decided_at, ARRAY[f.payment_id], ARRAY[f.user_id],
           ARRAY[sale.reservation_id], f.seat_ids, ARRAY[cardinality(f.seat_ids)], ARRAY[f.amount_minor],
           f.currency
      FROM refunds f
     -- no guard: The refund that is inserted above.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id;
    PERFORM refunds_report_v1(p_user_id, p_refund_id, decided_at);
    -- Last, because holds of the schedule wait for the row that this locks.
    -- guard: refund_returns_what_offers_count => NULL;
    PERFORM offers_refund_v1(p_schedule_id, sale.reservation_id, cardinality(p_ticket_ids));
    -- guard: refund_seats_that_are_still_held_are_not_said_to_be_free => IF false THEN
    IF returns_at IS NOT NULL THEN
        seat_ids := '{}';
        seat_versions := '{}';
    END IF;
END;
$$;

-- Write the transfers of a refund. Refund: income −(R + F), refunds_due +R, fees +F. Into the wallet, in the
-- same transaction: refunds_due −R, wallet +R. Compensation: income −C, wallet +C. What is zero is not written.
CREATE OR REPLACE FUNCTION refunds_book_v1(
    p_schedule_id uuid,
    p_payment_id uuid,
    p_user_id uuid,
    p_transfer_ids uuid[],
    p_currency text,
    p_to_wallet boolean,
    p_refund_minor bigint,
    p_fee_minor bigint,
    p_compensation_minor bigint,
    p_decided_at timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    -- no guard: The same choice as that of the entries below, which the audit compares with the wallet.
    to_wallet CONSTANT bigint := p_compensation_minor + CASE WHEN p_to_wallet THEN p_refund_minor ELSE 0 END;
BEGIN
    WITH entries AS (
        SELECT e.nth, e.kind, e.leg, e.account, e.minor
          FROM (VALUES
                (1, 'refund', 1, 'income', -(p_refund_minor + p_fee_minor)),
                (1, 'refund', 2, 'refunds_due', p_refund_minor),
                (1, 'refund', 3, 'fees', p_fee_minor),
                -- no guard: { Into the wallet or owed; the audit compares both with the refunds.
                (2, 'refund_paid', 1, 'refunds_due', CASE WHEN p_to_wallet THEN -p_refund_minor ELSE 0 END),
                (2, 'refund_paid', 2, 'wallet', CASE WHEN p_to_wallet THEN p_refund_minor ELSE 0 END),
                -- guard: }
                (3, 'compensation', 1, 'income', -p_compensation_minor),
                (3, 'compensation', 2, 'wallet', p_compensation_minor)
               ) e (nth, kind, leg, account, minor)
         -- no guard: A constraint refuses entries of zero.
         WHERE e.minor <> 0
    ), transfer AS (
        INSERT INTO transfers (
            user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
        SELECT p_user_id, p_transfer_ids[e.nth], e.kind, sum(abs(e.minor)) / 2, p_currency, p_schedule_id,
               p_payment_id, p_decided_at
          FROM entries e
         GROUP BY e.nth, e.kind
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
    SELECT p_user_id, p_transfer_ids[e.nth], e.leg, e.account, p_schedule_id, e.minor, p_currency
      FROM entries e;

    UPDATE wallets w SET balance_minor = w.balance_minor + to_wallet, version = w.version + 1
     -- guard: refund_own_wallet: w.user_id = p_user_id => w.currency = p_currency
     WHERE w.user_id = p_user_id AND to_wallet > 0;
END;
$$;

-- Write the event of a refund that ended, or that waits for a person.
CREATE OR REPLACE FUNCTION refunds_report_v1(p_user_id uuid, p_refund_id uuid, p_at timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency)
    -- guard: refund_event_says_how_it_ended: 'refund.succeeded' ELSE => 'refund.failed' ELSE
    SELECT f.user_id, CASE f.status WHEN 'DONE' THEN 'refund.succeeded' ELSE 'refund.failed' END, p_at,
           ARRAY[f.refund_id], ARRAY[f.user_id], ARRAY[f.amount_minor], f.currency
      FROM refunds f
     -- guard: refund_event_when_it_ends: AND f.status <> 'PENDING' =>
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id AND f.status <> 'PENDING';
END;
$$;

-- Note that a provider is about to be asked for a refund: committed before the call is sent.
-- outcome: begun, not_pending. asked_before: whether an earlier call may have been carried out.
CREATE OR REPLACE FUNCTION refunds_begin_v1(
    p_user_id uuid,
    p_refund_id uuid,
    p_call_id uuid,
    p_retry_s double precision,
    OUT outcome text,
    OUT asked_before boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    begun_at timestamptz;
BEGIN
    SELECT f.sent_at IS NOT NULL INTO asked_before FROM refunds f
     -- guard: refund_is_sent_only_while_owed: AND f.status = 'PENDING' =>
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id AND f.status = 'PENDING' AND f.destination = 'provider'
       -- no guard: A second cashier would find the call of the first, and both send the same key.
       FOR NO KEY UPDATE;
    -- no guard: Consequence of the condition above, which is a guard.
    IF NOT FOUND THEN
        -- no guard: { Work about a refund that has ended.
        DELETE FROM cashier_work w WHERE w.kind = 'refund' AND w.subject_id = p_refund_id;
        -- guard: }
        outcome := 'not_pending';
        RETURN;
    END IF;
    begun_at := clock_timestamp();
    INSERT INTO provider_calls (
        user_id, call_id, refund_id, begun_at, provider, operation, idempotency_key)
    SELECT f.user_id, p_call_id, f.refund_id, begun_at, f.provider, 'refund', f.refund_id::text
      FROM refunds f
     -- no guard: The refund that is locked above.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id;
    UPDATE refunds f SET sent_at = coalesce(f.sent_at, begun_at), changed_at = begun_at
     -- no guard: The refund that is locked above.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id;
    INSERT INTO cashier_work AS w (kind, subject_id, user_id, due_at, tries)
    VALUES ('refund', p_refund_id, p_user_id, begun_at + make_interval(secs => p_retry_s), 1)
        -- no guard: The usual case: the work exists, and is due again if this process dies.
        ON CONFLICT ON CONSTRAINT cashier_work_pkey
        DO UPDATE SET due_at = excluded.due_at, tries = w.tries + 1;
    outcome := 'begun';
END;
$$;

-- Book what a provider said about a refund, whichever of answer, look-up, notice and statement says it first.
-- p_status: DONE (the money moved as p_transaction_key), FAILED (it never will), CAME_BACK (it had moved, and
-- p_transaction_key brought it back).
-- outcome: booked, replayed (it was booked before), refund_not_found.
CREATE OR REPLACE FUNCTION refunds_settle_v1(
    p_user_id uuid,
    p_refund_id uuid,
    p_status text,
    p_transaction_key text,
    p_happened_at timestamptz,
    p_failure text,
    p_transfer_id uuid,
    OUT outcome text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    refund record;
    settled_at timestamptz;
    -- no guard: The direction of the money: out of the cash account or back into it.
    direction CONSTANT bigint := CASE p_status WHEN 'DONE' THEN 1 WHEN 'CAME_BACK' THEN -1 ELSE 0 END;
    -- guard: settle_what_comes_back_had_moved: 'DONE' ELSE => 'PENDING' ELSE
    expected CONSTANT text := CASE p_status WHEN 'CAME_BACK' THEN 'DONE' ELSE 'PENDING' END;
BEGIN
    SELECT f.* INTO refund FROM refunds f
     -- guard: settle_refund_by_id: AND f.refund_id = p_refund_id => AND f.status = 'PENDING'
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id
       -- guard: settle_refund_is_locked => ;
       FOR NO KEY UPDATE;
    -- guard: settle_refund_that_exists => IF false THEN
    IF NOT FOUND THEN
        outcome := 'refund_not_found';
        RETURN;
    END IF;
    settled_at := clock_timestamp();
    -- guard: settle_refund_once => IF false THEN
    IF refund.status <> expected THEN
        outcome := 'replayed';
        RETURN;
    END IF;

    -- no guard: Saves two statements without a movement.
    IF direction <> 0 THEN
        WITH transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, provider,
                created_at)
            -- no guard: Names the transfer by its direction; the audit compares the entries.
            VALUES (p_user_id, p_transfer_id, CASE direction WHEN 1 THEN 'refund_paid' ELSE 'refund_failed' END,
                    refund.amount_minor, refund.currency, refund.schedule_id, refund.payment_id,
                    refund.provider, settled_at)
        )
        INSERT INTO ledger_entries (
            user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
        SELECT p_user_id, p_transfer_id, l.leg, l.account, refund.schedule_id,
               l.sign * direction * refund.amount_minor, refund.currency
          FROM (VALUES (1, 'refunds_due', -1), (2, 'cash', 1)) l (leg, account, sign);
        INSERT INTO provider_transactions (
            provider, transaction_key, user_id, transfer_id, amount_minor, happened_at, booked_at, kind,
            currency)
        VALUES (refund.provider, p_transaction_key, p_user_id, p_transfer_id, refund.amount_minor,
                coalesce(p_happened_at, settled_at), settled_at,
                -- no guard: Names the movement by its direction; the audit compares the entries.
                CASE direction WHEN 1 THEN 'refund' ELSE 'refund_failed' END, refund.currency);
    END IF;

    UPDATE refunds f
       -- guard: settle_what_failed_waits_for_a_person: ELSE 'MANUAL' => ELSE 'DONE'
       SET status = CASE p_status WHEN 'DONE' THEN 'DONE' ELSE 'MANUAL' END, changed_at = settled_at,
           -- no guard: A constraint compares it with the status.
           closed_at = CASE p_status WHEN 'DONE' THEN settled_at END, failure = p_failure,
           transaction_key = coalesce(p_transaction_key, f.transaction_key)
     -- no guard: The refund that is locked above.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id;
    PERFORM refunds_close_v1(p_user_id, p_refund_id, settled_at);
    outcome := 'booked';
END;
$$;

-- End a refund that waits for a person: as wallet credit, or paid outside the provider.
-- outcome: resolved, replayed, refund_not_found, not_manual, currency_differs.
CREATE OR REPLACE FUNCTION refunds_resolve_v1(
    p_user_id uuid, p_refund_id uuid, p_to_wallet boolean, p_transfer_id uuid, OUT outcome text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    refund record;
    wallet_currency text;
    resolved_at timestamptz;
BEGIN
    SELECT w.currency INTO wallet_currency FROM wallets w
     -- no guard: The update below repeats the person, and takes the same lock.
     WHERE w.user_id = p_user_id FOR NO KEY UPDATE;
    SELECT f.* INTO refund FROM refunds f
     -- guard: resolve_refund_by_id: AND f.refund_id = p_refund_id => AND f.status = 'MANUAL'
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id
       -- no guard: The lock of the wallet excludes a second resolution; this one excludes a settlement.
       FOR NO KEY UPDATE;
    resolved_at := clock_timestamp();
    outcome := CASE
        -- guard: resolve_refund_that_exists => WHEN false THEN 'refund_not_found'
        WHEN refund.refund_id IS NULL THEN 'refund_not_found'
        -- guard: resolve_repetition_is_replayed => WHEN false THEN 'replayed'
        WHEN refund.status = 'DONE' AND p_to_wallet = (refund.destination = 'wallet') AND refund.failure IS NOT NULL THEN 'replayed'
        -- guard: resolve_only_what_waits => WHEN false THEN 'not_manual'
        WHEN refund.status <> 'MANUAL' THEN 'not_manual'
        -- guard: resolve_wallets_currency => WHEN false THEN 'currency_differs'
        WHEN p_to_wallet AND wallet_currency IS DISTINCT FROM refund.currency THEN 'currency_differs'
        ELSE 'resolved' END;
    -- no guard: Consequence of the conditions above, which are guards.
    IF outcome <> 'resolved' THEN
        RETURN;
    END IF;

    WITH transfer AS (
        INSERT INTO transfers (
            user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
        VALUES (p_user_id, p_transfer_id, 'refund_paid', refund.amount_minor, refund.currency,
                refund.schedule_id, refund.payment_id, resolved_at)
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
    SELECT p_user_id, p_transfer_id, l.leg, l.account, refund.schedule_id, l.sign * refund.amount_minor,
           refund.currency
      FROM (VALUES (1, 'refunds_due', -1),
                   -- no guard: Into the wallet or paid outside; the audit compares the wallet.
                   (2, CASE WHEN p_to_wallet THEN 'wallet' ELSE 'cash' END, 1)) l (leg, account, sign);
    UPDATE wallets w
       SET balance_minor = w.balance_minor + refund.amount_minor, version = w.version + 1
     -- guard: resolve_own_wallet: w.user_id = p_user_id => w.currency = refund.currency
     WHERE w.user_id = p_user_id AND p_to_wallet;
    UPDATE refunds f
       -- no guard: Says where the money went.
       SET destination = CASE WHEN p_to_wallet THEN 'wallet' ELSE f.destination END, status = 'DONE',
           changed_at = resolved_at, closed_at = resolved_at
     -- no guard: The refund that is locked above.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id;
    PERFORM refunds_close_v1(p_user_id, p_refund_id, resolved_at);
END;
$$;

-- After a change of status: drop the cashier's work, end the intent whose money was returned, tell.
CREATE OR REPLACE FUNCTION refunds_close_v1(p_user_id uuid, p_refund_id uuid, p_at timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cashier_work w
     -- guard: close_only_this_refunds_work: AND w.subject_id = p_refund_id =>
     WHERE w.kind = 'refund' AND w.subject_id = p_refund_id;
    UPDATE payment_intents i SET status = 'RETURNED', changed_at = p_at, closed_at = p_at
      FROM refunds f
     -- no guard: The refund that is locked by the caller.
     WHERE f.user_id = p_user_id AND f.refund_id = p_refund_id
       -- guard: close_intent_whose_money_is_back
       AND f.status = 'DONE'
       -- no guard: { The intent of this refund, if it is one of late money.
       AND i.user_id = f.user_id AND i.intent_id = f.intent_id
       AND i.status = 'RETURNING';
     -- guard: }
    PERFORM refunds_report_v1(p_user_id, p_refund_id, p_at);
END;
$$;
