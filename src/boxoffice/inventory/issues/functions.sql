-- Tickets that an organizer issues without a hold, one issue per call. Lock order, look-ups by key and changes
-- by ctid as in `reservations/functions.sql`; the person is the concert's house account.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- The house account of a concert, made on first use. p_user_id: of a new one. Its password is unknown.
CREATE OR REPLACE FUNCTION issues_house_v1(p_concert_id uuid, p_user_id uuid, p_currency text)
RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO house_accounts (concert_id, user_id) VALUES (p_concert_id, p_user_id)
        -- guard: house_account_is_one_per_concert => ;
        ON CONFLICT ON CONSTRAINT house_accounts_pkey DO NOTHING;
    -- no guard: Without it an account without a concert is inserted at each use.
    IF FOUND THEN
        INSERT INTO users (user_id, email, name, password_hash)
        SELECT p_user_id, 'house-' || p_user_id || '@house.invalid', 'Box office',
               '$argon2id$v=19$m=19456,t=2,p=1$'
               || rtrim(encode(uuid_send(gen_random_uuid()), 'base64'), '=') || '$'
               || rtrim(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '=');
        INSERT INTO wallets (user_id, currency) VALUES (p_user_id, p_currency);
    END IF;
    RETURN (SELECT h.user_id FROM house_accounts h
             -- guard: house_account_of_this_concert: h.concert_id = p_concert_id => true ORDER BY 1 LIMIT 1
             WHERE h.concert_id = p_concert_id);
END;
$$;

-- Issue tickets for seats that are free or blocked as house seats. p_method: 'cash' or 'card_terminal', null
-- for complimentary tickets; p_expected_minor: the price that was shown, null for complimentary tickets.
-- outcome: issued, replayed, key_reused, not_on_sale (a draft, or a cancelled performance), seat_not_found,
-- seat_taken, price_changed. amount_minor: the price. seat_versions: the new ones, in order.
-- in_the_way: seats that are unknown or taken. reservation_id: of the issue, also of a replayed one.
CREATE OR REPLACE FUNCTION issues_issue_v1(
    p_schedule_id uuid,
    p_user_id uuid,
    p_reservation_id uuid,
    p_payment_id uuid,
    p_transfer_id uuid,
    p_method text,
    p_reference text,
    p_expected_minor bigint,
    p_ticket_ids uuid[],
    p_seat_ids text[],
    p_issued_by uuid,
    p_name text,
    p_email text,
    p_language text,
    p_reason text,
    p_note text,
    p_list_name text,
    p_key text,
    p_fingerprint bytea,
    OUT outcome text,
    OUT reservation_id uuid,
    OUT amount_minor bigint,
    OUT seat_versions bigint[],
    OUT in_the_way text[]
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
    schedule record;
    places tid[];
    states text[];
    ends_at timestamptz[];
    prices_minor bigint[];
    account text;
    changed bigint;
BEGIN
    -- The same lock as a hold: two requests with one key are decided one after the other.
    -- guard: issue_person_is_locked => NULL;
    PERFORM pg_advisory_xact_lock(uuid_hash_extended(p_user_id, uuid_hash_extended(p_schedule_id, 0)));

    -- guard: issue_fingerprint_is_compared => SELECT 'replayed', r.reservation_id, r.amount_minor
    SELECT CASE WHEN r.fingerprint = p_fingerprint THEN 'replayed' ELSE 'key_reused' END, r.reservation_id, r.amount_minor
      INTO outcome, reservation_id, amount_minor
      FROM reservations r
     -- guard: issue_key_is_compared: AND r.idempotency_key = p_key =>
     WHERE r.user_id = p_user_id AND r.schedule_id = p_schedule_id AND r.idempotency_key = p_key;
    -- guard: issue_repetition_is_replayed => IF false THEN
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT array_agg(l.place ORDER BY w.at), array_agg(l.state ORDER BY w.at),
           array_agg(l.expires_at ORDER BY w.at), array_agg(l.version ORDER BY w.at),
           array_agg(l.price_minor ORDER BY w.at)
      INTO places, states, ends_at, seat_versions, prices_minor
      FROM (SELECT u.seat_id, u.at
              FROM unnest(p_seat_ids) WITH ORDINALITY u (seat_id, at)
             -- no guard: The order of locks of `inventory_change_v1`, whose guard a test removes.
             ORDER BY u.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place, s.expires_at, s.version, s.price_minor,
                  -- guard: issue_only_house_seats_of_blocked_ones: b.reason = 'house' => true
                  CASE WHEN s.state = 'BLOCKED' AND b.reason = 'house' THEN 'AVAILABLE' ELSE s.state END AS state
             FROM seats s
             LEFT JOIN seat_blocks b
               -- no guard: The reason of this seat, by its primary key.
               ON b.schedule_id = s.schedule_id AND b.seat_id = s.seat_id
            -- guard: issue_seats_of_this_schedule: s.schedule_id = p_schedule_id => true
            -- guard: issue_only_named_seats: AND s.seat_id = w.seat_id =>
            WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
              -- guard: issue_seats_are_locked => ) l ON true;
              FOR NO KEY UPDATE OF s) l ON true;

    -- Taken after the last wait.
    decided_at := clock_timestamp();
    SELECT s.status, s.currency, s.hold_ttl_s INTO schedule FROM schedules s
     -- no guard: The schedule of the caller, by its primary key.
     WHERE s.schedule_id = p_schedule_id;
    SELECT array_agg(c.seat_id ORDER BY c.at) INTO in_the_way
      FROM unnest(p_seat_ids, states, ends_at) WITH ORDINALITY c (seat_id, state, expires_at, at)
     -- guard: issue_taken_seat_is_refused: c.state <> 'AVAILABLE' => false
     WHERE c.state IS NULL OR (c.state <> 'AVAILABLE'
           -- guard: issue_lapsed_hold_is_free { => )
           -- guard: issue_hold_lapses_at_its_end: AND c.expires_at <= decided_at =>
           AND (c.state = 'HELD' AND c.expires_at <= decided_at) IS NOT TRUE);
           -- guard: }
    amount_minor := (SELECT sum(p.minor) FROM unnest(prices_minor) p (minor));
    outcome := CASE
        -- guard: issue_nothing_of_a_draft => WHEN false THEN 'not_on_sale'
        WHEN schedule.status NOT IN ('OPEN', 'CLOSED') THEN 'not_on_sale'
        -- guard: issue_no_unknown_seat => WHEN false THEN 'seat_not_found'
        WHEN array_position(states, NULL) IS NOT NULL THEN 'seat_not_found'
        -- guard: issue_no_taken_seat => WHEN false THEN 'seat_taken'
        WHEN in_the_way IS NOT NULL THEN 'seat_taken'
        -- guard: issue_for_the_price_that_was_shown => WHEN false THEN 'price_changed'
        WHEN p_expected_minor <> amount_minor THEN 'price_changed'
        ELSE 'issued' END;
    -- guard: issue_nothing_that_is_refused => IF false THEN
    IF outcome <> 'issued' THEN
        RETURN;
    END IF;
    -- guard: issue_complimentary_tickets_cost_nothing => IF false THEN
    IF p_method IS NULL THEN
        amount_minor := 0;
    END IF;
    -- Three versions as for a hold and its payment, and one more for the unwritten end of a lapsed hold.
    -- guard: issue_counts_the_end_of_a_lapsed_hold: WHEN 'HELD' THEN 4 => WHEN 'HELD' THEN 3
    SELECT array_agg(v.version + CASE v.state WHEN 'HELD' THEN 4 ELSE 3 END ORDER BY v.at)
      INTO seat_versions
      FROM unnest(seat_versions, states) WITH ORDINALITY v (version, state, at);
    reservation_id := p_reservation_id;

    INSERT INTO reservations (
        schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, status, currency, seat_ids,
        idempotency_key, fingerprint, closed_at)
    VALUES (p_schedule_id, p_reservation_id, p_user_id, decided_at,
            decided_at + make_interval(secs => schedule.hold_ttl_s), amount_minor, 'CONFIRMED',
            schedule.currency, p_seat_ids, p_key, p_fingerprint, decided_at);
    INSERT INTO ticket_issues (
        schedule_id, reservation_id, issued_at, issued_by, kind, name, email, language, reason, note,
        list_name, ticket_ids)
    VALUES (p_schedule_id, p_reservation_id, decided_at, p_issued_by,
            -- no guard: A constraint and the audit compare the kind with the payment.
            CASE WHEN p_method IS NULL THEN 'COMPLIMENTARY' ELSE 'BOX_OFFICE' END,
            p_name, p_email, p_language, p_reason, p_note, p_list_name, p_ticket_ids);
    INSERT INTO tickets (
        schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
    SELECT p_schedule_id, t.ticket_id, p_reservation_id, p_payment_id, p_user_id, t.seat_id, t.at, decided_at
      FROM unnest(p_ticket_ids, p_seat_ids) WITH ORDINALITY t (ticket_id, seat_id, at);

    UPDATE seats s
       SET state = 'SOLD', reservation_id = p_reservation_id, user_id = p_user_id, expires_at = NULL,
           version = w.version
      FROM unnest(places, seat_versions) w (place, version)
     -- no guard: Finds the rows that are locked above; the count below notices another one.
     WHERE s.ctid = w.place AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id;
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: issue_seats_that_were_changed_are_counted => IF false THEN
    IF changed <> cardinality(p_seat_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'issued % seats of %', changed, cardinality(p_seat_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;
    DELETE FROM seat_blocks b
     -- guard: issue_ends_only_its_blocks: AND b.seat_id = ANY (p_seat_ids) =>
     WHERE b.schedule_id = p_schedule_id AND b.seat_id = ANY (p_seat_ids);
    UPDATE schedule_buyers b SET sold_seats = b.sold_seats + cardinality(p_seat_ids)
     -- guard: issue_counts_its_tickets: b.user_id = p_user_id => false
     WHERE b.schedule_id = p_schedule_id AND b.user_id = p_user_id;

    -- guard: issue_sale_is_in_the_books => IF false THEN
    IF p_method IS NOT NULL THEN
        -- no guard: Names the account; the audit compares it with the method.
        account := CASE p_method WHEN 'cash' THEN 'till' ELSE 'terminal' END;
        INSERT INTO payments (
            schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
            provider_reference, currency, idempotency_key, fingerprint, ticket_ids)
        VALUES (p_schedule_id, p_payment_id, p_reservation_id, p_user_id, amount_minor, decided_at, p_method,
                p_reference, schedule.currency, p_key, p_fingerprint, p_ticket_ids);
        PERFORM issues_book_v1(
            p_schedule_id, p_payment_id, p_user_id, p_transfer_id, 'payment', account, 'income', amount_minor,
            schedule.currency, decided_at);
        INSERT INTO outbox (
            scope_id, topic, created_at, subject_ids, user_ids, reservation_ids, seat_ids, seats_to,
            amounts_minor, currency)
        VALUES (p_schedule_id, 'payment.succeeded', decided_at, ARRAY[p_payment_id], ARRAY[p_user_id],
                ARRAY[p_reservation_id], p_seat_ids, ARRAY[cardinality(p_seat_ids)], ARRAY[amount_minor],
                schedule.currency);
    END IF;
    INSERT INTO outbox (
        scope_id, topic, created_at, subject_ids, user_ids, seat_ids, seats_to, amounts_minor, currency)
    VALUES (p_schedule_id, 'reservation.confirmed', decided_at, ARRAY[p_reservation_id], ARRAY[p_user_id],
            p_seat_ids, ARRAY[cardinality(p_seat_ids)], ARRAY[amount_minor], schedule.currency);
    -- guard: issue_is_mailed_to_its_guest => IF false THEN
    IF p_email IS NOT NULL THEN
        PERFORM notifications_queue_guest_v1(p_user_id, p_schedule_id, p_reservation_id);
    END IF;
END;
$$;

-- Write a transfer from one account into another; none of zero.
CREATE OR REPLACE FUNCTION issues_book_v1(
    p_schedule_id uuid,
    p_payment_id uuid,
    p_user_id uuid,
    p_transfer_id uuid,
    p_kind text,
    p_from text,
    p_to text,
    p_amount_minor bigint,
    p_currency text,
    p_at timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- no guard: A constraint refuses a transfer of zero.
    IF p_amount_minor > 0 THEN
        WITH transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
            VALUES (p_user_id, p_transfer_id, p_kind, p_amount_minor, p_currency, p_schedule_id,
                    p_payment_id, p_at)
        )
        INSERT INTO ledger_entries (
            user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
        VALUES (p_user_id, p_transfer_id, 1, p_from, p_schedule_id, -p_amount_minor, p_currency),
               (p_user_id, p_transfer_id, 2, p_to, p_schedule_id, p_amount_minor, p_currency);
    END IF;
END;
$$;

-- Make all tickets of an issue void, put the seats back on sale, and return the money of a sale in the method
-- in which it was paid. p_transfer_ids: of the refund and of its payout.
-- outcome: voided, replayed (it was void before), issue_not_found. seat_versions: the new ones of seat_ids.
CREATE OR REPLACE FUNCTION issues_void_v1(
    p_schedule_id uuid,
    p_user_id uuid,
    p_reservation_id uuid,
    p_refund_id uuid,
    p_transfer_ids uuid[],
    p_voided_by uuid,
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
    issue record;
    sale record;
    places tid[];
    changed bigint;
BEGIN
    -- guard: void_person_is_locked => NULL;
    PERFORM pg_advisory_xact_lock(uuid_hash_extended(p_user_id, uuid_hash_extended(p_schedule_id, 0)));
    SELECT i.voided_at, i.ticket_ids, r.seat_ids, r.created_at INTO issue
      FROM ticket_issues i
      -- no guard: The reservation of the issue, by its primary key.
      JOIN reservations r ON r.schedule_id = i.schedule_id AND r.reservation_id = i.reservation_id
     -- guard: void_issue_by_id: AND i.reservation_id = p_reservation_id => AND p_reservation_id IS NOT NULL
     WHERE i.schedule_id = p_schedule_id AND i.reservation_id = p_reservation_id
       -- no guard: The person's lock excludes another voidance; this orders the archive.
       FOR NO KEY UPDATE OF r;
    outcome := CASE
        -- guard: void_issue_that_exists => WHEN false THEN 'issue_not_found'
        WHEN issue.ticket_ids IS NULL THEN 'issue_not_found'
        -- guard: void_once => WHEN false THEN 'replayed'
        WHEN issue.voided_at IS NOT NULL THEN 'replayed'
        ELSE 'voided' END;
    -- no guard: Consequence of the conditions above, which are guards.
    IF outcome <> 'voided' THEN
        RETURN;
    END IF;

    seat_ids := issue.seat_ids;
    SELECT array_agg(l.place ORDER BY w.at), array_agg(l.version + 1 ORDER BY w.at)
      INTO places, seat_versions
      FROM (SELECT u.seat_id, u.at FROM unnest(seat_ids) WITH ORDINALITY u (seat_id, at)
             -- no guard: The order of locks of `inventory_change_v1`, whose guard a test removes.
             ORDER BY u.seat_id) w
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place, s.version FROM seats s
            -- no guard: { The seats of the issue, by their primary key; the count below notices another owner.
            WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
              AND s.reservation_id = p_reservation_id AND s.state = 'SOLD'
              FOR NO KEY UPDATE) l;
            -- guard: }
    decided_at := clock_timestamp();

    -- From here on the house account's row has the count of seats, as for refunds.
    PERFORM reservations_count_v1(p_schedule_id, ARRAY[p_user_id], ARRAY[0], ARRAY[issue.created_at]);
    UPDATE schedule_buyers b SET sold_seats = b.sold_seats - cardinality(issue.ticket_ids)
     -- guard: void_counts_its_tickets: AND b.user_id = p_user_id => AND false
     WHERE b.schedule_id = p_schedule_id AND b.user_id = p_user_id;
    UPDATE ticket_issues i SET voided_at = decided_at, voided_by = p_voided_by
     -- no guard: The issue that was read under the person's lock.
     WHERE i.schedule_id = p_schedule_id AND i.reservation_id = p_reservation_id;
    UPDATE tickets t SET status = 'VOID'
     -- guard: void_only_its_tickets: AND t.ticket_id = ANY (issue.ticket_ids) =>
     WHERE t.schedule_id = p_schedule_id AND t.ticket_id = ANY (issue.ticket_ids);
    UPDATE reservations r SET status = 'REFUNDED'
     -- no guard: The reservation that is locked above.
     WHERE r.schedule_id = p_schedule_id AND r.reservation_id = p_reservation_id;
    UPDATE seats s
       SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL, version = w.version
      FROM unnest(places, seat_versions) w (place, version)
     -- no guard: Finds the rows that are locked above.
     WHERE s.ctid = w.place AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id;
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: void_seats_that_were_freed_are_counted => IF false THEN
    IF changed <> cardinality(issue.ticket_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'freed % seats of %', changed, cardinality(issue.ticket_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    SELECT p.payment_id, p.amount_minor, p.currency,
           -- no guard: The account of the method, as at the sale.
           CASE p.method WHEN 'cash' THEN 'till' ELSE 'terminal' END AS account
      INTO sale
      FROM payments p
     -- no guard: The payment of the reservation, by its unique key.
     WHERE p.schedule_id = p_schedule_id AND p.reservation_id = p_reservation_id;
    -- guard: void_returns_the_money_of_a_sale => IF false THEN
    IF FOUND THEN
        PERFORM issues_book_v1(
            p_schedule_id, sale.payment_id, p_user_id, p_transfer_ids[1], 'refund', 'income', 'refunds_due',
            sale.amount_minor, sale.currency, decided_at);
        PERFORM issues_book_v1(
            p_schedule_id, sale.payment_id, p_user_id, p_transfer_ids[2], 'refund_paid', 'refunds_due',
            sale.account, sale.amount_minor, sale.currency, decided_at);
        INSERT INTO refunds (
            user_id, refund_id, schedule_id, payment_id, decided_by, amount_minor, created_at, changed_at,
            closed_at, status, reason, destination, currency, is_whole, ticket_ids, seat_ids,
            idempotency_key, fingerprint)
        VALUES (p_user_id, p_refund_id, p_schedule_id, sale.payment_id, p_voided_by, sale.amount_minor,
                decided_at, decided_at, decided_at, 'DONE', 'organizer', sale.account, sale.currency, true,
                issue.ticket_ids, seat_ids, 'void:' || p_reservation_id, '');
        INSERT INTO outbox (
            scope_id, topic, created_at, subject_ids, user_ids, reservation_ids, seat_ids, seats_to,
            amounts_minor, currency)
        VALUES (p_schedule_id, 'payment.refunded', decided_at, ARRAY[sale.payment_id], ARRAY[p_user_id],
                ARRAY[p_reservation_id], seat_ids, ARRAY[cardinality(seat_ids)], ARRAY[sale.amount_minor],
                sale.currency);
        PERFORM refunds_report_v1(p_user_id, p_refund_id, decided_at);
    END IF;
END;
$$;
