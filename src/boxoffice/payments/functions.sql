-- Batch decisions of payments; the conventions of a batch, the lock order and the reasons for look-ups one by
-- one and changes by ctid are in `reservations/functions.sql`.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Pay reservations of one schedule. Per command: the person, the reservation and the idempotency key. For a
-- method other than 'wallet' a provider has captured the money for an intent, and the caller has compared it
-- with the intent and moved it into suspense, in this transaction or before. p_intent_ids: these intents, null
-- for the wallet; a null array: all pay by wallet.
-- No (person, key) appears twice. p_apart: no person and no reservation appears twice.
-- outcomes: paid, replayed, key_reused, reservation_not_found, already_paid, hold_expired, not_held,
-- payment_in_progress (by another intent), insufficient_balance, currency_differs, nothing_captured. Null: all
-- are paid.
-- amounts_minor, currencies, seats_to: per paid command, in order. seat_ids, seat_versions (the new ones)
-- and ticket_ids have those of all paid commands one after the other, the last one of each at seats_to.
-- A replayed command is looked up by its key, because its payment does not change any more.
CREATE OR REPLACE FUNCTION payments_pay_v3(
    p_schedule_id uuid,
    p_payment_ids uuid[],
    p_transfer_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    p_methods text[],
    p_provider_references text[],
    p_intent_ids uuid[],
    p_keys text[],
    p_fingerprints bytea[],
    p_apart boolean,
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT amounts_minor bigint[],
    OUT currencies text[],
    OUT seats_to integer[],
    OUT seat_ids text[],
    OUT seat_versions bigint[],
    OUT ticket_ids uuid[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    lock_seed CONSTANT bigint := uuid_hash_extended(p_schedule_id, 0);
    decided_at timestamptz;
    -- Per command; null where the reservation is not this person's.
    places tid[];
    statuses text[];
    ends_at timestamptz[];
    seat_counts integer[];
    -- Per seat of all commands; a null place where the seat is not the reservation's.
    seat_by integer[];
    seat_places tid[];
    -- Commands that lost a seat to another reservation.
    lost integer[];
    -- Per command; null in `earlier` where the key is new, else whether the request is the same.
    wallet_places tid[];
    balances_minor bigint[];
    wallet_currencies text[];
    earlier boolean[];
    winners integer[];
    paid_already uuid[] := '{}';
    changed bigint;
BEGIN
    -- The same lock as a hold: a hold that is decided during this transaction, after the paid hold's end,
    -- would otherwise not count these seats against the ticket limit.
    -- guard: pay_persons_lock_of_hold => PERFORM person.lock
    PERFORM pg_advisory_xact_lock(person.lock)
       -- no guard: Advisory locks are re-entrant; saves a call.
       FROM (SELECT DISTINCT uuid_hash_extended(u.id, lock_seed) AS lock
               FROM unnest(p_user_ids) u (id)
              -- guard: pay_people_are_locked_in_order: lock => lock DESC
              ORDER BY lock) person;

    SELECT array_agg(l.place ORDER BY c.at), array_agg(l.status ORDER BY c.at),
           array_agg(l.expires_at ORDER BY c.at), array_agg(l.amount_minor ORDER BY c.at),
           array_agg(l.currency ORDER BY c.at), array_agg(l.seats ORDER BY c.at)
      INTO places, statuses, ends_at, amounts_minor, currencies, seat_counts
      FROM (SELECT c.reservation_id, c.user_id, c.intent_id, c.at
              FROM unnest(p_reservation_ids, p_user_ids, p_intent_ids)
                   WITH ORDINALITY c (reservation_id, user_id, intent_id, at)
             -- guard: pay_reservations_are_locked_in_order => ORDER BY c.reservation_id DESC) c
             ORDER BY c.reservation_id) c
      LEFT JOIN LATERAL (
           SELECT r.ctid AS place, r.expires_at, r.amount_minor, r.currency,
                  cardinality(r.seat_ids) AS seats,
                  -- guard: pay_what_is_being_paid_is_paid_by_its_intent => r.status
                  -- guard: pay_held_is_being_paid_ended_is_not: r.status = 'HELD' AND =>
                  CASE WHEN r.status = 'HELD' AND r.intent_id IS DISTINCT FROM c.intent_id THEN 'PAYING'
                       -- no guard: The other half of the condition above, which is a guard.
                       ELSE r.status END AS status
             FROM reservations r
            -- guard: pay_reservations_of_this_schedule => WHERE true
            WHERE r.schedule_id = p_schedule_id
              -- guard: pay_reservation_by_id
              AND r.reservation_id = c.reservation_id
              -- guard: pay_only_own
              AND r.user_id = c.user_id
              -- guard: pay_reservations_are_locked => ) l ON true;
              FOR NO KEY UPDATE) l ON true;

    -- guard: pay_what_ended_long_ago_ended => IF false THEN
    IF array_position(statuses, NULL) IS NOT NULL THEN
        -- Archived reservations have ended as well.
        SELECT array_agg(coalesce(c.status, a.status) ORDER BY c.at) INTO statuses
          FROM unnest(statuses, p_reservation_ids, p_user_ids)
               WITH ORDINALITY c (status, reservation_id, user_id, at)
          LEFT JOIN LATERAL (
               SELECT a.status
                 FROM reservations_archive a
                -- no guard: Reservation ids are UUIDs; the schedule is there for the primary key.
                WHERE a.schedule_id = p_schedule_id
                  -- guard: pay_archived_reservation_by_id
                  AND a.reservation_id = c.reservation_id
                  -- guard: pay_only_own_archived
                  AND a.user_id = c.user_id
               -- no guard: Joins each command with the archived reservation, if any; the conditions are inside.
               OFFSET 0) a ON true;
    END IF;

    -- Seats that still belong to these reservations; this waits for a hold that takes over a lapsed one.
    SELECT array_agg(w.seat_id ORDER BY w.at, w.n), array_agg(w.at ORDER BY w.at, w.n),
           array_agg(l.place ORDER BY w.at, w.n), array_agg(l.version_after ORDER BY w.at, w.n)
      INTO seat_ids, seat_by, seat_places, seat_versions
      FROM (SELECT c.at::integer AS at, c.reservation_id, t.seat_id, t.n
              FROM unnest(places, p_reservation_ids) WITH ORDINALITY c (place, reservation_id, at)
             CROSS JOIN LATERAL (
                   SELECT r.seat_ids FROM reservations r
                    -- guard: pay_seats_of_reservation_that_was_locked: ctid = c.place AND r. =>
                    WHERE r.ctid = c.place AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
                   OFFSET 0) r
             CROSS JOIN LATERAL unnest(r.seat_ids) WITH ORDINALITY t (seat_id, n)
             -- guard: pay_seats_are_locked_in_order: seat_id => seat_id DESC
             ORDER BY t.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place,
                  -- Two versions: a reader between the end of the hold and this commit sees the seat free,
                  -- and counts that as the first.
                  s.version + 2 AS version_after
             FROM seats s
            -- no guard: Finds the rows; the conditions on reservation and state are the guards.
            WHERE s.schedule_id = p_schedule_id
              -- guard: pay_reservations_seats
              AND s.seat_id = w.seat_id
              -- guard: pay_seat_that_was_taken_over_is_not_sold
              AND s.reservation_id = w.reservation_id
              -- guard: pay_only_held_seats_are_sold
              AND s.state = 'HELD'
              -- guard: pay_seats_are_locked => ) l ON true;
              FOR NO KEY UPDATE) l ON true;

    SELECT array_agg(l.place ORDER BY c.at), array_agg(l.balance_minor ORDER BY c.at),
           array_agg(l.currency ORDER BY c.at), array_agg(p.same ORDER BY c.at)
      INTO wallet_places, balances_minor, wallet_currencies, earlier
      FROM (SELECT c.user_id, c.key, c.fingerprint, c.at
              FROM unnest(p_user_ids, p_keys, p_fingerprints)
                   WITH ORDINALITY c (user_id, key, fingerprint, at)
             -- guard: pay_wallets_are_locked_in_order: user_id => user_id DESC
             ORDER BY c.user_id) c
      LEFT JOIN LATERAL (
           SELECT w.ctid AS place, w.balance_minor, w.currency
             FROM wallets w
            -- guard: pay_own_wallet
            WHERE w.user_id = c.user_id
              -- guard: pay_wallets_are_locked => ) l ON true
              FOR NO KEY UPDATE) l ON true
      LEFT JOIN LATERAL (
           -- guard: pay_fingerprint_is_compared => SELECT true AS same
           SELECT p.fingerprint = c.fingerprint AS same
             FROM payments p
            -- guard: pay_key_is_per_person { => WHERE p.schedule_id = p_schedule_id
            WHERE p.user_id = c.user_id
              -- guard: pay_key_is_per_schedule {
              AND (p.user_id, p.schedule_id)
                  BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)
              -- guard: }
              -- guard: pay_key_is_compared
              AND p.idempotency_key = c.key
           -- no guard: Joins each command with the earlier result of its key, if any; the conditions are inside.
           OFFSET 0) p ON true;

    -- Taken after the last wait: a payment that waited past the end of its hold is too late.
    -- guard: pay_time_is_taken_after_last_wait => decided_at := statement_timestamp();
    decided_at := clock_timestamp();

    -- guard: pay_seats_that_were_lost_are_noticed => IF false THEN
    IF array_position(seat_places, NULL) IS NOT NULL THEN
        SELECT array_agg(s.command) INTO lost
          -- guard: pay_lost_seats_only: WHERE s.place IS NULL =>
          FROM unnest(seat_by, seat_places) s (command, place) WHERE s.place IS NULL;
    END IF;
    SELECT array_agg(
               -- guard: pay_repetition_is_replayed: c.same => false
               CASE WHEN c.same THEN 'replayed'
                    -- guard: pay_key_has_one_fingerprint: NOT c.same => false
                    WHEN NOT c.same THEN 'key_reused'
                    -- guard: pay_reservation_that_exists: c.status IS NULL => false
                    WHEN c.status IS NULL THEN 'reservation_not_found'
                    -- guard: pay_once: c.status = 'CONFIRMED' => false
                    WHEN c.status = 'CONFIRMED' THEN 'already_paid'
                    -- guard: pay_nothing_that_was_given_back => WHEN false THEN 'not_held'
                    WHEN c.status = 'CANCELLED' THEN 'not_held'
                    -- guard: pay_nothing_that_was_swept: status = 'EXPIRED' OR c. =>
                    -- guard: pay_nothing_after_its_end: ends_at <= decided_at OR c. =>
                    -- guard: pay_nothing_that_was_taken_over: OR c.at = ANY (lost) =>
                    WHEN c.status = 'EXPIRED' OR c.ends_at <= decided_at OR c.at = ANY (lost)
                        THEN 'hold_expired'
                    -- guard: pay_what_is_being_paid_is_refused => WHEN false THEN 'not_held'
                    WHEN c.status = 'PAYING' THEN 'payment_in_progress'
                    -- guard: pay_provider_pays_through_intent => WHEN false THEN 'not_held'
                    WHEN c.method <> 'wallet' AND c.intent_id IS NULL THEN 'nothing_captured'
                    -- guard: pay_wallets_currency => WHEN false
                    -- guard: pay_anothers_money_is_no_matter_of_wallets_currency: method = 'wallet' AND c. =>
                    WHEN c.method = 'wallet' AND c.wallet_currency IS DISTINCT FROM c.currency
                        THEN 'currency_differs'
                    -- guard: pay_there_is_enough_in_wallet => WHEN false
                    -- guard: pay_anothers_money_is_no_matter_of_wallets_balance: method = 'wallet' AND c. =>
                    WHEN c.method = 'wallet' AND c.balance_minor < c.amount_minor
                        THEN 'insufficient_balance'
                    ELSE 'paid' END)
      INTO outcomes
      FROM unnest(earlier, statuses, ends_at, p_methods, p_intent_ids, amounts_minor, currencies,
                  wallet_currencies, balances_minor)
           WITH ORDINALITY c (same, status, ends_at, method, intent_id, amount_minor, currency,
                              wallet_currency, balance_minor, at);

    -- guard: pay_shared_wallet_decided_in_order => IF false THEN
    IF NOT p_apart THEN
        -- Later commands see what the earlier ones of the batch leave.
        FOR i IN 1..cardinality(outcomes) LOOP
            -- guard: pay_what_is_settled_stays {
            CONTINUE WHEN outcomes[i] NOT IN (
                'paid', 'nothing_captured', 'currency_differs', 'insufficient_balance');
            -- guard: }
            -- guard: pay_once_in_batch => IF false THEN
            IF p_reservation_ids[i] = ANY (paid_already) THEN
                outcomes[i] := 'already_paid';
            -- guard: pay_only_payers_spend => ELSE
            ELSIF outcomes[i] = 'paid' THEN
                -- guard: pay_earlier_spending_in_batch_counts: p_methods[i] = 'wallet' => false
                -- guard: pay_anothers_money_is_not_wallets_in_batch: p_methods[i] = 'wallet' AND =>
                IF p_methods[i] = 'wallet' AND amounts_minor[i] > balances_minor[i] - (
                       SELECT coalesce(sum(amounts_minor[w.at]), 0)
                         FROM unnest(array_positions(outcomes[:i - 1], 'paid')) w (at)
                        -- guard: pay_only_own_spending_counts => WHERE p_methods[w.at] = 'wallet')
                        -- guard: pay_only_wallets_spending_counts: AND p_methods[w.at] = 'wallet' =>
                        WHERE p_user_ids[w.at] = p_user_ids[i] AND p_methods[w.at] = 'wallet')
                THEN
                    outcomes[i] := 'insufficient_balance';
                ELSE
                    paid_already := paid_already || p_reservation_ids[i];
                END IF;
            END IF;
        END LOOP;
    END IF;

    winners := array_positions(outcomes, 'paid');
    -- guard: pay_batch_without_winners_ends => IF false THEN
    IF coalesce(cardinality(winners), 0) = 0 THEN
        RETURN;
    -- guard: pay_losers_are_left_out => ELSIF true THEN
    ELSIF cardinality(winners) = cardinality(outcomes) THEN
        outcomes := NULL;
    ELSE
        -- From here on the arrays are those of the paid commands.
        SELECT array_agg(p_payment_ids[w.i]), array_agg(p_transfer_ids[w.i]), array_agg(p_user_ids[w.i]),
               array_agg(p_reservation_ids[w.i]), array_agg(p_methods[w.i]),
               array_agg(p_provider_references[w.i]), array_agg(p_keys[w.i]),
               array_agg(p_fingerprints[w.i]), array_agg(places[w.i]), array_agg(amounts_minor[w.i]),
               array_agg(currencies[w.i]), array_agg(seat_counts[w.i]), array_agg(wallet_places[w.i])
          INTO p_payment_ids, p_transfer_ids, p_user_ids, p_reservation_ids, p_methods,
               p_provider_references, p_keys, p_fingerprints, places, amounts_minor, currencies,
               seat_counts, wallet_places
          FROM unnest(winners) w (i);
        SELECT array_agg(s.seat_id), array_agg(s.place), array_agg(s.version),
               array_agg(array_position(winners, s.command))
          INTO seat_ids, seat_places, seat_versions, seat_by
          FROM unnest(seat_ids, seat_places, seat_versions, seat_by) s (seat_id, place, version, command)
         -- guard: pay_losers_seats_are_left => ;
         WHERE s.command = ANY (winners);
    END IF;

    seats_to := seat_by;
    -- guard: pay_several_seats_have_their_tickets => IF false THEN
    IF cardinality(seat_ids) > cardinality(p_payment_ids) THEN
        SELECT array_agg(x.seats_to) INTO seats_to
          FROM (SELECT (sum(c.seats) OVER (ORDER BY c.at))::integer AS seats_to
                  FROM unnest(seat_counts) WITH ORDINALITY c (seats, at)) x;
    END IF;
    SELECT array_agg(gen_random_uuid()) INTO ticket_ids FROM unnest(seat_ids);

    INSERT INTO payments (
        schedule_id, payment_id, reservation_id, user_id, amount_minor, created_at, method,
        provider_reference, currency, idempotency_key, fingerprint, ticket_ids, refund_policy_version)
    SELECT p_schedule_id, c.payment_id, c.reservation_id, c.user_id, c.amount_minor, decided_at,
           c.method, c.provider_reference, c.currency, c.key, c.fingerprint,
           ticket_ids[c.seats_to - c.seats + 1:c.seats_to],
           (SELECT f.version FROM refund_policies f
             -- guard: pay_refund_policy_of_this_schedule => WHERE f.version IS NOT NULL
             WHERE f.schedule_id = p_schedule_id
             -- guard: pay_newest_refund_policy: DESC =>
             ORDER BY f.version DESC LIMIT 1)
      FROM unnest(p_payment_ids, p_reservation_ids, p_user_ids, amounts_minor, p_methods,
                  p_provider_references, currencies, p_keys, p_fingerprints, seat_counts, seats_to)
           c (payment_id, reservation_id, user_id, amount_minor, method, provider_reference, currency,
              key, fingerprint, seats, seats_to);

    INSERT INTO tickets (
        schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id, position, issued_at)
    SELECT p_schedule_id, s.ticket_id, p_reservation_ids[s.command], p_payment_ids[s.command],
           p_user_ids[s.command], s.seat_id,
           s.at - (seats_to[s.command] - seat_counts[s.command]), decided_at
      FROM unnest(ticket_ids, seat_ids, seat_by)
           WITH ORDINALITY s (ticket_id, seat_id, command, at);

    -- One statement for a transfer and its entries, because the ledger's triggers check at the end of each
    -- statement. A free seat has no transfer.
    WITH transfer AS (
        INSERT INTO transfers (
            user_id, transfer_id, kind, amount_minor, currency, schedule_id, payment_id, created_at)
        SELECT c.user_id, c.transfer_id, 'payment', c.amount_minor, c.currency, p_schedule_id,
               c.payment_id, decided_at
          FROM unnest(p_user_ids, p_transfer_ids, amounts_minor, currencies, p_payment_ids)
               c (user_id, transfer_id, amount_minor, currency, payment_id)
         -- guard: pay_what_costs_nothing_has_no_transfer
         WHERE c.amount_minor > 0
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, schedule_id, amount_minor, currency)
    SELECT c.user_id, c.transfer_id, l.leg,
           -- guard: pay_income_and_wallet_are_two_accounts: WHEN c.method = 'wallet' THEN 'wallet' =>
           CASE WHEN l.leg = 2 THEN 'income' WHEN c.method = 'wallet' THEN 'wallet' ELSE 'suspense' END,
           -- guard: pay_one_leg_is_negative: ELSE c.amount_minor => ELSE c.amount_minor + 1
           p_schedule_id, CASE l.leg WHEN 1 THEN -c.amount_minor ELSE c.amount_minor END, c.currency
      FROM unnest(p_user_ids, p_transfer_ids, amounts_minor, currencies, p_methods)
           c (user_id, transfer_id, amount_minor, currency, method)
     CROSS JOIN (VALUES (1), (2)) l (leg)
     -- guard: pay_what_costs_nothing_has_no_entries => ;
     WHERE c.amount_minor > 0;

    UPDATE wallets w
       SET balance_minor = w.balance_minor - spent.amount_minor, version = w.version + 1
      FROM (SELECT c.place, c.user_id, sum(c.amount_minor)::bigint AS amount_minor
              FROM unnest(wallet_places, p_user_ids, amounts_minor, p_methods)
                   c (place, user_id, amount_minor, method)
             -- guard: pay_only_wallets_payments_take_from_wallet => WHERE c.amount_minor > 0
             WHERE c.method = 'wallet' AND c.amount_minor > 0
             GROUP BY c.place, c.user_id) spent
     -- guard: pay_wallet_that_was_locked { => ;
     WHERE w.ctid = spent.place
       AND w.user_id IS NOT DISTINCT FROM spent.user_id;
     -- guard: }

    UPDATE seats s
       SET state = 'SOLD', expires_at = NULL, version = w.version
      FROM unnest(seat_places, seat_ids, seat_versions, seat_by) w (place, seat_id, version, command)
     -- guard: pay_place_is_that_of_what_was_locked => WHERE true
     WHERE s.ctid = w.place
       -- no guard: { The ctid finds the row that is locked above; its key repeats that.
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.seat_id IS NOT DISTINCT FROM w.seat_id
       -- guard: }
       -- guard: pay_seat_is_still_reservations
       AND s.reservation_id = p_reservation_ids[w.command]
       -- guard: pay_seat_is_still_persons
       AND s.user_id = p_user_ids[w.command]
       -- guard: pay_version_that_was_seen
       AND s.version + 2 = w.version
       -- guard: pay_state_that_was_seen => ;
       AND s.state = 'HELD';
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: pay_seats_that_were_changed_are_counted => IF false THEN
    IF changed <> cardinality(seat_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'sold % seats of %', changed, cardinality(seat_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    UPDATE reservations r SET status = 'CONFIRMED', closed_at = decided_at
      FROM unnest(places, p_reservation_ids, seat_counts) w (place, reservation_id, seats)
     -- guard: pay_place_is_that_of_reservation_that_was_locked => WHERE true
     WHERE r.ctid = w.place
       -- no guard: { The ctid finds the row that is locked above; its key repeats that.
       AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND r.reservation_id IS NOT DISTINCT FROM w.reservation_id
       -- guard: }
       -- guard: pay_reservation_has_seats_that_were_sold
       AND cardinality(r.seat_ids) = w.seats
       -- guard: pay_reservation_is_still_held => ;
       AND r.status = 'HELD';
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: pay_reservations_that_were_changed_are_counted => IF false THEN
    IF changed <> cardinality(p_reservation_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'confirmed % reservations of %', changed, cardinality(p_reservation_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reservation_guard';
    END IF;

    -- In the rows of people in this schedule (`schedule_buyers`), count what is paid and forgive unpaid ends.
    -- no guard: { Saves an update when no row exists.
    IF EXISTS (SELECT FROM schedule_buyers b
                WHERE b.schedule_id = p_schedule_id AND b.user_id = ANY (p_user_ids)) THEN
    -- guard: }
        UPDATE schedule_buyers b
           SET sold_seats = b.sold_seats + w.seats, strikes = 0,
               open_ids = ARRAY(SELECT o.id FROM unnest(b.open_ids) o (id)
                                 -- guard: pay_what_is_paid_is_open_no_more => )
                                 WHERE o.id <> ALL (p_reservation_ids))
          FROM (SELECT l.place, c.seats
                  FROM (SELECT u.user_id, sum(u.seats) AS seats
                          FROM unnest(p_user_ids, seat_counts) u (user_id, seats)
                         GROUP BY u.user_id) c
                 CROSS JOIN LATERAL (
                       SELECT b.ctid AS place
                         FROM schedule_buyers b
                        -- guard: pay_payers_own_row: b.user_id = c.user_id => false
                        WHERE b.schedule_id = p_schedule_id AND b.user_id = c.user_id
                          -- no guard: { Finds the row; the person's advisory lock excludes others.
                          FOR NO KEY UPDATE) l) w
         WHERE b.ctid = w.place
           AND b.schedule_id IS NOT DISTINCT FROM p_schedule_id;
                          -- guard: }
    END IF;

    INSERT INTO outbox (
        scope_id, topic, created_at, subject_ids, user_ids, reservation_ids, seat_ids, seats_to,
        amounts_minor, currency)
    SELECT p_schedule_id, e.topic, decided_at, e.subject_ids, p_user_ids, e.reservation_ids, seat_ids,
           seats_to, amounts_minor, currencies[1]
      FROM (VALUES ('payment.succeeded', p_payment_ids, p_reservation_ids),
                   ('reservation.confirmed', p_reservation_ids, NULL))
           e (topic, subject_ids, reservation_ids);

    created_at := decided_at;
END;
$$;

-- For pods of the previous release, which pay by wallet and know of no intents.
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
    p_fingerprints bytea[],
    p_apart boolean,
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT amounts_minor bigint[],
    OUT currencies text[],
    OUT seats_to integer[],
    OUT seat_ids text[],
    OUT seat_versions bigint[],
    OUT ticket_ids uuid[]
)
LANGUAGE sql
AS $$
SELECT array_replace(p.outcomes, 'payment_in_progress', 'not_held'), p.created_at, p.amounts_minor,
       p.currencies, p.seats_to, p.seat_ids, p.seat_versions, p.ticket_ids
  FROM payments_pay_v3(
           p_schedule_id, p_payment_ids, p_transfer_ids, p_user_ids, p_reservation_ids, p_methods,
           p_provider_references, NULL, p_keys, p_fingerprints, p_apart) p;
$$;

-- Top up wallets: money moves from outside ('cash') into the wallet.
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
             -- guard: top_up_wallets_that_were_named
             WHERE w.user_id = ANY (p_user_ids)
             -- guard: top_up_wallets_are_locked: FOR NO KEY UPDATE =>
             -- guard: top_up_wallets_are_locked_in_order: user_id => user_id DESC
             ORDER BY w.user_id FOR NO KEY UPDATE) l;
    decided_at := clock_timestamp();

    FOR command IN
        SELECT c.ord::integer AS ord, c.user_id, c.amount_minor, t.transfer_id AS earlier,
               -- guard: top_up_fingerprint_is_compared => true AS same
               t.fingerprint = c.fingerprint AS same
          FROM unnest(p_user_ids, p_amounts_minor, p_keys, p_fingerprints)
               WITH ORDINALITY c (user_id, amount_minor, key, fingerprint, ord)
          -- guard: top_up_key_is_per_person: user_id = c.user_id AND t. =>
          -- guard: top_up_key_is_compared: = c.key => IS NOT NULL
          LEFT JOIN transfers t ON t.user_id = c.user_id AND t.idempotency_key = c.key
         ORDER BY c.ord
    LOOP
        balance := (balances ->> command.user_id::text)::bigint;
        outcomes[command.ord] := CASE
            -- guard: top_up_repetition_is_replayed => WHEN false THEN 'replayed'
            WHEN command.earlier IS NOT NULL AND command.same THEN 'replayed'
            -- guard: top_up_key_has_one_fingerprint => WHEN false THEN 'key_reused'
            WHEN command.earlier IS NOT NULL THEN 'key_reused'
            -- guard: top_up_wallet_that_exists: balance IS NULL => false
            WHEN balance IS NULL THEN 'wallet_not_found'
            -- guard: top_up_wallets_limit => WHEN false THEN 'wallet_limit'
            WHEN balance + command.amount_minor > p_balance_max_minor THEN 'wallet_limit'
            ELSE 'charged' END;
        -- guard: top_up_repetition_returns_the_first => IF false THEN
        IF outcomes[command.ord] = 'replayed' THEN
            made[command.ord] := command.earlier;
        -- guard: top_up_only_what_is_added => ELSE
        ELSIF outcomes[command.ord] = 'charged' THEN
            balance := balance + command.amount_minor;
            balances := jsonb_set(balances, ARRAY[command.user_id::text], to_jsonb(balance));
            made[command.ord] := p_transfer_ids[command.ord];
            winners := winners || command.ord;
            balances_after := balances_after || balance;
        END IF;
    END LOOP;

    -- no guard: Saves three statements when there is nothing to do.
    IF cardinality(winners) > 0 THEN
        WITH transfer AS (
            INSERT INTO transfers (
                user_id, transfer_id, kind, amount_minor, currency, idempotency_key, fingerprint,
                balance_after_minor, created_at)
            SELECT p_user_ids[c.i], p_transfer_ids[c.i], 'charge', p_amounts_minor[c.i], w.currency,
                   p_keys[c.i], p_fingerprints[c.i], c.balance_after, decided_at
              FROM unnest(winners, balances_after) c (i, balance_after)
              -- guard: top_up_wallets_own_currency => JOIN wallets w ON true
              JOIN wallets w ON w.user_id = p_user_ids[c.i]
            RETURNING user_id, transfer_id, amount_minor, currency
        )
        INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
        SELECT t.user_id, t.transfer_id, l.leg, l.account, l.sign * t.amount_minor, t.currency
          FROM transfer t
         CROSS JOIN (VALUES (1, 'wallet', 1), (2, 'cash', -1)) l (leg, account, sign);

        UPDATE wallets w
           SET balance_minor = w.balance_minor + charged.amount_minor, version = w.version + 1
          FROM (SELECT p_user_ids[i] AS user_id, sum(p_amounts_minor[i]) AS amount_minor
                  FROM unnest(winners) i GROUP BY p_user_ids[i]) charged
         -- guard: top_up_own_wallet => ;
         WHERE w.user_id = charged.user_id;

        INSERT INTO outbox (
            scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency)
        SELECT (array_agg(t.user_id))[1], 'wallet.charged', decided_at, array_agg(t.transfer_id),
               array_agg(t.user_id), array_agg(t.amount_minor), t.currency
          FROM unnest(winners) i
          -- guard: top_up_events_of_what_was_added: AND t.transfer_id = p_transfer_ids[i] =>
          JOIN transfers t ON t.user_id = p_user_ids[i] AND t.transfer_id = p_transfer_ids[i]
         GROUP BY t.currency;
    END IF;

    RETURN QUERY
    SELECT c.ord::integer, outcomes[c.ord], t.transfer_id, t.amount_minor, t.balance_after_minor,
           t.currency, t.created_at
      FROM unnest(made, p_user_ids) WITH ORDINALITY c (transfer_id, user_id, ord)
      -- guard: top_up_answer_of_what_was_added: AND t.transfer_id = c.transfer_id =>
      LEFT JOIN transfers t ON t.user_id = c.user_id AND t.transfer_id = c.transfer_id
     ORDER BY c.ord;
END;
$$;
