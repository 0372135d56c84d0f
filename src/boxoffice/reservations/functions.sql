-- The decisions of the reservations room. Each takes one schedule and a batch of commands in arrival
-- order, decides all of them in one transaction and returns one row per command. Names carry a
-- version, so that pods of two releases can run side by side: change the signature or the meaning,
-- and it is a new version.

-- Lock order in every function of the shop: people of a schedule (advisory, sorted), reservations
-- (sorted), seats (sorted), wallets (sorted).
-- A hold waits for nobody (try-lock, SKIP LOCKED), so it is never part of a deadlock.

-- Statistics are always late for a sale: a hall that was uploaded a moment ago has none, and the tables
-- of the hot path grow from nothing within seconds. So no plan may depend on them. Every row is looked
-- up by its key from within a LATERAL that the planner cannot turn around (FOR UPDATE, OFFSET 0 and an
-- aggregate each see to that), and a row that is locked is changed by its place, `ctid`, which stays
-- while the lock is held. The schedule is compared by IS NOT DISTINCT FROM beside a place, which no
-- index serves. With nothing left to choose, the settings of the functions spare the planning.

-- Hold seats. The worker sends the distinct seats and people of the batch once, sorted, and each
-- command points into them: command i wants p_seat_ids[p_seat_at[k]] for k from p_seat_from[i] to
-- p_seat_from[i + 1] - 1, for p_user_ids[p_user_at[i]]. No (person, key) appears twice in a batch.
-- outcome: held, replayed, key_reused, schedule_not_found, not_on_sale, seat_not_found, no_seats,
-- seat_taken, ticket_limit; or somebody whose outcome is open is in the way, and it is to be asked again:
-- person_busy (the same person's own request), seat_busy (somebody else's).
-- seat_ids: the seats of the reservation, or those that are taken, busy or unknown.
-- seat_versions: where it is held, what each of these seats' version is now.
CREATE OR REPLACE FUNCTION reservations_hold_v2(
    p_schedule_id uuid,
    p_seat_ids text[],
    p_user_ids uuid[],
    p_reservation_ids uuid[],
    p_user_at integer[],
    p_seat_from integer[],
    p_seat_at integer[],
    p_keys text[],
    p_fingerprints bytea[]
) RETURNS TABLE (
    ord integer, outcome text, reservation_id uuid, created_at timestamptz, expires_at timestamptz,
    amount_minor bigint, currency text, seat_ids text[], seat_versions bigint[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
DECLARE
    commands CONSTANT integer := cardinality(p_reservation_ids);
    outcomes text[] := array_fill(NULL::text, ARRAY[commands]);
    -- Per seat of the batch: 'free', 'taken', 'locked' (outcome open elsewhere) or 'unknown'.
    seat_is text[] := array_fill('unknown'::text, ARRAY[cardinality(p_seat_ids)]);
    seat_place tid[] := array_fill(NULL::tid, ARRAY[cardinality(p_seat_ids)]);
    seat_version bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_seat_ids)]);
    seat_after bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_seat_ids)]);
    seat_price bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_seat_ids)]);
    user_locked boolean[];
    user_seats bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_user_ids)]);
    schedule record;
    hit record;
    decided_at timestamptz;
    hold_until timestamptz;
    wanted integer[];
    bad text[];
    total bigint;
    verdict text;
    winners integer[] := '{}';
    winner_totals bigint[] := '{}';
    won_seats integer[] := '{}';
    won_by integer[] := '{}';
    changed bigint;
BEGIN
    -- One person's requests for one schedule are decided one after the other, on all pods: the
    -- ticket limit and the idempotency key rest on it.
    SELECT array_agg(
               pg_try_advisory_xact_lock(uuid_hash_extended(u.id, uuid_hash_extended(p_schedule_id, 0)))
               ORDER BY u.at)
      INTO user_locked
      FROM unnest(p_user_ids) WITH ORDINALITY u (id, at);

    decided_at := clock_timestamp();

    SELECT s.status, s.sale_opens_at, s.sale_closes_at, s.hold_ttl_s, s.ticket_limit, s.currency
      INTO schedule
      FROM schedules s
     WHERE s.schedule_id = p_schedule_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT i, 'schedule_not_found', NULL::uuid, NULL::timestamptz, NULL::timestamptz,
                            NULL::bigint, NULL::text, NULL::text[], NULL::bigint[]
                       FROM generate_series(1, commands) i;
        RETURN;
    END IF;
    hold_until := decided_at + make_interval(secs => schedule.hold_ttl_s);

    FOR hit IN
        SELECT k.at::integer AS at,
               CASE WHEN r.fingerprint = k.fingerprint THEN 'replayed' ELSE 'key_reused' END AS outcome,
               r.reservation_id, r.created_at, r.expires_at, r.amount_minor, r.currency, r.seat_ids
          FROM unnest(p_keys, p_fingerprints, p_user_at) WITH ORDINALITY k (key, fingerprint, user_at, at)
         CROSS JOIN LATERAL (
               SELECT r.reservation_id, r.created_at, r.expires_at, r.amount_minor, r.currency,
                      r.seat_ids, r.fingerprint
                 FROM reservations r
                WHERE r.schedule_id = p_schedule_id
                  AND r.user_id = p_user_ids[k.user_at]
                  AND r.idempotency_key = k.key
               OFFSET 0) r
    LOOP
        outcomes[hit.at] := hit.outcome;
        RETURN QUERY SELECT hit.at, hit.outcome, hit.reservation_id, hit.created_at,
                            hit.expires_at, hit.amount_minor, hit.currency, hit.seat_ids, NULL::bigint[];
    END LOOP;

    FOR hit IN
        SELECT b.at, l.place, l.version, l.after, l.price_minor
          FROM unnest(p_seat_ids) WITH ORDINALITY b (id, at)
         CROSS JOIN LATERAL (
               SELECT s.ctid AS place, s.version, s.price_minor,
                      s.version + CASE s.state WHEN 'HELD' THEN 2 ELSE 1 END AS after
                 FROM seats s
                WHERE s.schedule_id = p_schedule_id
                  AND s.seat_id = b.id
                  AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= decided_at))
                  FOR UPDATE OF s SKIP LOCKED) l
    LOOP
        seat_is[hit.at] := 'free';
        seat_place[hit.at] := hit.place;
        seat_version[hit.at] := hit.version;
        seat_after[hit.at] := hit.after;
        seat_price[hit.at] := hit.price_minor;
    END LOOP;

    IF 'unknown' = ANY (seat_is) THEN
        FOR hit IN
            SELECT b.at, l.open
              FROM unnest(p_seat_ids, seat_is) WITH ORDINALITY b (id, was, at)
             CROSS JOIN LATERAL (
                   SELECT s.state = 'AVAILABLE'
                          OR (s.state = 'HELD' AND s.expires_at <= decided_at) AS open
                     FROM seats s
                    WHERE s.schedule_id = p_schedule_id AND s.seat_id = b.id
                   OFFSET 0) l
             WHERE b.was = 'unknown'
        LOOP
            seat_is[hit.at] := CASE WHEN hit.open THEN 'locked' ELSE 'taken' END;
        END LOOP;
    END IF;

    FOR hit IN
        SELECT u.at, l.seats
          FROM unnest(p_user_ids) WITH ORDINALITY u (id, at)
         CROSS JOIN LATERAL (
               SELECT sum(cardinality(r.seat_ids)) AS seats
                 FROM reservations r
                WHERE r.schedule_id = p_schedule_id
                  AND r.user_id = u.id
                  AND (r.status = 'CONFIRMED' OR (r.status = 'HELD' AND r.expires_at > decided_at))) l
         WHERE l.seats IS NOT NULL
    LOOP
        user_seats[hit.at] := hit.seats;
    END LOOP;

    FOR i IN 1..commands LOOP
        CONTINUE WHEN outcomes[i] IS NOT NULL;
        wanted := p_seat_at[p_seat_from[i]:p_seat_from[i + 1] - 1];
        bad := NULL;
        total := 0;
        verdict := 'held';
        IF NOT user_locked[p_user_at[i]] THEN
            verdict := 'person_busy';
        ELSIF schedule.status <> 'OPEN' OR decided_at < schedule.sale_opens_at
              OR decided_at >= schedule.sale_closes_at THEN
            verdict := 'not_on_sale';
        ELSIF cardinality(wanted) = 0 THEN
            verdict := 'no_seats';
        ELSE
            FOR k IN 1..cardinality(wanted) LOOP
                CASE seat_is[wanted[k]]
                    WHEN 'free' THEN
                        total := total + seat_price[wanted[k]];
                    WHEN 'unknown' THEN
                        bad := CASE WHEN verdict = 'seat_not_found' THEN bad END
                               || p_seat_ids[wanted[k]];
                        verdict := 'seat_not_found';
                    WHEN 'taken' THEN
                        IF verdict <> 'seat_not_found' THEN
                            bad := CASE WHEN verdict = 'seat_taken' THEN bad END
                                   || p_seat_ids[wanted[k]];
                            verdict := 'seat_taken';
                        END IF;
                    ELSE
                        IF verdict IN ('held', 'seat_busy') THEN
                            bad := bad || p_seat_ids[wanted[k]];
                            verdict := 'seat_busy';
                        END IF;
                END CASE;
            END LOOP;
            IF verdict = 'held'
               AND user_seats[p_user_at[i]] + cardinality(wanted) > schedule.ticket_limit THEN
                verdict := 'ticket_limit';
            END IF;
        END IF;
        outcomes[i] := verdict;
        IF verdict = 'held' THEN
            user_seats[p_user_at[i]] := user_seats[p_user_at[i]] + cardinality(wanted);
            winners := winners || i;
            winner_totals := winner_totals || total;
            FOR k IN 1..cardinality(wanted) LOOP
                seat_is[wanted[k]] := 'taken';
                won_seats := won_seats || wanted[k];
                won_by := won_by || i;
            END LOOP;
            RETURN QUERY SELECT i, verdict, p_reservation_ids[i], decided_at, hold_until, total,
                                schedule.currency,
                                ARRAY(SELECT p_seat_ids[w.at]
                                        FROM unnest(wanted) WITH ORDINALITY w (at, n) ORDER BY w.n),
                                ARRAY(SELECT seat_after[w.at]
                                        FROM unnest(wanted) WITH ORDINALITY w (at, n) ORDER BY w.n);
        ELSE
            RETURN QUERY SELECT i, verdict, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
                                NULL::bigint, NULL::text, bad, NULL::bigint[];
        END IF;
    END LOOP;

    IF cardinality(winners) = 0 THEN
        RETURN;
    END IF;

    INSERT INTO reservations (
        schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, currency, seat_ids,
        idempotency_key, fingerprint)
    SELECT p_schedule_id, p_reservation_ids[w.i], p_user_ids[p_user_at[w.i]], decided_at, hold_until,
           w.total, schedule.currency,
           ARRAY(SELECT p_seat_ids[p_seat_at[k]]
                   FROM generate_series(p_seat_from[w.i], p_seat_from[w.i + 1] - 1) k ORDER BY k),
           p_keys[w.i], p_fingerprints[w.i]
      FROM unnest(winners, winner_totals) w (i, total);

    UPDATE seats s
       SET state = 'HELD',
           reservation_id = p_reservation_ids[w.i],
           user_id = p_user_ids[p_user_at[w.i]],
           expires_at = hold_until,
           version = seat_after[w.at]
      FROM unnest(won_seats, won_by) w (at, i)
     WHERE s.ctid = seat_place[w.at]
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.seat_id IS NOT DISTINCT FROM p_seat_ids[w.at]
       AND s.version = seat_version[w.at]
       AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= decided_at));
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(won_seats) THEN
        RAISE EXCEPTION 'held % seats of %', changed, cardinality(won_seats)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
    SELECT p_schedule_id, 'reservation.held', p_reservation_ids[w.i], p_user_ids[p_user_at[w.i]],
           jsonb_build_object(
               'seat_ids', ARRAY(SELECT p_seat_ids[p_seat_at[k]]
                                   FROM generate_series(p_seat_from[w.i], p_seat_from[w.i + 1] - 1) k
                                  ORDER BY k),
               'amount', w.total, 'currency', schedule.currency, 'expires_at', hold_until),
           decided_at
      FROM unnest(winners, winner_totals) w (i, total);
END;
$$;

-- Give held seats back. p_request_ids tell, after a lost answer, whether it was this request that did.
-- outcome: released, reservation_not_found (also another person's), not_held. `key` is the
-- idempotency key of the hold: with the person it makes the owner token of the seat lock.
-- seat_versions: where it is released, what each seat's version is now; 0 for a seat that somebody has
-- taken over meanwhile.
CREATE OR REPLACE FUNCTION reservations_release_v2(
    p_schedule_id uuid,
    p_request_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[]
) RETURNS TABLE (ord integer, outcome text, seat_ids text[], key text, seat_versions bigint[])
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    decided_at timestamptz;
    released uuid[];
BEGIN
    PERFORM 1
       FROM (SELECT DISTINCT c.id FROM unnest(p_reservation_ids) c (id) ORDER BY c.id) c
      CROSS JOIN LATERAL (
            SELECT FROM reservations r
             WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
               FOR NO KEY UPDATE) l;
    decided_at := clock_timestamp();

    WITH first AS (
        SELECT DISTINCT ON (c.reservation_id) c.reservation_id, c.user_id, c.request_id, l.place
          FROM unnest(p_reservation_ids, p_user_ids, p_request_ids)
               WITH ORDINALITY c (reservation_id, user_id, request_id, ord)
         CROSS JOIN LATERAL (
               SELECT r.ctid AS place
                 FROM reservations r
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = c.reservation_id
                  AND r.user_id = c.user_id
               OFFSET 0) l
         ORDER BY c.reservation_id, c.ord
    ), closed AS (
        UPDATE reservations r
           SET status = 'CANCELLED', closed_at = decided_at, closed_by = first.request_id
          FROM first
         WHERE r.ctid = first.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND r.reservation_id IS NOT DISTINCT FROM first.reservation_id
           AND r.user_id IS NOT DISTINCT FROM first.user_id
           AND r.status = 'HELD' AND r.expires_at > decided_at
        RETURNING r.reservation_id, r.user_id, r.seat_ids
    ), told AS (
        INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
        SELECT p_schedule_id, 'reservation.cancelled', x.reservation_id, x.user_id,
               jsonb_build_object('seat_ids', x.seat_ids), decided_at
          FROM closed x
    )
    SELECT array_agg(x.reservation_id) INTO released FROM closed x;

    PERFORM reservations_free_seats_v1(p_schedule_id, released);

    RETURN QUERY
    SELECT c.ord::integer,
           CASE WHEN r.reservation_id IS NULL THEN 'reservation_not_found'
                WHEN r.closed_by = c.request_id THEN 'released'
                ELSE 'not_held' END,
           r.seat_ids, r.idempotency_key,
           CASE WHEN r.closed_by = c.request_id THEN ARRAY(
               SELECT coalesce(s.version, 0)
                 FROM unnest(r.seat_ids) WITH ORDINALITY t (seat_id, n)
                 LEFT JOIN LATERAL (
                      SELECT s.version FROM seats s
                       WHERE s.schedule_id = p_schedule_id AND s.seat_id = t.seat_id
                         AND s.state = 'AVAILABLE'
                      OFFSET 0) s ON true
                ORDER BY t.n) END
      FROM unnest(p_reservation_ids, p_user_ids, p_request_ids)
           WITH ORDINALITY c (reservation_id, user_id, request_id, ord)
      LEFT JOIN LATERAL (
           SELECT r.reservation_id, r.closed_by, r.seat_ids, r.idempotency_key
             FROM reservations r
            WHERE r.schedule_id = p_schedule_id
              AND r.reservation_id = c.reservation_id
              AND r.user_id = c.user_id
           OFFSET 0) r ON true
     ORDER BY c.ord;
END;
$$;

-- Put the seats that these closed reservations still occupy back on sale. A seat that somebody took
-- over in the meantime belongs to another reservation and is left alone. Returns how many seats.
CREATE OR REPLACE FUNCTION reservations_free_seats_v1(p_schedule_id uuid, p_reservation_ids uuid[])
RETURNS bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    places tid[];
    owners uuid[];
    freed bigint;
BEGIN
    -- Sorted, because a seat that was taken over meanwhile stays locked until the end all the same: its
    -- new owner's payment may be waiting for it.
    SELECT array_agg(l.place), array_agg(w.reservation_id) INTO places, owners
      FROM (SELECT c.id AS reservation_id, t.seat_id
              FROM unnest(p_reservation_ids) c (id)
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

    UPDATE seats s
       SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL, expires_at = NULL,
           version = s.version + 1
      FROM unnest(places, owners) w (place, reservation_id)
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.reservation_id = w.reservation_id
       AND s.state = 'HELD';
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END;
$$;

-- Close at most p_limit lapsed holds of one schedule and tidy their seats; returns how many. Selling
-- does not wait for it: a lapsed hold counts as free already.
CREATE OR REPLACE FUNCTION reservations_expire_v1(p_schedule_id uuid, p_limit integer)
RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    decided_at CONSTANT timestamptz := clock_timestamp();
    places tid[];
    lapsed uuid[];
BEGIN
    SELECT array_agg(x.place), array_agg(x.reservation_id) INTO places, lapsed
      FROM (SELECT r.ctid AS place, r.reservation_id FROM reservations r
             WHERE r.schedule_id = p_schedule_id AND r.status = 'HELD' AND r.expires_at <= decided_at
             ORDER BY r.expires_at LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) x;
    IF lapsed IS NULL THEN
        RETURN 0;
    END IF;

    WITH closed AS (
        UPDATE reservations r SET status = 'EXPIRED', closed_at = decided_at
          FROM unnest(places) w (place)
         WHERE r.ctid = w.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND r.status = 'HELD'
        RETURNING r.reservation_id, r.user_id, r.seat_ids
    )
    INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
    SELECT p_schedule_id, 'reservation.expired', x.reservation_id, x.user_id,
           jsonb_build_object('seat_ids', x.seat_ids), decided_at
      FROM closed x;

    PERFORM reservations_free_seats_v1(p_schedule_id, lapsed);
    RETURN cardinality(lapsed);
END;
$$;
