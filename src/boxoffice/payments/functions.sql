-- The decisions of the payments room; see the reservations room for the conventions of a batch, for the
-- order in which rows are locked, and for why rows are looked up one by one and changed by their place.

-- Pay reservations of one schedule. Per command: who pays which reservation under which key. A method
-- other than 'wallet' was captured by an outside provider already, and p_captured_minor says how much.
-- outcome: paid, replayed, key_reused, reservation_not_found, already_paid, hold_expired, not_held,
-- insufficient_balance, currency_differs, captured_differs.
-- seat_versions: where it is paid just now, what each seat's version is now.
CREATE OR REPLACE FUNCTION payments_pay_v2(
    p_schedule_id uuid,
    p_payment_ids uuid[],
    p_transfer_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    p_methods text[],
    p_provider_references text[],
    p_captured_minor bigint[],
    p_keys text[],
    p_fingerprints bytea[]
) RETURNS TABLE (
    ord integer, outcome text, payment_id uuid, reservation_id uuid, amount_minor bigint, currency text,
    method text, created_at timestamptz, ticket_ids uuid[], seat_ids text[], seat_versions bigint[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    commands CONSTANT integer := cardinality(p_payment_ids);
    outcomes text[] := array_fill(NULL::text, ARRAY[commands]);
    payments_made uuid[] := array_fill(NULL::uuid, ARRAY[commands]);
    paid_now uuid[] := '{}';
    winners integer[] := '{}';
    balances jsonb;
    held jsonb;
    seat_places tid[];
    seat_reservations uuid[];
    reservation_places tid[] := '{}';
    command record;
    balance bigint;
    verdict text;
    decided_at timestamptz;
    expected bigint;
    changed bigint;
BEGIN
    -- The lock of a hold: else a hold that is decided while this payment is open, and after the paid
    -- hold's time, would not count its seats against the ticket limit.
    PERFORM pg_advisory_xact_lock(person.lock)
       FROM (SELECT DISTINCT uuid_hash_extended(u.id, uuid_hash_extended(p_schedule_id, 0)) AS lock
               FROM unnest(p_user_ids) u (id)
              ORDER BY lock) person;

    PERFORM 1
       FROM (SELECT DISTINCT c.id FROM unnest(p_reservation_ids) c (id) ORDER BY c.id) c
      CROSS JOIN LATERAL (
            SELECT FROM reservations r
             WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
               FOR NO KEY UPDATE) l;

    -- Seats that are still these reservations' own; whoever takes over a lapsed hold is waited for.
    SELECT array_agg(l.place), array_agg(w.reservation_id) INTO seat_places, seat_reservations
      FROM (SELECT c.id AS reservation_id, t.seat_id
              FROM (SELECT DISTINCT c.id FROM unnest(p_reservation_ids) c (id)) c
             CROSS JOIN LATERAL (
                   SELECT r.seat_ids FROM reservations r
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
                   OFFSET 0) r
             CROSS JOIN LATERAL unnest(r.seat_ids) t (seat_id)
             ORDER BY t.seat_id) w
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place
             FROM seats s
            WHERE s.schedule_id = p_schedule_id
              AND s.seat_id = w.seat_id
              AND s.reservation_id = w.reservation_id
              AND s.state = 'HELD'
              FOR NO KEY UPDATE) l;
    SELECT coalesce(jsonb_object_agg(h.reservation_id, h.seats), '{}') INTO held
      FROM (SELECT w.reservation_id, count(*) AS seats
              FROM unnest(seat_reservations) w (reservation_id)
             GROUP BY w.reservation_id) h;

    SELECT coalesce(jsonb_object_agg(l.user_id, l.balance_minor), '{}') INTO balances
      FROM (SELECT w.user_id, w.balance_minor FROM wallets w
             WHERE w.user_id = ANY (p_user_ids)
             ORDER BY w.user_id FOR NO KEY UPDATE) l;

    -- Taken after the last wait: whoever waited past the end of the hold comes too late.
    decided_at := clock_timestamp();

    FOR command IN
        SELECT c.ord::integer AS ord, c.user_id, c.reservation_id, c.method, c.captured_minor,
               p.payment_id AS earlier, p.fingerprint = c.fingerprint AS same,
               r.place IS NOT NULL AS known, r.place, r.status, r.amount_minor, r.currency,
               r.expires_at, cardinality(r.seat_ids) AS seats, w.currency AS wallet_currency
          FROM unnest(p_user_ids, p_reservation_ids, p_methods, p_captured_minor, p_keys, p_fingerprints)
               WITH ORDINALITY c (user_id, reservation_id, method, captured_minor, key, fingerprint, ord)
          LEFT JOIN LATERAL (
               SELECT r.ctid AS place, r.status, r.amount_minor, r.currency, r.expires_at, r.seat_ids
                 FROM reservations r
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = c.reservation_id
                  AND r.user_id = c.user_id
               OFFSET 0) r ON true
          LEFT JOIN LATERAL (
               SELECT p.payment_id, p.fingerprint
                 FROM payments p
                WHERE p.schedule_id = p_schedule_id
                  AND p.user_id = c.user_id
                  AND p.idempotency_key = c.key
               OFFSET 0) p ON true
          LEFT JOIN wallets w ON w.user_id = c.user_id
         ORDER BY c.ord
    LOOP
        balance := (balances ->> command.user_id::text)::bigint;
        verdict := CASE
            WHEN command.earlier IS NOT NULL AND command.same THEN 'replayed'
            WHEN command.earlier IS NOT NULL THEN 'key_reused'
            WHEN NOT command.known THEN 'reservation_not_found'
            WHEN command.status = 'CONFIRMED' OR command.reservation_id = ANY (paid_now)
                THEN 'already_paid'
            WHEN command.status = 'CANCELLED' THEN 'not_held'
            WHEN command.status = 'EXPIRED' OR command.expires_at <= decided_at
                THEN 'hold_expired'
            WHEN (held ->> command.reservation_id::text)::bigint IS DISTINCT FROM command.seats
                THEN 'hold_expired'
            WHEN command.method <> 'wallet' AND command.captured_minor IS DISTINCT FROM command.amount_minor
                THEN 'captured_differs'
            WHEN command.method = 'wallet' AND command.wallet_currency IS DISTINCT FROM command.currency
                THEN 'currency_differs'
            WHEN command.method = 'wallet' AND balance < command.amount_minor
                THEN 'insufficient_balance'
            ELSE 'paid' END;
        outcomes[command.ord] := verdict;
        IF verdict = 'replayed' THEN
            payments_made[command.ord] := command.earlier;
        ELSIF verdict = 'paid' THEN
            payments_made[command.ord] := p_payment_ids[command.ord];
            winners := winners || command.ord;
            paid_now := paid_now || command.reservation_id;
            reservation_places := reservation_places || command.place;
            IF command.method = 'wallet' THEN
                balances := jsonb_set(balances, ARRAY[command.user_id::text],
                                      to_jsonb(balance - command.amount_minor));
            END IF;
        END IF;
    END LOOP;

    IF cardinality(winners) > 0 THEN
        -- A free seat moves no money and has no transfer.
        WITH paid AS MATERIALIZED (
            SELECT w.i, p_user_ids[w.i] AS user_id, r.reservation_id, r.amount_minor, r.currency,
                   r.seat_ids
              FROM unnest(winners) w (i)
             CROSS JOIN LATERAL (
                   SELECT r.reservation_id, r.amount_minor, r.currency, r.seat_ids
                     FROM reservations r
                    WHERE r.schedule_id = p_schedule_id
                      AND r.reservation_id = p_reservation_ids[w.i]
                   OFFSET 0) r
        ), payment AS (
            INSERT INTO payments (
                schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
                provider_reference, currency, idempotency_key, fingerprint)
            SELECT p_schedule_id, p_payment_ids[i], r.reservation_id, r.user_id, r.amount_minor,
                   decided_at, p_methods[i], p_provider_references[i], r.currency, p_keys[i],
                   p_fingerprints[i]
              FROM paid r
        ), transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
            SELECT r.user_id, p_transfer_ids[i], 'payment', r.amount_minor, r.currency, p_schedule_id,
                   p_payment_ids[i], decided_at
              FROM paid r
             WHERE r.amount_minor > 0
        ), entry AS (
            INSERT INTO ledger_entries (
                user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
            SELECT r.user_id, p_transfer_ids[i], l.leg,
                   CASE WHEN l.leg = 2 THEN 'income' WHEN p_methods[i] = 'wallet' THEN 'wallet'
                        ELSE 'cash' END,
                   p_schedule_id, CASE l.leg WHEN 1 THEN -r.amount_minor ELSE r.amount_minor END,
                   r.currency
              FROM paid r
             CROSS JOIN (VALUES (1), (2)) l (leg)
             WHERE r.amount_minor > 0
        ), wallet AS (
            UPDATE wallets w
               SET balance_minor = w.balance_minor - spent.amount_minor, version = w.version + 1
              FROM (SELECT r.user_id, sum(r.amount_minor) AS amount_minor
                      FROM paid r
                     WHERE p_methods[r.i] = 'wallet'
                     GROUP BY r.user_id) spent
             WHERE w.user_id = spent.user_id AND spent.amount_minor > 0
        ), ticket AS (
            INSERT INTO tickets (
                schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position,
                issued_at)
            SELECT p_schedule_id, gen_random_uuid(), r.reservation_id, p_payment_ids[i], r.user_id,
                   t.seat_id, t.position, decided_at
              FROM paid r
             CROSS JOIN LATERAL unnest(r.seat_ids) WITH ORDINALITY t (seat_id, position)
        )
        INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
        SELECT p_schedule_id, e.topic,
               CASE e.topic WHEN 'payment.succeeded' THEN p_payment_ids[i] ELSE r.reservation_id END,
               r.user_id,
               jsonb_build_object('reservation', r.reservation_id, 'seat_ids', r.seat_ids,
                                  'amount', r.amount_minor, 'currency', r.currency),
               decided_at
          FROM paid r
         CROSS JOIN (VALUES ('payment.succeeded'), ('reservation.confirmed')) e (topic);

        -- Two versions: whoever looks between the end of the hold and this commit sees the seat free,
        -- and counts that as the first.
        UPDATE seats s
           SET state = 'SOLD', expires_at = NULL, version = s.version + 2
          FROM unnest(seat_places, seat_reservations) w (place, reservation_id)
         WHERE w.reservation_id = ANY (paid_now)
           AND s.ctid = w.place
           AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND s.reservation_id = w.reservation_id
           AND s.user_id = p_user_ids[winners[array_position(paid_now, w.reservation_id)]]
           AND s.state = 'HELD';
        GET DIAGNOSTICS changed = ROW_COUNT;

        WITH confirmed AS (
            UPDATE reservations r SET status = 'CONFIRMED', closed_at = decided_at
              FROM unnest(reservation_places, paid_now) w (place, reservation_id)
             WHERE r.ctid = w.place
               AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
               AND r.reservation_id IS NOT DISTINCT FROM w.reservation_id
               AND r.status = 'HELD'
            RETURNING cardinality(r.seat_ids) AS seats
        )
        SELECT sum(c.seats) INTO expected FROM confirmed c;
        IF changed IS DISTINCT FROM expected THEN
            RAISE EXCEPTION 'sold % seats of %', changed, expected
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
        END IF;
    END IF;

    RETURN QUERY
    SELECT c.ord::integer, outcomes[c.ord], p.payment_id, p.reservation_id, p.amount_minor, p.currency,
           p.method, p.created_at,
           ARRAY(SELECT t.ticket_id FROM tickets t
                  WHERE t.schedule_id = p_schedule_id AND t.payment_id = p.payment_id
                  ORDER BY t.position),
           ARRAY(SELECT t.seat_id FROM tickets t
                  WHERE t.schedule_id = p_schedule_id AND t.payment_id = p.payment_id
                  ORDER BY t.position),
           CASE WHEN outcomes[c.ord] = 'paid' THEN ARRAY(
               SELECT s.version
                 FROM tickets t
                CROSS JOIN LATERAL (
                      SELECT s.version FROM seats s
                       WHERE s.schedule_id = p_schedule_id AND s.seat_id = t.seat_id
                      OFFSET 0) s
                WHERE t.schedule_id = p_schedule_id AND t.payment_id = p.payment_id
                ORDER BY t.position) END
      FROM unnest(payments_made) WITH ORDINALITY c (payment_id, ord)
      LEFT JOIN LATERAL (
           SELECT p.payment_id, p.reservation_id, p.amount_minor, p.currency, p.method, p.created_at
             FROM payments p
            WHERE p.schedule_id = p_schedule_id AND p.payment_id = c.payment_id
           OFFSET 0) p ON true
     ORDER BY c.ord;
END;
$$;

-- Charge wallets: money comes in from outside ('cash') into the wallet.
-- outcome: charged, replayed, key_reused, wallet_not_found, wallet_limit.
CREATE OR REPLACE FUNCTION payments_charge_v1(
    p_transfer_ids uuid[],
    p_user_ids uuid[],
    p_amounts_minor bigint[],
    p_keys text[],
    p_fingerprints bytea[],
    p_balance_max_minor bigint
) RETURNS TABLE (
    ord integer, outcome text, transfer_id uuid, amount_minor bigint, balance_minor bigint,
    currency text, created_at timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    commands CONSTANT integer := cardinality(p_transfer_ids);
    outcomes text[] := array_fill(NULL::text, ARRAY[commands]);
    made uuid[] := array_fill(NULL::uuid, ARRAY[commands]);
    balances jsonb;
    winners integer[] := '{}';
    balances_after bigint[] := '{}';
    command record;
    balance bigint;
    decided_at timestamptz;
BEGIN
    SELECT coalesce(jsonb_object_agg(l.user_id, l.balance_minor), '{}') INTO balances
      FROM (SELECT w.user_id, w.balance_minor FROM wallets w
             WHERE w.user_id = ANY (p_user_ids)
             ORDER BY w.user_id FOR NO KEY UPDATE) l;
    decided_at := clock_timestamp();

    FOR command IN
        SELECT c.ord::integer AS ord, c.user_id, c.amount_minor, t.transfer_id AS earlier,
               t.fingerprint = c.fingerprint AS same
          FROM unnest(p_user_ids, p_amounts_minor, p_keys, p_fingerprints)
               WITH ORDINALITY c (user_id, amount_minor, key, fingerprint, ord)
          LEFT JOIN transfers t ON t.user_id = c.user_id AND t.idempotency_key = c.key
         ORDER BY c.ord
    LOOP
        balance := (balances ->> command.user_id::text)::bigint;
        outcomes[command.ord] := CASE
            WHEN command.earlier IS NOT NULL AND command.same THEN 'replayed'
            WHEN command.earlier IS NOT NULL THEN 'key_reused'
            WHEN balance IS NULL THEN 'wallet_not_found'
            WHEN balance + command.amount_minor > p_balance_max_minor THEN 'wallet_limit'
            ELSE 'charged' END;
        IF outcomes[command.ord] = 'replayed' THEN
            made[command.ord] := command.earlier;
        ELSIF outcomes[command.ord] = 'charged' THEN
            balance := balance + command.amount_minor;
            balances := jsonb_set(balances, ARRAY[command.user_id::text], to_jsonb(balance));
            made[command.ord] := p_transfer_ids[command.ord];
            winners := winners || command.ord;
            balances_after := balances_after || balance;
        END IF;
    END LOOP;

    IF cardinality(winners) > 0 THEN
        INSERT INTO transfers (
            user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint,
            balance_after_minor, created_at)
        SELECT p_user_ids[c.i], p_transfer_ids[c.i], 'charge', p_amounts_minor[c.i], w.currency,
               p_keys[c.i], p_fingerprints[c.i], c.balance_after, decided_at
          FROM unnest(winners, balances_after) c (i, balance_after)
          JOIN wallets w ON w.user_id = p_user_ids[c.i];

        INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
        SELECT t.user_id, t.transfer_id, l.leg, l.account, l.sign * t.amount_minor, t.currency
          FROM unnest(winners) i
          JOIN transfers t ON t.user_id = p_user_ids[i] AND t.transfer_id = p_transfer_ids[i]
         CROSS JOIN (VALUES (1, 'wallet', 1), (2, 'cash', -1)) l (leg, account, sign);

        UPDATE wallets w
           SET balance_minor = w.balance_minor + charged.amount_minor, version = w.version + 1
          FROM (SELECT p_user_ids[i] AS user_id, sum(p_amounts_minor[i]) AS amount_minor
                  FROM unnest(winners) i GROUP BY p_user_ids[i]) charged
         WHERE w.user_id = charged.user_id;

        INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
        SELECT t.user_id, 'wallet.charged', t.transfer_id, t.user_id,
               jsonb_build_object('amount', t.amount_minor, 'currency', t.currency), decided_at
          FROM unnest(winners) i
          JOIN transfers t ON t.user_id = p_user_ids[i] AND t.transfer_id = p_transfer_ids[i];
    END IF;

    RETURN QUERY
    SELECT c.ord::integer, outcomes[c.ord], t.transfer_id, t.amount_minor, t.balance_after_minor,
           t.currency, t.created_at
      FROM unnest(made, p_user_ids) WITH ORDINALITY c (transfer_id, user_id, ord)
      LEFT JOIN transfers t ON t.user_id = c.user_id AND t.transfer_id = c.transfer_id
     ORDER BY c.ord;
END;
$$;
