-- Decisions about disputes, one per call. Lock order and conventions as in `reservations/functions.sql`; a
-- dispute's own row is locked last.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Book a dispute as it stands: the movements that are not booked yet, and its status. Funds withdrawn:
-- disputes −D, cash +D. Reinstated: disputes +D, cash −D. Lost, what is withdrawn: disputes +D, income −D (of a
-- top-up: fees −D). Idempotent, in any order of movements and status; a dispute that has ended stays so.
-- p_transfer_ids: one per movement, and one for the end.
-- outcome: booked, replayed (nothing new), payment_not_found.
CREATE OR REPLACE FUNCTION disputes_settle_v1(
    p_provider text,
    p_dispute_key text,
    p_dispute_id uuid,
    p_payment_key text,
    p_status text,
    p_amount_minor bigint,
    p_currency text,
    p_reason text,
    p_movement_keys text[],
    p_movement_kinds text[],
    p_movements_minor bigint[],
    p_happened_at timestamptz[],
    p_transfer_ids uuid[],
    p_entered_by uuid,
    OUT outcome text,
    OUT dispute_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    payer record;
    dispute record;
    settled_at timestamptz;
    held_minor bigint;
    direction bigint;
    new_status text;
BEGIN
    outcome := 'replayed';
    SELECT i.user_id, i.schedule_id, i.payment_id INTO payer
      FROM payment_intents i
     -- guard: dispute_of_this_payment: AND i.payment_key = p_payment_key =>
     WHERE i.provider = p_provider AND i.payment_key = p_payment_key
     ORDER BY i.created_at
     -- no guard: A provider's key names one payment.
     LIMIT 1;
    -- guard: dispute_of_a_payment_that_exists => IF false THEN
    IF NOT FOUND THEN
        outcome := 'payment_not_found';
        RETURN;
    END IF;
    -- A refund of a disputed payment would pay twice: both take the person's lock.
    -- guard: dispute_persons_lock_of_refunds => NULL;
    PERFORM pg_advisory_xact_lock(uuid_hash_extended(payer.user_id, uuid_hash_extended(payer.schedule_id, 0)));

    INSERT INTO disputes (
        provider, dispute_key, dispute_id, user_id, schedule_id, payment_id, entered_by, amount_minor,
        opened_at, changed_at, currency, payment_key, reason)
    SELECT p_provider, p_dispute_key, p_dispute_id, payer.user_id,
           -- no guard: { A payment and its schedule are named together.
           CASE WHEN payer.payment_id IS NOT NULL THEN payer.schedule_id END,
           -- guard: }
           payer.payment_id, p_entered_by, p_amount_minor, clock_timestamp(), clock_timestamp(), p_currency,
           p_payment_key, p_reason
        -- guard: dispute_is_opened_once => ;
        ON CONFLICT ON CONSTRAINT disputes_pkey DO NOTHING;
    SELECT d.* INTO dispute FROM disputes d
     -- no guard: The dispute that exists by now, by its primary key.
     WHERE d.provider = p_provider AND d.dispute_key = p_dispute_key
       -- no guard: The person's lock excludes others; a top-up has no schedule and needs this one.
       FOR NO KEY UPDATE;
    settled_at := clock_timestamp();
    dispute_id := dispute.dispute_id;
    -- no guard: A dispute that this call has opened has its id.
    IF dispute.dispute_id = p_dispute_id THEN
        outcome := 'booked';
        PERFORM disputes_report_v1(dispute.dispute_id, 'dispute.opened', settled_at);
    END IF;

    held_minor := dispute.withdrawn_minor;
    FOR i IN 1..cardinality(p_movement_keys) LOOP
        -- no guard: The direction of the money: away from us or back.
        direction := CASE p_movement_kinds[i] WHEN 'dispute' THEN 1 ELSE -1 END;
        -- no guard: Head of the condition below, which is a guard.
        CONTINUE WHEN EXISTS (
            SELECT FROM provider_transactions x
             -- guard: dispute_movement_is_booked_once: AND x.transaction_key = p_movement_keys[i] => AND false
             WHERE x.provider = p_provider AND x.transaction_key = p_movement_keys[i]);
        -- guard: dispute_nothing_beyond_its_end {
        CONTINUE WHEN held_minor + direction * p_movements_minor[i] NOT BETWEEN 0 AND dispute.amount_minor
                   OR dispute.status <> 'OPEN' AND direction = 1;
        -- guard: }
        WITH transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, provider,
                created_at)
            VALUES (dispute.user_id, p_transfer_ids[i], p_movement_kinds[i], p_movements_minor[i],
                    dispute.currency, dispute.schedule_id, dispute.payment_id, p_provider, settled_at)
        )
        INSERT INTO ledger_entries (
            user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
        SELECT dispute.user_id, p_transfer_ids[i], l.leg, l.account, dispute.schedule_id,
               l.sign * direction * p_movements_minor[i], dispute.currency
          FROM (VALUES (1, 'disputes', -1), (2, 'cash', 1)) l (leg, account, sign);
        INSERT INTO provider_transactions (
            provider, transaction_key, user_id, transfer_id, amount_minor, happened_at, booked_at, kind,
            currency)
        VALUES (p_provider, p_movement_keys[i], dispute.user_id, p_transfer_ids[i], p_movements_minor[i],
                p_happened_at[i], settled_at, p_movement_kinds[i], dispute.currency);
        held_minor := held_minor + direction * p_movements_minor[i];
        outcome := 'booked';
    END LOOP;

    -- guard: dispute_that_ended_stays_so => new_status := p_status;
    new_status := CASE dispute.status WHEN 'OPEN' THEN p_status ELSE dispute.status END;
    -- guard: dispute_lost_money_is_lost => IF false THEN
    IF new_status = 'LOST' AND held_minor > 0 THEN
        WITH transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
            VALUES (dispute.user_id, p_transfer_ids[cardinality(p_movement_keys) + 1], 'dispute_lost',
                    held_minor, dispute.currency, dispute.schedule_id, dispute.payment_id, settled_at)
        )
        INSERT INTO ledger_entries (
            user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
        SELECT dispute.user_id, p_transfer_ids[cardinality(p_movement_keys) + 1], l.leg, l.account,
               dispute.schedule_id, l.sign * held_minor, dispute.currency
          FROM (VALUES (1, 'disputes', 1),
                       -- no guard: A top-up has earned nothing; the audit compares the accounts.
                       (2, CASE WHEN dispute.payment_id IS NULL THEN 'fees' ELSE 'income' END, -1)
               ) l (leg, account, sign);
        held_minor := 0;
        outcome := 'booked';
    END IF;
    UPDATE disputes d
       SET withdrawn_minor = held_minor, status = new_status, changed_at = settled_at,
           -- no guard: A constraint compares it with the status.
           closed_at = CASE WHEN new_status <> 'OPEN' THEN coalesce(d.closed_at, settled_at) END
     -- no guard: The dispute that is locked above.
     WHERE d.provider = p_provider AND d.dispute_key = p_dispute_key;
    -- guard: dispute_end_is_told_once => IF new_status <> 'OPEN' THEN
    IF new_status <> dispute.status THEN
        outcome := 'booked';
        PERFORM disputes_report_v1(dispute.dispute_id, 'dispute.closed', settled_at);
    END IF;
END;
$$;

-- Write an event of a dispute.
CREATE OR REPLACE FUNCTION disputes_report_v1(p_dispute_id uuid, p_topic text, p_at timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency)
    SELECT d.user_id, p_topic, p_at, ARRAY[d.dispute_id], ARRAY[d.user_id], ARRAY[d.amount_minor], d.currency
      FROM disputes d
     -- guard: report_this_dispute => ;
     WHERE d.dispute_id = p_dispute_id;
END;
$$;

-- Return how many tickets of a payment are valid; none for a top-up.
CREATE OR REPLACE FUNCTION disputes_valid_tickets_v1(p_schedule_id uuid, p_payment_id uuid)
RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT count(*)::integer
      FROM tickets t
     -- guard: dispute_counts_tickets_of_its_payment: AND t.payment_id = p_payment_id =>
     -- guard: dispute_counts_no_void_tickets: AND t.status = 'VALID' =>
     WHERE t.schedule_id = p_schedule_id AND t.payment_id = p_payment_id AND t.status = 'VALID'
$$;
