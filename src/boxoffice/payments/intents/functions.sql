-- Batch decisions of payment intents; the conventions of a batch, the lock order and the reasons for look-ups
-- one by one and changes by ctid are in `reservations/functions.sql`.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.
--
-- An intent appears once in a batch. p_schedule_id is null for top-ups, which have no hold. Changed holds are
-- returned as seat_ids with their new seat_versions and the end of the seats' hold, for the seat caches.

-- Lock the holds of intents: the people, the reservations and their seats; then read the time once.
-- statuses: per command; null where the reservation is not this person's, LOST where it is held and another
-- reservation has taken a seat over.
CREATE OR REPLACE FUNCTION payments_lock_holds_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    OUT statuses text[],
    OUT ends_at timestamptz[],
    OUT amounts_minor bigint[],
    OUT currencies text[],
    OUT intent_ids uuid[],
    OUT decided_at timestamptz
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
    lost integer[];
BEGIN
    -- The same lock as a hold: the end of a hold is changed here, and a hold counts what has not ended.
    -- guard: intent_persons_lock_of_hold => PERFORM person.lock
    PERFORM pg_advisory_xact_lock(person.lock)
       -- no guard: Advisory locks are re-entrant; payments guard the order of the same locks.
       FROM (SELECT DISTINCT uuid_hash_extended(u.id, lock_seed) AS lock
               FROM unnest(p_user_ids) u (id)
              ORDER BY lock) person;

    SELECT array_agg(l.status ORDER BY c.at), array_agg(l.expires_at ORDER BY c.at),
           array_agg(l.amount_minor ORDER BY c.at), array_agg(l.currency ORDER BY c.at),
           array_agg(l.intent_id ORDER BY c.at)
      INTO statuses, ends_at, amounts_minor, currencies, intent_ids
      FROM (SELECT c.reservation_id, c.user_id, c.at
              FROM unnest(p_reservation_ids, p_user_ids)
                   WITH ORDINALITY c (reservation_id, user_id, at)
             -- guard: intent_reservations_are_locked_in_order => ORDER BY c.reservation_id DESC) c
             ORDER BY c.reservation_id) c
      LEFT JOIN LATERAL (
           SELECT r.status, r.expires_at, r.amount_minor, r.currency, r.intent_id
             FROM reservations r
            -- no guard: Reservation ids are UUIDs; the schedule is there for the primary key.
            WHERE r.schedule_id = p_schedule_id
              -- guard: intent_reservation_by_id
              AND r.reservation_id = c.reservation_id
              -- guard: intent_only_own_reservation
              AND r.user_id = c.user_id
              -- guard: intent_reservations_are_locked => ) l ON true;
              FOR NO KEY UPDATE) l ON true;

    -- Waits for a hold that takes over a lapsed one.
    SELECT array_agg(w.at) INTO lost
      FROM (SELECT c.at::integer AS at, c.reservation_id, t.seat_id
              FROM unnest(p_reservation_ids) WITH ORDINALITY c (reservation_id, at)
             CROSS JOIN LATERAL (
                   SELECT r.seat_ids FROM reservations r
                    -- no guard: The conditions on the seats below are the guards.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.reservation_id
                   OFFSET 0) r
             CROSS JOIN LATERAL unnest(r.seat_ids) t (seat_id)
             -- guard: intent_seats_are_locked_in_order: seat_id => seat_id DESC
             ORDER BY t.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place
             FROM seats s
            -- no guard: { Finds the seats of the reservation; the reservation is the guard.
            WHERE s.schedule_id = p_schedule_id
              AND s.seat_id = w.seat_id
            -- guard: }
              -- guard: intent_seat_that_was_taken_over_is_lost
              AND s.reservation_id = w.reservation_id
              -- no guard: A seat of a held reservation is held.
              AND s.state = 'HELD'
              -- guard: intent_seats_are_locked => ) l ON true
              FOR NO KEY UPDATE) l ON true
     -- no guard: Head of the comparison below, which is a guard.
     WHERE l.place IS NULL;

    -- guard: intent_lost_seats_are_noticed => IF false THEN
    IF lost IS NOT NULL THEN
        -- no guard: Only a hold can be lost; what has ended stays as it is.
        SELECT array_agg(CASE WHEN c.status = 'HELD' AND c.at = ANY (lost) THEN 'LOST' ELSE c.status END
                         ORDER BY c.at)
          INTO statuses
          FROM unnest(statuses) WITH ORDINALITY c (status, at);
    END IF;

    -- guard: intent_time_is_taken_after_last_wait => decided_at := statement_timestamp();
    decided_at := clock_timestamp();
END;
$$;

-- Move the ends of holds, which the transaction has locked, and note by which intent they are being paid (null:
-- none). A return delay keeps its length.
CREATE OR REPLACE FUNCTION payments_move_holds_v1(
    p_schedule_id uuid,
    p_reservation_ids uuid[],
    p_intent_ids uuid[],
    p_until timestamptz[]
) RETURNS TABLE (ord integer, seat_ids text[], seat_versions bigint[], seats_until timestamptz)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    places tid[];
    ends_at timestamptz[];
    seat_lists jsonb;
BEGIN
    SELECT array_agg(l.place ORDER BY c.at), array_agg(l.expires_at ORDER BY c.at)
      INTO places, ends_at
      FROM unnest(p_reservation_ids) WITH ORDINALITY c (reservation_id, at)
      LEFT JOIN LATERAL (
           SELECT r.ctid AS place, r.expires_at
             FROM reservations r
            -- no guard: Finds the rows that the transaction has locked.
            WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.reservation_id
              -- guard: move_only_what_is_held
              AND r.status = 'HELD'
           -- no guard: Joins each command with its hold, if any; the conditions are inside.
           OFFSET 0) l ON true;

    RETURN QUERY
    WITH seat AS MATERIALIZED (
        SELECT c.at::integer AS at, t.n, l.place, c.reservation_id, c.until - c.ends_at AS moved_by
          FROM unnest(p_reservation_ids, places, p_until, ends_at)
               WITH ORDINALITY c (reservation_id, place, until, ends_at, at)
         CROSS JOIN LATERAL (
               SELECT r.seat_ids FROM reservations r
                -- guard: move_only_what_changes: AND c.until <> c.ends_at =>
                WHERE r.ctid = c.place AND c.until <> c.ends_at
               OFFSET 0) r
         CROSS JOIN LATERAL unnest(r.seat_ids) WITH ORDINALITY t (seat_id, n)
         CROSS JOIN LATERAL (
               SELECT s.ctid AS place FROM seats s
                -- no guard: { Finds the seats that the transaction has locked.
                WHERE s.schedule_id = p_schedule_id
                  AND s.seat_id = t.seat_id
                  AND s.reservation_id = c.reservation_id
                  AND s.state = 'HELD'
                -- guard: }
               OFFSET 0) l
    ), moved AS (
        UPDATE seats s SET expires_at = s.expires_at + w.moved_by, version = s.version + 1
          FROM seat w
         -- no guard: { Finds the locked rows; the conditions above are repeated.
         WHERE s.ctid = w.place
           AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND s.reservation_id = w.reservation_id
           AND s.state = 'HELD'
         -- guard: }
        RETURNING w.at, w.n, s.seat_id, s.version, s.expires_at
    ), ended AS (
        UPDATE reservations r SET expires_at = w.until, intent_id = w.intent_id
          FROM unnest(places, p_until, p_intent_ids) w (place, until, intent_id)
         -- no guard: { Finds the locked rows.
         WHERE r.ctid = w.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
         -- guard: }
    )
    SELECT m.at, array_agg(m.seat_id ORDER BY m.n), array_agg(m.version ORDER BY m.n), max(m.expires_at)
      FROM moved m
     GROUP BY m.at;
END;
$$;

-- Lock intents and return them per command, null where there is none.
CREATE OR REPLACE FUNCTION payments_lock_intents_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    OUT statuses text[],
    OUT reservation_ids uuid[],
    OUT providers text[],
    OUT amounts_minor bigint[],
    OUT currencies text[],
    OUT attempts integer[],
    OUT confirm_keys text[],
    OUT hold_ends_at timestamptz[],
    OUT begun_at timestamptz[],
    OUT session_ends_at timestamptz[],
    OUT fingerprints bytea[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    SELECT array_agg(i.status ORDER BY c.at), array_agg(i.reservation_id ORDER BY c.at),
           array_agg(i.provider ORDER BY c.at), array_agg(i.amount_minor ORDER BY c.at),
           array_agg(i.currency ORDER BY c.at), array_agg(i.attempts ORDER BY c.at),
           array_agg(i.confirm_key ORDER BY c.at), array_agg(i.hold_ends_at ORDER BY c.at),
           array_agg(i.begun_at ORDER BY c.at), array_agg(i.session_ends_at ORDER BY c.at),
           array_agg(i.fingerprint ORDER BY c.at)
      INTO statuses, reservation_ids, providers, amounts_minor, currencies, attempts, confirm_keys,
           hold_ends_at, begun_at, session_ends_at, fingerprints
      FROM (SELECT c.user_id, c.intent_id, c.at
              FROM unnest(p_user_ids, p_intent_ids) WITH ORDINALITY c (user_id, intent_id, at)
             -- guard: intents_are_locked_in_order => ORDER BY c.intent_id DESC) c
             ORDER BY c.intent_id) c
      LEFT JOIN LATERAL (
           SELECT i.status, i.reservation_id, i.provider, i.amount_minor, i.currency, i.attempts,
                  i.confirm_key, i.hold_ends_at, i.begun_at, i.session_ends_at, i.fingerprint
             FROM payment_intents i
            -- guard: intent_only_own: i.user_id = c.user_id AND =>
            -- no guard: Intent ids are UUIDs; without it none is found.
            WHERE i.user_id = c.user_id AND i.intent_id = c.intent_id
              -- guard: intent_of_this_schedule
              AND i.schedule_id IS NOT DISTINCT FROM p_schedule_id
              -- guard: intents_are_locked => ) i ON true;
              FOR NO KEY UPDATE) i ON true;
END;
$$;

-- The amounts due for reservations of one schedule, archived ones included; none where one is not this person's.
CREATE OR REPLACE FUNCTION payments_payable_v1(
    p_schedule_id uuid, p_user_ids uuid[], p_reservation_ids uuid[])
RETURNS TABLE (ord integer, amount_minor bigint, currency text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.at::integer, l.amount_minor, l.currency
      FROM unnest(p_reservation_ids, p_user_ids) WITH ORDINALITY c (reservation_id, user_id, at)
     CROSS JOIN LATERAL (
           SELECT r.amount_minor, r.currency FROM reservations r
            -- guard: payable_only_own: AND r.user_id = c.user_id =>
            WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.reservation_id AND r.user_id = c.user_id
            UNION ALL
           SELECT a.amount_minor, a.currency FROM reservations_archive a
            -- guard: payable_own_archived: AND a.user_id = c.user_id =>
            WHERE a.schedule_id = p_schedule_id AND a.reservation_id = c.reservation_id AND a.user_id = c.user_id
           OFFSET 0) l;
END;
$$;

-- Intents as they are shown, after what this transaction has done: an open one whose hold or session is over is
-- shown as expired; none where one is not this person's.
CREATE OR REPLACE FUNCTION payments_show_intents_v1(p_user_ids uuid[], p_intent_ids uuid[])
RETURNS TABLE (
    place integer, user_id uuid, intent_id uuid, schedule_id uuid, reservation_id uuid, payment_id uuid,
    purpose text, provider text, amount_minor bigint, currency text, status text, attempts integer,
    payment_key text, confirm_key text, deposit_secret text, reason text, client jsonb,
    created_at timestamptz, begun_at timestamptz, hold_ends_at timestamptz, session_ends_at timestamptz,
    session_is_over boolean
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    shown_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    SELECT c.at::integer, i.user_id, i.intent_id, i.schedule_id, i.reservation_id, i.payment_id, i.purpose,
           i.provider, i.amount_minor, i.currency,
           -- guard: intent_over_is_shown_as_expired: AND i.ends_at <= shown_at => AND false
           CASE WHEN i.status = 'OPEN' AND i.ends_at <= shown_at THEN 'EXPIRED' ELSE i.status END,
           i.attempts, i.payment_key, i.confirm_key, i.deposit_secret, i.reason, i.client, i.created_at,
           i.begun_at, greatest(i.hold_ends_at, i.fenced_until), i.session_ends_at,
           i.session_ends_at <= shown_at
      FROM unnest(p_user_ids, p_intent_ids) WITH ORDINALITY c (user_id, intent_id, at)
     CROSS JOIN LATERAL (
           SELECT i.*, coalesce(i.hold_ends_at, i.session_ends_at) AS ends_at
             FROM payment_intents i
            -- guard: intent_get_only_own: i.user_id = c.user_id AND =>
            WHERE i.user_id = c.user_id AND i.intent_id = c.intent_id
           OFFSET 0) i;
END;
$$;

-- Make intents to pay reservations of one schedule through providers. p_sessions_s: how long a buyer may take
-- at the provider. The first intent of a reservation extends its hold to p_extension_s seconds from now.
-- outcome: opened, replayed, key_reused, reservation_not_found, already_paid, not_held, hold_expired,
-- payment_in_progress, nothing_to_pay. intent_id: the new one, or that of the key.
CREATE OR REPLACE FUNCTION payments_open_intents_v1(
    p_schedule_id uuid,
    p_intent_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    p_providers text[],
    p_sessions_s double precision[],
    p_keys text[],
    p_fingerprints bytea[],
    p_extension_s integer
) RETURNS TABLE (
    ord integer, outcome text, intent_id uuid, seat_ids text[], seat_versions bigint[],
    seats_until timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    held record;
    outcomes text[];
    found_ids uuid[];
    until timestamptz[];
    winners integer[];
BEGIN
    SELECT * INTO held FROM payments_lock_holds_v1(p_schedule_id, p_user_ids, p_reservation_ids);

    SELECT array_agg(
               -- guard: open_repetition_is_replayed: e.same => false
               CASE WHEN e.same THEN 'replayed'
                    -- guard: open_key_has_one_fingerprint: NOT e.same => false
                    WHEN NOT e.same THEN 'key_reused'
                    -- guard: open_reservation_that_exists: c.status IS NULL => false
                    WHEN c.status IS NULL THEN 'reservation_not_found'
                    -- guard: open_nothing_that_is_paid: IN ('CONFIRMED', 'REFUNDED') => IN ('PAID')
                    WHEN c.status IN ('CONFIRMED', 'REFUNDED') THEN 'already_paid'
                    -- guard: open_nothing_that_was_given_back => WHEN false THEN 'not_held'
                    WHEN c.status = 'CANCELLED' THEN 'not_held'
                    -- guard: open_only_what_is_held: c.status <> 'HELD' OR =>
                    -- guard: open_nothing_after_its_end: OR c.ends_at <= held.decided_at =>
                    WHEN c.status <> 'HELD' OR c.ends_at <= held.decided_at THEN 'hold_expired'
                    -- guard: open_one_intent_at_a_time: c.paying IS NOT NULL OR =>
                    -- guard: open_one_intent_in_a_batch: OR c.nth > 1 =>
                    WHEN c.paying IS NOT NULL OR c.nth > 1 THEN 'payment_in_progress'
                    -- guard: open_nothing_for_what_is_free => WHEN false THEN 'nothing_to_pay'
                    WHEN c.amount_minor = 0 THEN 'nothing_to_pay'
                    ELSE 'opened' END ORDER BY c.at),
           array_agg(e.intent_id ORDER BY c.at),
           array_agg(
               -- guard: open_extends_a_hold_once: b.again IS NULL => true
               CASE WHEN b.again IS NULL
                    THEN greatest(c.ends_at, held.decided_at + make_interval(secs => p_extension_s))
                    ELSE c.ends_at END ORDER BY c.at)
      INTO outcomes, found_ids, until
      FROM (SELECT c.*, row_number() OVER (PARTITION BY c.user_id, c.reservation_id ORDER BY c.at) AS nth
              FROM unnest(p_user_ids, p_reservation_ids, p_keys, p_fingerprints, held.statuses, held.ends_at,
                          held.amounts_minor, held.intent_ids)
                   WITH ORDINALITY c (user_id, reservation_id, key, fingerprint, status, ends_at, amount_minor,
                                      paying, at)) c
      LEFT JOIN LATERAL (
           -- guard: open_fingerprint_is_compared => SELECT i.intent_id, true AS same
           SELECT i.intent_id, i.fingerprint = c.fingerprint AS same
             FROM payment_intents i
            -- guard: open_key_is_per_person: i.user_id = c.user_id AND =>
            -- guard: open_key_is_compared: AND i.idempotency_key = c.key =>
            WHERE i.user_id = c.user_id AND i.idempotency_key = c.key
           -- no guard: Joins each command with the earlier result of its key, if any; the conditions are inside.
           OFFSET 0) e ON true
      LEFT JOIN LATERAL (
           SELECT true AS again
             FROM payment_intents i
            -- guard: open_intents_of_other_holds_do_not_count => WHERE i.user_id = c.user_id
            WHERE i.user_id = c.user_id AND i.reservation_id = c.reservation_id
            -- no guard: One earlier intent is enough.
            LIMIT 1) b ON true;

    winners := array_positions(outcomes, 'opened');
    INSERT INTO payment_intents (
        user_id, intent_id, schedule_id, reservation_id, amount_minor, created_at, changed_at,
        session_ends_at, hold_ends_at, purpose, provider, currency, idempotency_key, fingerprint)
    SELECT p_user_ids[w.i], p_intent_ids[w.i], p_schedule_id, p_reservation_ids[w.i],
           held.amounts_minor[w.i], held.decided_at, held.decided_at,
           held.decided_at + make_interval(secs => p_sessions_s[w.i]), until[w.i], 'reservation',
           p_providers[w.i], held.currencies[w.i], p_keys[w.i], p_fingerprints[w.i]
      FROM unnest(winners) w (i)
     ORDER BY p_user_ids[w.i], p_keys[w.i];

    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT 'expire', p_intent_ids[w.i], p_user_ids[w.i], until[w.i] FROM unnest(winners) w (i);

    RETURN QUERY
    SELECT c.at::integer, c.outcome, coalesce(c.found_id, c.intent_id), m.seat_ids, m.seat_versions,
           m.seats_until
      FROM unnest(outcomes, found_ids, p_intent_ids) WITH ORDINALITY c (outcome, found_id, intent_id, at)
      LEFT JOIN payments_move_holds_v1(
           p_schedule_id, ARRAY(SELECT p_reservation_ids[w.i] FROM unnest(winners) w (i)),
           ARRAY(SELECT p_intent_ids[w.i] FROM unnest(winners) w (i)),
           ARRAY(SELECT until[w.i] FROM unnest(winners) w (i))) m
        -- no guard: Joins each command with its seats.
        ON winners[m.ord] = c.at
     ORDER BY c.at;
END;
$$;

-- Make intents to top up wallets through providers, in the wallet's currency.
-- outcome: opened, replayed, key_reused, wallet_not_found.
CREATE OR REPLACE FUNCTION payments_open_top_ups_v1(
    p_intent_ids uuid[],
    p_user_ids uuid[],
    p_amounts_minor bigint[],
    p_providers text[],
    p_sessions_s double precision[],
    p_keys text[],
    p_fingerprints bytea[]
) RETURNS TABLE (ord integer, outcome text, intent_id uuid)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    opened_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT c.*, e.intent_id AS found_id, w.currency,
               -- guard: open_top_up_repetition_is_replayed: e.same => false
               CASE WHEN e.same THEN 'replayed'
                    -- guard: open_top_up_key_has_one_fingerprint: NOT e.same => false
                    WHEN NOT e.same THEN 'key_reused'
                    -- guard: open_top_up_of_wallet_that_exists => WHEN false THEN 'wallet_not_found'
                    WHEN w.currency IS NULL THEN 'wallet_not_found'
                    ELSE 'opened' END AS outcome
          FROM unnest(p_intent_ids, p_user_ids, p_amounts_minor, p_providers, p_sessions_s, p_keys,
                      p_fingerprints)
               WITH ORDINALITY c (intent_id, user_id, amount_minor, provider, session_s, key, fingerprint, at)
          LEFT JOIN LATERAL (
               -- guard: open_top_up_fingerprint_is_compared => SELECT i.intent_id, true AS same
               SELECT i.intent_id, i.fingerprint = c.fingerprint AS same
                 FROM payment_intents i
                -- guard: open_top_up_key_is_per_person: i.user_id = c.user_id AND =>
                -- guard: open_top_up_key_is_compared: AND i.idempotency_key = c.key =>
                WHERE i.user_id = c.user_id AND i.idempotency_key = c.key
               -- no guard: Joins each command with the earlier result of its key, if any.
               OFFSET 0) e ON true
          LEFT JOIN LATERAL (
               SELECT w.currency FROM wallets w
                -- guard: open_top_up_of_own_wallet => WHERE w.user_id IS NOT NULL LIMIT 1
                WHERE w.user_id = c.user_id
               -- no guard: Joins each command with its wallet, if any.
               OFFSET 0) w ON true
    ), opened AS (
        INSERT INTO payment_intents (
            user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at, purpose, provider,
            currency, idempotency_key, fingerprint)
        SELECT a.user_id, a.intent_id, a.amount_minor, opened_at, opened_at,
               opened_at + make_interval(secs => a.session_s), 'top_up', a.provider, a.currency, a.key,
               a.fingerprint
          FROM asked a
         -- guard: open_top_up_only_what_is_opened => WHERE a.currency IS NOT NULL
         WHERE a.outcome = 'opened'
         ORDER BY a.user_id, a.key
        RETURNING user_id, intent_id, session_ends_at
    ), work AS (
        INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
        SELECT 'expire', o.intent_id, o.user_id, o.session_ends_at FROM opened o
    )
    SELECT a.at::integer, a.outcome, coalesce(a.found_id, a.intent_id) FROM asked a ORDER BY a.at;
END;
$$;

-- Begin to confirm intents, before the provider is called: fence the hold for p_fence_s seconds, write the
-- call, and have the cashier look up what became of it after p_look_up_s seconds.
-- outcome: begun, intent_not_found, hold_expired, not_open (its status says what it is). confirm_key: of the
-- attempt that has begun.
CREATE OR REPLACE FUNCTION payments_begin_confirm_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_payment_keys text[],
    p_call_ids uuid[],
    p_fence_s integer,
    p_look_up_s integer
) RETURNS TABLE (
    ord integer, outcome text, confirm_key text, seat_ids text[], seat_versions bigint[],
    seats_until timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    intents record;
    held record;
    outcomes text[];
    winners integer[];
    fence_until timestamptz;
BEGIN
    SELECT * INTO intents FROM payments_lock_intents_v1(p_schedule_id, p_user_ids, p_intent_ids);
    SELECT * INTO held FROM payments_lock_holds_v1(p_schedule_id, p_user_ids, intents.reservation_ids);
    fence_until := held.decided_at + make_interval(secs => p_fence_s);

    -- guard: begin_intent_that_exists: i.status IS NULL => false
    SELECT array_agg(CASE WHEN i.status IS NULL THEN 'intent_not_found'
                          -- guard: begin_only_what_is_open => WHEN false THEN 'not_open'
                          WHEN i.status <> 'OPEN' THEN 'not_open'
                          -- guard: begin_top_up_needs_no_hold: p_schedule_id IS NOT NULL AND =>
                          WHEN p_schedule_id IS NOT NULL AND (
                              -- guard: begin_only_what_is_held: i.held <> 'HELD' OR =>
                              -- guard: begin_nothing_after_its_end: OR i.ends_at <= held.decided_at =>
                              i.held IS NULL OR i.held <> 'HELD' OR i.ends_at <= held.decided_at
                              -- guard: begin_only_what_it_is_paying
                              OR i.paying IS DISTINCT FROM i.intent_id
                              ) THEN 'hold_expired'
                          ELSE 'begun' END ORDER BY i.at)
      INTO outcomes
      FROM unnest(intents.statuses, held.statuses, held.ends_at, held.intent_ids, p_intent_ids)
           WITH ORDINALITY i (status, held, ends_at, paying, intent_id, at);
    winners := array_positions(outcomes, 'begun');

    UPDATE payment_intents i
       SET status = 'CONFIRMING', attempts = i.attempts + 1, payment_key = p_payment_keys[w.i],
           confirm_key = i.intent_id || '-' || i.attempts + 1, begun_at = held.decided_at,
           fenced_until = fence_until, changed_at = held.decided_at, reason = NULL
      FROM unnest(winners) w (i)
     -- no guard: Finds the locked rows; the outcome is the guard.
     WHERE i.user_id = p_user_ids[w.i] AND i.intent_id = p_intent_ids[w.i];

    INSERT INTO provider_calls (user_id, call_id, intent_id, begun_at, provider, operation, idempotency_key)
    SELECT p_user_ids[w.i], p_call_ids[w.i], p_intent_ids[w.i], held.decided_at, intents.providers[w.i],
           'confirm', p_intent_ids[w.i] || '-' || intents.attempts[w.i] + 1
      FROM unnest(winners) w (i);

    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT k.kind, p_intent_ids[w.i], p_user_ids[w.i], k.due_at
      FROM unnest(winners) w (i)
     CROSS JOIN (VALUES ('look_up', held.decided_at + make_interval(secs => p_look_up_s)),
                        ('renew', fence_until - make_interval(secs => p_fence_s / 3.0))) k (kind, due_at)
     -- no guard: A top-up has no fence to renew.
     WHERE p_schedule_id IS NOT NULL OR k.kind = 'look_up'
     ORDER BY p_intent_ids[w.i], k.kind
        -- no guard: Work of an earlier attempt that the cashier has not removed yet.
        ON CONFLICT ON CONSTRAINT cashier_work_pkey DO UPDATE SET due_at = excluded.due_at, tries = 0;

    RETURN QUERY
    SELECT c.at::integer, c.outcome, p_intent_ids[c.at] || '-' || intents.attempts[c.at] + 1, m.seat_ids,
           m.seat_versions, m.seats_until
      FROM unnest(outcomes) WITH ORDINALITY c (outcome, at)
      LEFT JOIN payments_move_holds_v1(
           p_schedule_id, ARRAY(SELECT intents.reservation_ids[w.i] FROM unnest(winners) w (i)),
           ARRAY(SELECT p_intent_ids[w.i] FROM unnest(winners) w (i)),
           -- guard: begin_fence_never_shortens_a_hold: greatest(held.ends_at[w.i], fence_until) => fence_until
           ARRAY(SELECT greatest(held.ends_at[w.i], fence_until) FROM unnest(winners) w (i))) m
        -- no guard: Joins each command with its seats.
        ON winners[m.ord] = c.at
     ORDER BY c.at;
END;
$$;

-- Renew the fences of intents whose outcome is open, by p_fence_s seconds from now, up to p_fence_max_s after
-- the attempt began.
-- outcome: renewed, over (the attempt may not have its seats any longer), lapsed (it has lost them already),
-- not_in_flight, intent_not_found.
CREATE OR REPLACE FUNCTION payments_renew_fences_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_fence_s integer,
    p_fence_max_s integer
) RETURNS TABLE (
    ord integer, outcome text, seat_ids text[], seat_versions bigint[], seats_until timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    intents record;
    held record;
    outcomes text[];
    until timestamptz[];
    winners integer[];
BEGIN
    SELECT * INTO intents FROM payments_lock_intents_v1(p_schedule_id, p_user_ids, p_intent_ids);
    SELECT * INTO held FROM payments_lock_holds_v1(p_schedule_id, p_user_ids, intents.reservation_ids);

    -- guard: renew_up_to_a_bound: least( => greatest(
    SELECT array_agg(least(held.decided_at + make_interval(secs => p_fence_s),
                           b.begun_at + make_interval(secs => p_fence_max_s)) ORDER BY b.at)
      INTO until
      FROM unnest(intents.begun_at) WITH ORDINALITY b (begun_at, at);

    -- guard: renew_intent_that_exists: i.status IS NULL => false
    SELECT array_agg(CASE WHEN i.status IS NULL THEN 'intent_not_found'
                          -- guard: renew_only_what_is_in_flight => WHEN false THEN 'not_in_flight'
                          WHEN i.status NOT IN ('CONFIRMING', 'UNKNOWN', 'AWAITING_DEPOSIT')
                              THEN 'not_in_flight'
                          -- guard: renew_only_what_is_held: i.held <> 'HELD' OR =>
                          -- guard: renew_nothing_after_its_end: OR i.ends_at <= held.decided_at =>
                          WHEN i.held IS NULL OR i.held <> 'HELD' OR i.ends_at <= held.decided_at THEN 'lapsed'
                          -- guard: renew_never_shortens_a_hold => WHEN false THEN 'over'
                          WHEN i.until <= i.ends_at THEN 'over'
                          ELSE 'renewed' END ORDER BY i.at)
      INTO outcomes
      FROM unnest(intents.statuses, held.statuses, held.ends_at, until)
           WITH ORDINALITY i (status, held, ends_at, until, at);
    winners := array_positions(outcomes, 'renewed');

    UPDATE payment_intents i SET fenced_until = until[w.i]
      FROM unnest(winners) w (i)
     -- no guard: Finds the locked rows; the outcome is the guard.
     WHERE i.user_id = p_user_ids[w.i] AND i.intent_id = p_intent_ids[w.i];

    RETURN QUERY
    SELECT c.at::integer, c.outcome, m.seat_ids, m.seat_versions, m.seats_until
      FROM unnest(outcomes) WITH ORDINALITY c (outcome, at)
      LEFT JOIN payments_move_holds_v1(
           p_schedule_id, ARRAY(SELECT intents.reservation_ids[w.i] FROM unnest(winners) w (i)),
           ARRAY(SELECT p_intent_ids[w.i] FROM unnest(winners) w (i)),
           ARRAY(SELECT until[w.i] FROM unnest(winners) w (i))) m
        -- no guard: Joins each command with its seats.
        ON winners[m.ord] = c.at
     ORDER BY c.at;
END;
$$;

-- Change the status of intents of which no money is known to have moved. p_changes, and from which status:
--   cancel (OPEN, by the buyer), expire (OPEN, once the hold or, for a top-up, the session is over);
-- and, if the attempt is still that of p_confirm_keys (null: whichever), from CONFIRMING, UNKNOWN and
-- AWAITING_DEPOSIT: decline (to OPEN, or CANCELLED after p_attempts_max), unsent (to OPEN; the attempt does not
-- count), absent (to EXPIRED; the provider has proved that no money moved), unknown, await_deposit.
-- A hold whose fence ends this way ends as if it had not been fenced.
-- outcome: changed, kept (its status, time or attempt is another), intent_not_found.
CREATE OR REPLACE FUNCTION payments_change_intents_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_changes text[],
    p_confirm_keys text[],
    p_reasons text[],
    p_deposit_secrets text[],
    p_attempts_max integer
) RETURNS TABLE (
    ord integer, outcome text, seat_ids text[], seat_versions bigint[], seats_until timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    intents record;
    held record;
    targets text[];
    winners integer[];
BEGIN
    SELECT * INTO intents FROM payments_lock_intents_v1(p_schedule_id, p_user_ids, p_intent_ids);
    SELECT * INTO held FROM payments_lock_holds_v1(p_schedule_id, p_user_ids, intents.reservation_ids);

    SELECT array_agg(
               -- guard: change_nothing_that_is_missing: i.status IS NULL => false
               CASE WHEN i.status IS NULL THEN NULL
                    -- guard: change_cancel_only_what_is_open: AND i.status = 'OPEN' =>
                    WHEN i.change = 'cancel' AND i.status = 'OPEN' THEN 'CANCELLED'
                    -- guard: change_expire_only_what_is_open: AND i.status = 'OPEN' =>
                    WHEN i.change = 'expire' AND i.status = 'OPEN'
                         -- guard: change_expire_only_what_is_over => THEN 'EXPIRED'
                         AND coalesce(i.ends_at, i.session_ends_at) <= held.decided_at THEN 'EXPIRED'
                    -- guard: change_only_what_is_in_flight: i.status NOT IN ('CONFIRMING', 'UNKNOWN', 'AWAITING_DEPOSIT') => false
                    WHEN i.status NOT IN ('CONFIRMING', 'UNKNOWN', 'AWAITING_DEPOSIT')
                         -- guard: change_only_this_attempt => THEN NULL
                         OR i.confirm_key IS DISTINCT FROM coalesce(i.attempt, i.confirm_key) THEN NULL
                    -- guard: change_attempts_are_bounded => WHEN false THEN 'CANCELLED'
                    WHEN i.change = 'decline' AND i.attempts >= p_attempts_max THEN 'CANCELLED'
                    -- no guard: { Names of changes and what they change to.
                    WHEN i.change IN ('decline', 'unsent') THEN 'OPEN'
                    WHEN i.change = 'absent' THEN 'EXPIRED'
                    WHEN i.change = 'await_deposit' THEN 'AWAITING_DEPOSIT'
                    -- guard: }
                    -- guard: change_deposit_stays_awaited: AND i.status = 'CONFIRMING' =>
                    WHEN i.change = 'unknown' AND i.status = 'CONFIRMING' THEN 'UNKNOWN' END ORDER BY i.at)
      INTO targets
      FROM unnest(p_changes, p_confirm_keys, intents.statuses, intents.confirm_keys, intents.attempts,
                  intents.session_ends_at, held.ends_at)
           WITH ORDINALITY i (change, attempt, status, confirm_key, attempts, session_ends_at, ends_at, at);
    SELECT array_agg(t.at::integer ORDER BY t.at) INTO winners
      FROM unnest(targets) WITH ORDINALITY t (target, at)
     -- no guard: A null target changes nothing.
     WHERE t.target IS NOT NULL;

    UPDATE payment_intents i
       SET status = targets[w.i], reason = p_reasons[w.i], changed_at = held.decided_at,
           deposit_secret = coalesce(p_deposit_secrets[w.i], i.deposit_secret),
           -- no guard: An attempt that was not sent is not counted.
           attempts = i.attempts - CASE WHEN p_changes[w.i] = 'unsent' THEN 1 ELSE 0 END,
           -- no guard: { What the constraints of the table ask for.
           fenced_until = CASE WHEN targets[w.i] IN ('UNKNOWN', 'AWAITING_DEPOSIT') THEN i.fenced_until END,
           closed_at = CASE WHEN targets[w.i] IN ('CANCELLED', 'EXPIRED') THEN held.decided_at END
           -- guard: }
      FROM unnest(winners) w (i)
     -- no guard: Finds the locked rows; the target is the guard.
     WHERE i.user_id = p_user_ids[w.i] AND i.intent_id = p_intent_ids[w.i];

    PERFORM payments_plan_work_v1(
        ARRAY(SELECT p_user_ids[w.i] FROM unnest(winners) w (i)),
        ARRAY(SELECT p_intent_ids[w.i] FROM unnest(winners) w (i)),
        ARRAY(SELECT targets[w.i] FROM unnest(winners) w (i)),
        ARRAY(SELECT coalesce(intents.hold_ends_at[w.i], intents.session_ends_at[w.i]) FROM unnest(winners) w (i)),
        held.decided_at);

    RETURN QUERY
    SELECT c.at::integer,
           -- guard: change_intent_that_exists => CASE WHEN false THEN 'intent_not_found'
           CASE WHEN c.status IS NULL THEN 'intent_not_found'
                -- no guard: Reports the target above.
                WHEN c.target IS NULL THEN 'kept' ELSE 'changed' END,
           m.seat_ids, m.seat_versions, m.seats_until
      FROM unnest(intents.statuses, targets) WITH ORDINALITY c (status, target, at)
      LEFT JOIN payments_move_holds_v1(
           p_schedule_id, ARRAY(SELECT intents.reservation_ids[w.i] FROM unnest(winners) w (i)),
           -- guard: change_ended_intent_frees_its_hold => ARRAY(SELECT p_intent_ids[w.i]
           ARRAY(SELECT CASE WHEN targets[w.i] NOT IN ('CANCELLED', 'EXPIRED') THEN p_intent_ids[w.i] END
                   FROM unnest(winners) w (i)),
           -- guard: change_fence_is_given_back => ARRAY(SELECT held.ends_at[w.i]
           ARRAY(SELECT CASE WHEN targets[w.i] IN ('UNKNOWN', 'AWAITING_DEPOSIT') THEN held.ends_at[w.i]
                             ELSE least(held.ends_at[w.i], intents.hold_ends_at[w.i]) END
                   FROM unnest(winners) w (i))) m
        -- no guard: Joins each command with its seats.
        ON winners[m.ord] = c.at
     ORDER BY c.at;
END;
$$;

-- Replace the cashier's work on intents by what their new status asks for: an open one expires at p_ends_at, an
-- unknown or late one is looked up, and one that ended unpaid is abandoned at its provider.
CREATE OR REPLACE FUNCTION payments_plan_work_v1(
    p_user_ids uuid[], p_intent_ids uuid[], p_statuses text[], p_ends_at timestamptz[], p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    DELETE FROM cashier_work k
     USING unnest(p_intent_ids, p_statuses) c (intent_id, status)
     -- guard: plan_work_of_this_intent: AND k.subject_id = c.intent_id =>
     -- no guard: Names of kinds; work that is left finds nothing to do.
     WHERE k.kind IN ('expire', 'look_up', 'renew') AND k.subject_id = c.intent_id
       -- guard: plan_fence_of_what_is_in_flight_is_renewed => ;
       AND (k.kind <> 'renew' OR c.status NOT IN ('UNKNOWN', 'AWAITING_DEPOSIT'));

    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT w.kind, c.intent_id, c.user_id, w.due_at
      FROM unnest(p_user_ids, p_intent_ids, p_statuses, p_ends_at) c (user_id, intent_id, status, ends_at)
     CROSS JOIN LATERAL (
           -- guard: plan_open_intent_expires => SELECT NULL AS kind,
           SELECT CASE WHEN c.status = 'OPEN' THEN 'expire'
                       -- guard: plan_unknown_outcome_is_looked_up => WHEN false THEN 'look_up'
                       WHEN c.status IN ('UNKNOWN', 'AWAITING_DEPOSIT', 'CAPTURED_LATE') THEN 'look_up'
                       -- guard: plan_unpaid_intent_is_abandoned => WHEN false THEN 'abandon' END AS kind,
                       WHEN c.status IN ('CANCELLED', 'EXPIRED') THEN 'abandon' END AS kind,
                  -- no guard: When; the role looks again if it was too early.
                  CASE WHEN c.status = 'OPEN' THEN c.ends_at ELSE p_now + interval '2 seconds' END AS due_at) w
     -- no guard: Without a kind there is nothing to do.
     WHERE w.kind IS NOT NULL
     ORDER BY c.intent_id
        -- no guard: Work of an earlier end that the cashier has not removed yet.
        ON CONFLICT ON CONSTRAINT cashier_work_pkey DO UPDATE SET due_at = excluded.due_at, tries = 0;
END;
$$;

-- Book what a provider says that it has captured, each movement once, and decide what it pays. The transaction
-- has locked the intents; the arrays are theirs.
-- uses: sell; return (it may not be sold: another amount or currency, money that the provider has given back
-- already, an intent that the buyer has cancelled); extra (a second capture of an intent that has ended);
-- replayed (booked before); intent_not_found.
CREATE OR REPLACE FUNCTION payments_book_captures_v1(
    p_user_ids uuid[],
    p_transaction_keys text[],
    p_captured_minor bigint[],
    p_captured_currencies text[],
    p_happened_at timestamptz[],
    p_sellable boolean[],
    p_transfer_ids uuid[],
    p_statuses text[],
    p_providers text[],
    p_amounts_minor bigint[],
    p_currencies text[],
    OUT uses text[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    booked_at CONSTANT timestamptz := clock_timestamp();
    fresh uuid[];
BEGIN
    WITH booked AS (
        INSERT INTO provider_transactions AS t (
            provider, transaction_key, user_id, transfer_id, amount_minor, happened_at, booked_at, kind, currency)
        SELECT c.provider, c.key, c.user_id, c.transfer_id, c.amount_minor, c.happened_at, booked_at, 'capture',
               c.currency
          FROM unnest(p_providers, p_transaction_keys, p_user_ids, p_transfer_ids, p_captured_minor,
                      p_happened_at, p_captured_currencies, p_statuses)
               c (provider, key, user_id, transfer_id, amount_minor, happened_at, currency, status)
         -- guard: settle_only_intents_that_exist => WHERE true
         WHERE c.status IS NOT NULL
         ORDER BY c.provider, c.key
            -- no guard: Without it the primary key refuses the batch.
            ON CONFLICT ON CONSTRAINT provider_transactions_pkey DO NOTHING
        RETURNING t.transfer_id
    )
    SELECT array_agg(b.transfer_id) INTO fresh FROM booked b;

    WITH transfer AS (
        INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, provider, created_at)
        SELECT c.user_id, c.transfer_id, 'capture', c.amount_minor, c.currency, c.provider, booked_at
          FROM unnest(p_user_ids, p_transfer_ids, p_captured_minor, p_captured_currencies, p_providers)
               c (user_id, transfer_id, amount_minor, currency, provider)
         -- guard: settle_what_was_booked_is_not_booked_again => WHERE c.provider IS NOT NULL
         WHERE c.transfer_id = ANY (fresh)
        RETURNING user_id, transfer_id, amount_minor, currency
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
    SELECT t.user_id, t.transfer_id, l.leg, l.account, l.sign * t.amount_minor, t.currency
      FROM transfer t
     CROSS JOIN (VALUES (1, 'cash', -1), (2, 'suspense', 1)) l (leg, account, sign);

    -- guard: settle_unknown_intent_is_said: c.status IS NULL => false
    SELECT array_agg(CASE WHEN c.status IS NULL THEN 'intent_not_found'
                          -- guard: settle_late_money_tries_its_seats_again: AND c.status <> 'CAPTURED_LATE' =>
                          -- guard: settle_repetition_changes_nothing => WHEN false THEN 'replayed'
                          WHEN (c.transfer_id = ANY (fresh)) IS NOT TRUE AND c.status <> 'CAPTURED_LATE' THEN 'replayed'
                          -- guard: settle_second_capture_is_given_back => WHEN false THEN 'extra'
                          WHEN c.status IN ('SUCCEEDED', 'RETURNING', 'RETURNED') THEN 'extra'
                          -- guard: settle_amount_is_compared: c.captured_minor <> c.amount_minor OR =>
                          -- guard: settle_currency_is_compared: OR c.captured_currency <> c.currency =>
                          WHEN c.captured_minor <> c.amount_minor OR c.captured_currency <> c.currency
                               -- guard: settle_what_went_back_is_not_sold: NOT c.sellable OR => false OR
                               -- guard: settle_cancelled_intent_buys_nothing: c.status = 'CANCELLED' => false
                               OR NOT c.sellable OR c.status = 'CANCELLED' THEN 'return'
                          ELSE 'sell' END ORDER BY c.at)
      INTO uses
      FROM unnest(p_statuses, p_transfer_ids, p_captured_minor, p_captured_currencies, p_sellable,
                  p_amounts_minor, p_currencies)
           WITH ORDINALITY c (status, transfer_id, captured_minor, captured_currency, sellable, amount_minor,
                              currency, at);
END;
$$;

-- Settle captures of one schedule's intents: sell what they pay for. Seats whose hold has ended are tried again
-- as the new reservations p_second_ids; money that buys nothing is owed back as the refunds p_refund_ids.
-- Idempotent by p_transaction_keys, whichever of answer, notice, look-up and statement comes first.
-- outcome: sold, late (its seats are locked by a concurrent transaction: settle again), returning, replayed,
-- intent_not_found. seat_ids, seat_versions: of what was sold.
CREATE OR REPLACE FUNCTION payments_settle_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_payment_keys text[],
    p_transaction_keys text[],
    p_captured_minor bigint[],
    p_captured_currencies text[],
    p_happened_at timestamptz[],
    p_sellable boolean[],
    p_capture_ids uuid[],
    p_transfer_ids uuid[],
    p_payment_ids uuid[],
    p_second_ids uuid[],
    p_refund_ids uuid[]
) RETURNS TABLE (ord integer, outcome text, seat_ids text[], seat_versions bigint[])
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    intents record;
    sold record;
    uses text[];
    of_sold jsonb := '{}';
    attempts integer[];
BEGIN
    SELECT * INTO intents FROM payments_lock_intents_v1(p_schedule_id, p_user_ids, p_intent_ids);
    -- All that is locked below, in order.
    PERFORM payments_lock_holds_v1(p_schedule_id, p_user_ids, intents.reservation_ids);
    SELECT b.uses INTO uses
      FROM payments_book_captures_v1(
               p_user_ids, p_transaction_keys, p_captured_minor, p_captured_currencies, p_happened_at,
               p_sellable, p_capture_ids, intents.statuses, intents.providers, intents.amounts_minor,
               intents.currencies) b;

    -- An intent that was given up pays for its hold all the same, if that is there and nothing else pays it.
    UPDATE reservations r SET intent_id = w.intent_id
      FROM (SELECT l.place, p_intent_ids[c.i] AS intent_id
              FROM unnest(array_positions(uses, 'sell')) c (i)
             CROSS JOIN LATERAL (
                   SELECT r.ctid AS place FROM reservations r
                    -- no guard: Finds the reservation, which the transaction has locked.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = intents.reservation_ids[c.i]
                      -- guard: settle_hold_of_another_intent_is_left
                      AND r.intent_id IS NULL
                      -- no guard: What has ended is not sold.
                      AND r.status = 'HELD'
                   OFFSET 0) l) w
     -- no guard: Finds the locked row.
     WHERE r.ctid = w.place AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id;

    FOR again IN 0..1 LOOP
        -- guard: settle_lapsed_hold_tries_its_seats_again => IF false THEN
        IF again = 1 THEN
            SELECT s.uses, s.reservation_ids INTO uses, intents.reservation_ids
              FROM payments_hold_again_v1(
                       p_schedule_id, p_user_ids, p_intent_ids, p_second_ids, intents.reservation_ids,
                       intents.amounts_minor, uses) s;
        END IF;
        attempts := array_positions(uses, 'sell');
        -- no guard: Saves a call when there is nothing to sell.
        CONTINUE WHEN attempts = '{}';
        SELECT * INTO sold
          FROM payments_sell_v1(
                   p_schedule_id, ARRAY(SELECT p_payment_ids[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT p_transfer_ids[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT p_user_ids[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT intents.reservation_ids[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT intents.providers[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT p_payment_keys[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT p_intent_ids[a.i] FROM unnest(attempts) a (i)),
                   ARRAY(SELECT intents.fingerprints[a.i] FROM unnest(attempts) a (i))) s;
        -- no guard: { Names of outcomes; what was not tried keeps its use.
        SELECT array_agg(CASE WHEN a.n IS NULL THEN u.use
                              WHEN sold.outcomes[a.n] = 'paid' THEN 'sold'
                              -- guard: }
                              -- guard: settle_only_a_lapsed_hold_tries_again: AND sold.outcomes[a.n] = 'hold_expired' =>
                              WHEN again = 0 AND sold.outcomes[a.n] = 'hold_expired' THEN 'lapsed'
                              ELSE 'return' END ORDER BY u.at)
          INTO uses
          FROM unnest(uses) WITH ORDINALITY u (use, at)
          -- no guard: Joins each command with its attempt.
          LEFT JOIN unnest(attempts) WITH ORDINALITY a (i, n) ON a.i = u.at;
        SELECT of_sold || coalesce(jsonb_object_agg(attempts[s.n], s.seats), '{}') INTO of_sold
          FROM unnest(sold.seats) WITH ORDINALITY s (seats, n)
         -- no guard: Only what was sold has seats.
         WHERE s.seats IS NOT NULL;
    END LOOP;
    -- no guard: A hold that could not be had again.
    uses := array_replace(uses, 'lapsed', 'return');

    PERFORM payments_finish_intents_v1(
        p_schedule_id, p_user_ids, p_intent_ids, intents.reservation_ids, intents.providers, p_payment_keys,
        p_payment_ids, p_transfer_ids, p_refund_ids, p_captured_minor, p_captured_currencies, uses);

    RETURN QUERY
    SELECT u.at::integer, replace(replace(u.use, 'return', 'returning'), 'extra', 'returning'),
           ARRAY(SELECT jsonb_array_elements_text(of_sold -> u.at::text -> 'ids')),
           ARRAY(SELECT jsonb_array_elements_text(of_sold -> u.at::text -> 'versions')::bigint)
      FROM unnest(uses) WITH ORDINALITY u (use, at)
     ORDER BY u.at;
END;
$$;

-- Pay reservations with captured money; per command the outcome and, where it is paid, its seats and their
-- new versions.
CREATE OR REPLACE FUNCTION payments_sell_v1(
    p_schedule_id uuid,
    p_payment_ids uuid[],
    p_transfer_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    p_providers text[],
    p_payment_keys text[],
    p_intent_ids uuid[],
    p_fingerprints bytea[],
    OUT outcomes text[],
    OUT seats jsonb[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    paid record;
BEGIN
    SELECT * INTO paid
      FROM payments_pay_v3(
               p_schedule_id, p_payment_ids, p_transfer_ids, p_user_ids, p_reservation_ids, p_providers,
               p_payment_keys, p_intent_ids, p_intent_ids::text[], p_fingerprints, false);
    outcomes := coalesce(paid.outcomes, array_fill('paid'::text, ARRAY[cardinality(p_payment_ids)]));
    -- no guard: What was not paid has no seats.
    SELECT array_agg(CASE WHEN o.outcome = 'paid' THEN jsonb_build_object(
                         'ids', paid.seat_ids[coalesce(paid.seats_to[o.nth - 1], 0) + 1:paid.seats_to[o.nth]],
                         'versions',
                         paid.seat_versions[coalesce(paid.seats_to[o.nth - 1], 0) + 1:paid.seats_to[o.nth]])
                     END ORDER BY o.at)
      INTO seats
      FROM (SELECT o.outcome, o.at,
                   -- no guard: The place of a paid command among those that are paid.
                   (count(*) FILTER (WHERE o.outcome = 'paid') OVER (ORDER BY o.at))::integer AS nth
              FROM unnest(outcomes) WITH ORDINALITY o (outcome, at)) o;
END;
$$;

-- Reservations whose holds have ended, archived ones included: their seats, and what was chosen of offers. The
-- caller knows that they are its people's.
CREATE OR REPLACE FUNCTION payments_lapsed_holds_v1(p_schedule_id uuid, p_reservation_ids uuid[])
RETURNS TABLE (ord integer, seat_ids text[], price_types text[], code bytea)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.at::integer, r.seat_ids,
           coalesce(o.price_types, array_fill(''::text, ARRAY[cardinality(r.seat_ids)])), o.code_hash
      FROM unnest(p_reservation_ids) WITH ORDINALITY c (reservation_id, at)
     CROSS JOIN LATERAL (
           SELECT r.seat_ids FROM reservations r
            -- no guard: Finds the reservation, which the transaction has locked.
            WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.reservation_id
            UNION ALL
           SELECT a.seat_ids FROM reservations_archive a
            -- guard: again_also_what_was_archived => WHERE false
            WHERE a.schedule_id = p_schedule_id AND a.reservation_id = c.reservation_id
           OFFSET 0) r
      LEFT JOIN LATERAL (
           SELECT o.price_types, o.code_hash FROM reservation_offers o
            -- guard: again_by_its_own_choice_of_offers => WHERE false
            WHERE o.schedule_id = p_schedule_id AND o.reservation_id = c.reservation_id
           -- no guard: Joins each reservation with its offers, if any; the conditions are inside.
           OFFSET 0) o ON true;
END;
$$;

-- Hold the seats of lapsed reservations again, for the intents that have paid for them, whose people's locks
-- the transaction has; where offers decide, by the same price types and code, whose limits count again. uses:
-- where it was lapsed, sell if the seats are held for the same amount by the new reservation, late if they are
-- locked by a concurrent transaction, else return.
CREATE OR REPLACE FUNCTION payments_hold_again_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_second_ids uuid[],
    p_reservation_ids uuid[],
    p_amounts_minor bigint[],
    p_uses text[],
    OUT uses text[],
    OUT reservation_ids uuid[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    lapsed integer[];
    new_ids uuid[];
    people uuid[];
    fingerprints bytea[];
    seat_ids text[];
    price_types text[];
    codes bytea[];
    seat_counts integer[];
    seats_to integer[];
    wanted_by integer[];
    held record;
    won uuid[];
BEGIN
    uses := p_uses;
    reservation_ids := p_reservation_ids;
    SELECT array_agg(x.i ORDER BY x.i), array_agg(x.seats ORDER BY x.i), array_agg(x.seats_to ORDER BY x.i),
           array_agg(x.code ORDER BY x.i), array_agg(p_second_ids[x.i] ORDER BY x.i),
           array_agg(p_user_ids[x.i] ORDER BY x.i), array_agg('\x'::bytea)
      INTO lapsed, seat_counts, seats_to, codes, new_ids, people, fingerprints
      FROM (SELECT l.i, cardinality(r.seat_ids) AS seats, r.code,
                   (sum(cardinality(r.seat_ids)) OVER (ORDER BY l.i))::integer AS seats_to
              FROM unnest(array_positions(p_uses, 'lapsed')) l (i)
             CROSS JOIN LATERAL payments_lapsed_holds_v1(p_schedule_id, p_reservation_ids[l.i:l.i]) r) x;
    -- guard: again_only_what_has_lapsed => IF false THEN
    IF lapsed IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(t.seat_id ORDER BY l.n, t.n), array_agg(l.n::integer ORDER BY l.n, t.n),
           array_agg(t.price_type ORDER BY l.n, t.n)
      INTO seat_ids, wanted_by, price_types
      FROM unnest(lapsed) WITH ORDINALITY l (i, n)
     CROSS JOIN LATERAL payments_lapsed_holds_v1(p_schedule_id, p_reservation_ids[l.i:l.i]) r
     CROSS JOIN LATERAL unnest(r.seat_ids, r.price_types) WITH ORDINALITY t (seat_id, price_type, n);

    -- Money is there: unpaid ends of other holds delay nothing.
    SELECT * INTO held
      FROM reservations_hold_v4(
               p_schedule_id, new_ids, people, new_ids::text[], fingerprints, seat_ids, seat_counts, seats_to,
               wanted_by, false, 2147483647, 0, 0, NULL);
    -- The row of the terms is locked last, as in a refund: no hold waits once it has that row.
    -- guard: again_offers_decide_where_there_are_some => IF false THEN
    IF held.outcomes[1] = 'offers_decide' THEN
        SELECT * INTO held
          FROM offers_hold_v1(
                   p_schedule_id, new_ids, people, new_ids::text[], fingerprints, seat_ids, seat_counts,
                   seats_to, wanted_by, false, 2147483647, 0, 0, price_types, codes);
    END IF;

    -- no guard: What was not tried keeps its use.
    SELECT array_agg(CASE WHEN l.n IS NULL THEN u.use
                          -- guard: again_locked_seats_are_tried_later => WHEN false THEN 'late'
                          WHEN h.outcome IN ('seat_busy', 'person_busy', 'offers_busy') THEN 'late'
                          -- no guard: A payment refuses what is not held; this says so at once.
                          WHEN h.outcome <> 'held' THEN 'return'
                          -- guard: again_for_the_same_amount => WHEN false THEN 'return'
                          WHEN h.amount_minor <> p_amounts_minor[u.at] THEN 'return'
                          ELSE 'sell' END ORDER BY u.at)
      INTO uses
      FROM unnest(p_uses) WITH ORDINALITY u (use, at)
      -- no guard: Joins each command with its hold.
      LEFT JOIN unnest(lapsed) WITH ORDINALITY l (i, n) ON l.i = u.at
      LEFT JOIN LATERAL (
           SELECT o.outcome, held.amounts_minor[o.nth] AS amount_minor
             FROM (SELECT o.outcome, o.n,
                          -- no guard: The place of a held command among those that are held.
                          count(*) FILTER (WHERE o.outcome = 'held') OVER (ORDER BY o.n) AS nth
                     FROM unnest(coalesce(held.outcomes,
                                          array_fill('held'::text, ARRAY[cardinality(lapsed)])))
                          WITH ORDINALITY o (outcome, n)) o
            -- no guard: Joins each command with its outcome.
            WHERE o.n = l.n) h ON true;

    won := ARRAY(SELECT p_second_ids[w.i] FROM unnest(array_positions(uses, 'sell')) w (i));
    UPDATE reservations r SET intent_id = w.intent_id
      FROM (SELECT l.place, c.intent_id
              FROM unnest(p_second_ids, p_intent_ids) c (reservation_id, intent_id)
             CROSS JOIN LATERAL (
                   SELECT r.ctid AS place FROM reservations r
                    -- no guard: { Finds the reservations that were made above.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.reservation_id
                      AND c.reservation_id = ANY (won)
                   OFFSET 0) l) w
     WHERE r.ctid = w.place AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id;
                    -- guard: }
    -- guard: again_the_new_reservation_is_paid: c.second_id = ANY (won) => false
    SELECT array_agg(CASE WHEN c.second_id = ANY (won) THEN c.second_id ELSE c.first_id END ORDER BY c.at)
      INTO reservation_ids
      FROM unnest(p_reservation_ids, p_second_ids) WITH ORDINALITY c (first_id, second_id, at);
END;
$$;

-- Write what became of settled intents, by p_uses: sold, late, return and extra; the others stay as they are.
-- Money that is returned moves from suspense to what is owed, as a refund for the cashier to pay.
CREATE OR REPLACE FUNCTION payments_finish_intents_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_reservation_ids uuid[],
    p_providers text[],
    p_payment_keys text[],
    p_payment_ids uuid[],
    p_transfer_ids uuid[],
    p_refund_ids uuid[],
    p_captured_minor bigint[],
    p_captured_currencies text[],
    p_uses text[]
) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    finished_at CONSTANT timestamptz := clock_timestamp();
    targets text[];
    winners integer[];
    returned integer[];
BEGIN
    -- no guard: { Names of uses and of the statuses that follow.
    SELECT array_agg(CASE u.use WHEN 'sold' THEN 'SUCCEEDED' WHEN 'late' THEN 'CAPTURED_LATE'
                     WHEN 'return' THEN 'RETURNING' END ORDER BY u.at),
           -- guard: }
           -- no guard: A use without a status leaves the intent as it is.
           array_agg(u.at::integer ORDER BY u.at) FILTER (WHERE u.use IN ('sold', 'late', 'return')),
           -- guard: finish_returns_what_is_extra: IN ('return', 'extra') => = 'return'
           array_agg(u.at::integer ORDER BY u.at) FILTER (WHERE u.use IN ('return', 'extra'))
      INTO targets, winners, returned
      FROM unnest(p_uses) WITH ORDINALITY u (use, at);

    UPDATE payment_intents i
       SET status = targets[w.i], payment_key = p_payment_keys[w.i], reservation_id = p_reservation_ids[w.i],
           changed_at = finished_at, fenced_until = NULL,
           -- no guard: { What the constraints of the table ask for.
           payment_id = CASE WHEN targets[w.i] = 'SUCCEEDED' AND p_schedule_id IS NOT NULL
                             THEN p_payment_ids[w.i] END,
           closed_at = CASE WHEN targets[w.i] = 'SUCCEEDED' THEN finished_at END
           -- guard: }
      FROM unnest(winners) w (i)
     -- no guard: Finds the rows that the transaction has locked.
     WHERE i.user_id = p_user_ids[w.i] AND i.intent_id = p_intent_ids[w.i];

    UPDATE reservations r SET intent_id = NULL
      FROM (SELECT l.place
              FROM unnest(returned) w (i)
             CROSS JOIN LATERAL (
                   SELECT r.ctid AS place FROM reservations r
                    -- no guard: Finds the reservation, which the transaction has locked.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = p_reservation_ids[w.i]
                      -- guard: finish_frees_a_hold_of_this_intent_only
                      AND r.intent_id = p_intent_ids[w.i] AND r.status = 'HELD'
                   OFFSET 0) l) w
     -- no guard: Finds the locked row.
     WHERE r.ctid = w.place AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id;

    WITH transfer AS (
        INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, created_at)
        SELECT p_user_ids[w.i], p_transfer_ids[w.i], 'late', p_captured_minor[w.i], p_captured_currencies[w.i],
               finished_at
          FROM unnest(returned) w (i)
        RETURNING user_id, transfer_id, amount_minor, currency
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
    SELECT t.user_id, t.transfer_id, l.leg, l.account, l.sign * t.amount_minor, t.currency
      FROM transfer t
     CROSS JOIN (VALUES (1, 'suspense', -1), (2, 'refunds_due', 1)) l (leg, account, sign);

    INSERT INTO refunds (
        user_id, refund_id, intent_id, amount_minor, created_at, changed_at, reason, destination, currency,
        provider, payment_key, is_whole, idempotency_key, fingerprint)
    SELECT p_user_ids[w.i], p_refund_ids[w.i], p_intent_ids[w.i], p_captured_minor[w.i], finished_at,
           finished_at, 'late', 'provider', p_captured_currencies[w.i], p_providers[w.i], p_payment_keys[w.i],
           true, 'late:' || p_transfer_ids[w.i], '\x'
      FROM unnest(returned) w (i);

    INSERT INTO cashier_work (kind, subject_id, user_id, due_at)
    SELECT 'refund', p_refund_ids[w.i], p_user_ids[w.i], finished_at FROM unnest(returned) w (i);

    PERFORM payments_plan_work_v1(
        ARRAY(SELECT p_user_ids[w.i] FROM unnest(winners) w (i)),
        ARRAY(SELECT p_intent_ids[w.i] FROM unnest(winners) w (i)),
        ARRAY(SELECT targets[w.i] FROM unnest(winners) w (i)), NULL, finished_at);

    INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency)
    SELECT p_user_ids[w.i], 'payment.late', finished_at, ARRAY[p_intent_ids[w.i]], ARRAY[p_user_ids[w.i]],
           ARRAY[p_captured_minor[w.i]], p_captured_currencies[w.i]
      FROM unnest(returned) w (i);
END;
$$;

-- Settle captures of top-ups: the money goes into the wallets. Money for a wallet in another currency, or that
-- would lift the balance above p_balance_max_minor, is owed back. outcomes as in payments_settle_v1.
CREATE OR REPLACE FUNCTION payments_settle_top_ups_v1(
    p_user_ids uuid[],
    p_intent_ids uuid[],
    p_payment_keys text[],
    p_transaction_keys text[],
    p_captured_minor bigint[],
    p_captured_currencies text[],
    p_happened_at timestamptz[],
    p_sellable boolean[],
    p_capture_ids uuid[],
    p_transfer_ids uuid[],
    p_payment_ids uuid[],
    p_second_ids uuid[],
    p_refund_ids uuid[],
    p_balance_max_minor bigint
) RETURNS TABLE (ord integer, outcome text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    intents record;
    uses text[];
    wallet record;
    topped_up_at timestamptz;
BEGIN
    SELECT * INTO intents FROM payments_lock_intents_v1(NULL, p_user_ids, p_intent_ids);
    SELECT b.uses INTO uses
      FROM payments_book_captures_v1(
               p_user_ids, p_transaction_keys, p_captured_minor, p_captured_currencies, p_happened_at,
               p_sellable, p_capture_ids, intents.statuses, intents.providers, intents.amounts_minor,
               intents.currencies) b;

    FOR wallet IN
        SELECT w.user_id, w.balance_minor, w.currency FROM wallets w
         -- no guard: Other wallets have nothing to settle.
         WHERE w.user_id = ANY (p_user_ids)
         -- guard: settle_wallets_are_locked: FOR NO KEY UPDATE =>
         -- no guard: Top-ups guard the order of the same locks.
         ORDER BY w.user_id FOR NO KEY UPDATE
    LOOP
        topped_up_at := clock_timestamp();
        FOR i IN 1..cardinality(uses) LOOP
            -- guard: settle_ones_own_top_ups: p_user_ids[i] <> wallet.user_id OR =>
            CONTINUE WHEN p_user_ids[i] <> wallet.user_id OR uses[i] <> 'sell';
            -- guard: settle_wallets_currency: wallet.currency <> p_captured_currencies[i] => false
            uses[i] := CASE WHEN wallet.currency <> p_captured_currencies[i] THEN 'return'
                            -- guard: settle_wallets_limit => WHEN false THEN 'return'
                            WHEN wallet.balance_minor + p_captured_minor[i] > p_balance_max_minor THEN 'return'
                            ELSE 'sold' END;
            -- guard: settle_what_is_returned_tops_up_nothing
            CONTINUE WHEN uses[i] = 'return';
            wallet.balance_minor := wallet.balance_minor + p_captured_minor[i];
            WITH transfer AS (
                INSERT INTO transfers (
                    user_id, transfer_id, kind, amount_minor, currency, balance_after_minor, created_at)
                VALUES (wallet.user_id, p_transfer_ids[i], 'top_up', p_captured_minor[i], wallet.currency,
                        wallet.balance_minor, topped_up_at)
            )
            INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
            VALUES (wallet.user_id, p_transfer_ids[i], 1, 'wallet', p_captured_minor[i], wallet.currency),
                   (wallet.user_id, p_transfer_ids[i], 2, 'suspense', -p_captured_minor[i], wallet.currency);
            UPDATE wallets w SET balance_minor = wallet.balance_minor, version = w.version + 1
             -- guard: settle_tops_up_the_locked_wallet
             WHERE w.user_id = wallet.user_id;
            INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, amounts_minor, currency)
            VALUES (wallet.user_id, 'wallet.charged', topped_up_at, ARRAY[p_transfer_ids[i]],
                    ARRAY[wallet.user_id], ARRAY[p_captured_minor[i]], wallet.currency);
        END LOOP;
    END LOOP;

    PERFORM payments_finish_intents_v1(
        NULL, p_user_ids, p_intent_ids, intents.reservation_ids, intents.providers, p_payment_keys,
        p_payment_ids, p_transfer_ids, p_refund_ids, p_captured_minor, p_captured_currencies, uses);

    RETURN QUERY
    SELECT u.at::integer, replace(replace(u.use, 'return', 'returning'), 'extra', 'returning')
      FROM unnest(uses) WITH ORDINALITY u (use, at)
     ORDER BY u.at;
END;
$$;

-- Have every intent looked up that is open in a restored database: in the time that it lost, the provider may have
-- moved its money. Returns how many.
CREATE OR REPLACE FUNCTION payments_after_restore_v1() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    intents bigint;
BEGIN
    INSERT INTO cashier_work AS w (kind, subject_id, user_id, due_at)
    SELECT 'look_up', i.intent_id, i.user_id, clock_timestamp()
      FROM payment_intents i
     -- guard: restored_intents_that_are_open_are_looked_up => WHERE false
     WHERE i.status = ANY ('{OPEN,CONFIRMING,UNKNOWN,AWAITING_DEPOSIT,CAPTURED_LATE}'::text[])
        -- no guard: Work that exists is due now.
        ON CONFLICT ON CONSTRAINT cashier_work_pkey DO UPDATE SET due_at = least(w.due_at, excluded.due_at);
    -- no guard: A figure for people.
    GET DIAGNOSTICS intents = ROW_COUNT;
    RETURN intents;
END;
$$;
