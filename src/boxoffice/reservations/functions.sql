-- The decisions of the reservations room. Each takes one schedule and a batch of commands in arrival
-- order, decides all of them in one transaction and returns an outcome per command. Names carry a
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
-- index serves; beside a person by a range of (person, schedule), which only the key that begins with the
-- person serves: to a planner that believes a schedule small, the primary key would do as well. With
-- nothing left to choose, the settings of the functions spare the planning.

-- Hold seats. Per command: the reservation to make, the person, the idempotency key and the fingerprint
-- of the request. The seats stand in p_seat_ids, one command's after the other's: command i wants
-- p_seat_counts[i] of them, the last one at p_seats_to[i], and p_wanted_by names the command of each.
-- No (person, key) appears twice; p_apart says that no person and no seat does.
-- outcomes: held, replayed, key_reused, schedule_not_found, not_on_sale, seat_not_found, no_seats,
-- seat_taken, ticket_limit; or somebody whose outcome is open is in the way, and it is to be asked again:
-- person_busy (the same person's own request), seat_busy (somebody else's). Null: all are held.
-- amounts_minor: of each command that is held, in order. seat_versions: the new versions of its seats.
-- in_the_way, beside p_seat_ids: whether the seat is why its command was refused; null: none is.
-- What a replayed command made does not change any more, and is looked up by its key.
CREATE OR REPLACE FUNCTION reservations_hold_v2(
    p_schedule_id uuid,
    p_reservation_ids uuid[],
    p_user_ids uuid[],
    p_keys text[],
    p_fingerprints bytea[],
    p_seat_ids text[],
    p_seat_counts integer[],
    p_seats_to integer[],
    p_wanted_by integer[],
    p_apart boolean,
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT expires_at timestamptz,
    OUT currency text,
    OUT amounts_minor bigint[],
    OUT seat_versions bigint[],
    OUT in_the_way boolean[]
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
    hold_until timestamptz;
    schedule record;
    -- Per command: whether its person's lock is ours, and how many seats the person has already.
    person_ours boolean[];
    person_seats bigint[];
    earlier bigint;
    within_limit boolean;
    -- Per wanted seat; null where the seat is not free or not to be had now.
    seat_places tid[];
    prices_minor bigint[];
    free bigint;
    winners integer[];
    changed bigint;
BEGIN
    -- One person's requests for one schedule are decided one after the other, on all pods: the
    -- ticket limit and the idempotency key rest on it.
    SELECT array_agg(pg_try_advisory_xact_lock(uuid_hash_extended(u.id, lock_seed)))
      INTO person_ours
      FROM unnest(p_user_ids) u (id);

    decided_at := clock_timestamp();

    SELECT s.status = 'OPEN' AND decided_at >= s.sale_opens_at
           AND decided_at < least(s.sale_closes_at, s.starts_at) AS on_sale,
           s.hold_ttl_s, s.ticket_limit, s.currency
      INTO schedule
      FROM schedules s
     WHERE s.schedule_id = p_schedule_id;
    IF NOT FOUND THEN
        outcomes := array_fill('schedule_not_found'::text, ARRAY[cardinality(p_reservation_ids)]);
        RETURN;
    END IF;
    hold_until := decided_at + make_interval(secs => schedule.hold_ttl_s);

    SELECT array_agg(coalesce(e.seats, 0)), sum(e.reservations),
           bool_and(c.seats > 0 AND c.seats + coalesce(e.seats, 0) <= schedule.ticket_limit)
      INTO person_seats, earlier, within_limit
      FROM unnest(p_user_ids, p_seat_counts) c (user_id, seats)
     CROSS JOIN LATERAL (
           SELECT count(*) AS reservations,
                  sum(cardinality(r.seat_ids)) FILTER (
                      WHERE r.status = 'CONFIRMED'
                         OR (r.status = 'HELD' AND r.expires_at > decided_at)) AS seats
             FROM reservations r
            WHERE r.user_id = c.user_id
              AND (r.user_id, r.schedule_id)
                  BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)) e;

    SELECT array_agg(l.place), array_agg(l.version_after), array_agg(l.price_minor), count(l.place)
      INTO seat_places, seat_versions, prices_minor, free
      FROM unnest(p_seat_ids) w (seat_id)
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place, s.price_minor,
                  s.version + CASE s.state WHEN 'HELD' THEN 2 ELSE 1 END AS version_after
             FROM seats s
            WHERE s.schedule_id = p_schedule_id
              AND s.seat_id = w.seat_id
              AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= decided_at))
              FOR UPDATE OF s SKIP LOCKED) l ON true;

    IF (p_apart AND schedule.on_sale AND within_limit AND earlier = 0
            AND free = cardinality(p_seat_ids) AND true = ALL (person_ours)) IS NOT TRUE THEN
        -- Somebody is in somebody's way; else all get what they want.
        SELECT d.outcomes, d.winners, d.in_the_way INTO outcomes, winners, in_the_way
          FROM reservations_decide_holds_v2(
                   p_schedule_id, p_user_ids, p_keys, p_fingerprints, p_seat_ids, p_seat_counts,
                   p_seats_to, p_wanted_by, person_ours, person_seats, earlier > 0, seat_places,
                   decided_at, schedule.on_sale, schedule.ticket_limit) d;
        IF cardinality(winners) = 0 THEN
            RETURN;
        END IF;

        -- From here on, the arrays are the winners'.
        SELECT array_agg(w.seat_id), array_agg(w.place), array_agg(w.version), array_agg(w.price_minor),
               array_agg(array_position(winners, w.command))
          INTO p_seat_ids, seat_places, seat_versions, prices_minor, p_wanted_by
          FROM unnest(p_seat_ids, seat_places, seat_versions, prices_minor, p_wanted_by)
               w (seat_id, place, version, price_minor, command)
         WHERE w.command = ANY (winners);
        SELECT array_agg(p_reservation_ids[w.i]), array_agg(p_user_ids[w.i]), array_agg(p_keys[w.i]),
               array_agg(p_fingerprints[w.i]), array_agg(p_seat_counts[w.i]), array_agg(w.seats_to)
          INTO p_reservation_ids, p_user_ids, p_keys, p_fingerprints, p_seat_counts, p_seats_to
          FROM (SELECT i, (sum(p_seat_counts[i]) OVER (ORDER BY i))::integer AS seats_to
                  FROM unnest(winners) i) w;
    END IF;

    amounts_minor := prices_minor;
    IF cardinality(p_seat_ids) > cardinality(p_reservation_ids) THEN
        SELECT array_agg(a.minor) INTO amounts_minor
          FROM unnest(p_seat_counts, p_seats_to) c (seats, seats_to)
         CROSS JOIN LATERAL (
               SELECT sum(p.minor)::bigint AS minor
                 FROM unnest(prices_minor[c.seats_to - c.seats + 1:c.seats_to]) p (minor)) a;
    END IF;

    INSERT INTO reservations (
        schedule_id, reservation_id, user_id, created_at, expires_at, amount_minor, currency, seat_ids,
        idempotency_key, fingerprint)
    SELECT p_schedule_id, c.reservation_id, c.user_id, decided_at, hold_until, c.amount_minor,
           schedule.currency, p_seat_ids[c.seats_to - c.seats + 1:c.seats_to], c.key, c.fingerprint
      FROM unnest(p_reservation_ids, p_user_ids, amounts_minor, p_seat_counts, p_seats_to, p_keys,
                  p_fingerprints)
           c (reservation_id, user_id, amount_minor, seats, seats_to, key, fingerprint);

    UPDATE seats s
       SET state = 'HELD',
           reservation_id = p_reservation_ids[w.command],
           user_id = p_user_ids[w.command],
           expires_at = hold_until,
           version = w.version
      FROM unnest(seat_places, p_seat_ids, seat_versions, p_wanted_by)
           w (place, seat_id, version, command)
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.seat_id IS NOT DISTINCT FROM w.seat_id
       AND s.version + CASE s.state WHEN 'HELD' THEN 2 ELSE 1 END = w.version
       AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= decided_at));
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(p_seat_ids) THEN
        RAISE EXCEPTION 'held % seats of %', changed, cardinality(p_seat_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
    VALUES (p_schedule_id, hold_until, p_reservation_ids[1], p_reservation_ids);

    INSERT INTO outbox (
        scope_id, topic, created_at, subject_ids, user_ids, seat_ids, seats_to, amounts_minor, currency,
        expires_at)
    VALUES (p_schedule_id, 'reservation.held', decided_at, p_reservation_ids, p_user_ids, p_seat_ids,
            p_seats_to, amounts_minor, schedule.currency, hold_until);

    created_at := decided_at;
    expires_at := hold_until;
    currency := schedule.currency;
END;
$$;

-- Decide holds that are in each other's way or in somebody else's, one after the other in the order of
-- their arrival: each gets all of its seats or none. The arrays are those of reservations_hold_v2, whose
-- transaction has the people's locks and has locked the seats at seat_places; p_known tells whether any
-- of the people has been here before.
CREATE OR REPLACE FUNCTION reservations_decide_holds_v2(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_keys text[],
    p_fingerprints bytea[],
    p_seat_ids text[],
    p_seat_counts integer[],
    p_seats_to integer[],
    p_wanted_by integer[],
    p_person_ours boolean[],
    p_person_seats bigint[],
    p_known boolean,
    p_seat_places tid[],
    p_decided_at timestamptz,
    p_on_sale boolean,
    p_ticket_limit integer,
    OUT outcomes text[],
    OUT winners integer[],
    OUT in_the_way boolean[]
)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    -- Per wanted seat: 'free', 'taken', 'locked' (outcome open elsewhere) or 'unknown'.
    seat_is text[];
    won_seats text[] := '{}';
    won_by integer[] := '{}';
    winning_users uuid[] := '{}';
    own text[];
    total bigint;
BEGIN
    seat_is := array_fill('free'::text, ARRAY[cardinality(p_seat_ids)]);
    IF array_position(p_seat_places, NULL) IS NOT NULL THEN
        SELECT array_agg(CASE WHEN w.place IS NOT NULL THEN 'free' WHEN l.open THEN 'locked'
                              WHEN NOT l.open THEN 'taken' ELSE 'unknown' END)
          INTO seat_is
          FROM unnest(p_seat_ids, p_seat_places) w (seat_id, place)
          LEFT JOIN LATERAL (
               SELECT s.state = 'AVAILABLE'
                      OR (s.state = 'HELD' AND s.expires_at <= p_decided_at) AS open
                 FROM seats s
                WHERE w.place IS NULL AND s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
               OFFSET 0) l ON true;
    END IF;

    -- What is certain whatever becomes of the others; null is open.
    SELECT array_agg(
               CASE WHEN r.same THEN 'replayed'
                    WHEN NOT r.same THEN 'key_reused'
                    WHEN NOT c.ours THEN 'person_busy'
                    WHEN NOT p_on_sale THEN 'not_on_sale'
                    WHEN c.seats = 0 THEN 'no_seats'
                    WHEN 'unknown' = ANY (w.seat_is) THEN 'seat_not_found'
                    WHEN 'taken' = ANY (w.seat_is) THEN 'seat_taken'
                    WHEN 'locked' = ANY (w.seat_is) THEN 'seat_busy' END)
      INTO outcomes
      FROM unnest(p_user_ids, p_keys, p_fingerprints, p_person_ours, p_seat_counts, p_seats_to)
           c (user_id, key, fingerprint, ours, seats, seats_to)
     CROSS JOIN LATERAL (
           SELECT seat_is[c.seats_to - c.seats + 1:c.seats_to] AS seat_is OFFSET 0) w
      LEFT JOIN LATERAL (
           SELECT r.fingerprint = c.fingerprint AS same
             FROM reservations r
            WHERE p_known
              AND r.user_id = c.user_id
              AND (r.user_id, r.schedule_id)
                  BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)
              AND r.idempotency_key = c.key
           OFFSET 0) r ON true;

    winners := '{}';
    FOR i IN 1..cardinality(p_user_ids) LOOP
        CONTINUE WHEN outcomes[i] IS NOT NULL;
        own := p_seat_ids[p_seats_to[i] - p_seat_counts[i] + 1:p_seats_to[i]];
        IF own && won_seats THEN
            outcomes[i] := 'seat_taken';
            CONTINUE;
        END IF;
        total := p_person_seats[i] + p_seat_counts[i];
        IF p_user_ids[i] = ANY (winning_users) THEN
            total := total + (SELECT sum(p_seat_counts[w.command]) FROM unnest(winners) w (command)
                               WHERE p_user_ids[w.command] = p_user_ids[i]);
        END IF;
        IF total > p_ticket_limit THEN
            outcomes[i] := 'ticket_limit';
        ELSE
            outcomes[i] := 'held';
            winners := winners || i;
            winning_users := winning_users || p_user_ids[i];
            won_seats := won_seats || own;
            won_by := won_by || array_fill(i, ARRAY[p_seat_counts[i]]);
        END IF;
    END LOOP;

    SELECT array_agg(CASE outcomes[w.command]
                     WHEN 'seat_not_found' THEN w.seat_is = 'unknown'
                     WHEN 'seat_busy' THEN w.seat_is = 'locked'
                     WHEN 'seat_taken' THEN
                         w.seat_is = 'taken'
                         OR (w.seat_is = 'free'
                             AND won_by[array_position(won_seats, w.seat_id)] < w.command)
                     ELSE false END)
      INTO in_the_way
      FROM unnest(p_seat_ids, p_wanted_by, seat_is) w (seat_id, command, seat_is);
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
        RETURNING r.reservation_id
    )
    SELECT array_agg(x.reservation_id) INTO released FROM closed x;

    IF released IS NOT NULL THEN
        PERFORM reservations_free_seats_v1(p_schedule_id, released);
        PERFORM reservations_tell_v1(p_schedule_id, 'reservation.cancelled', released, decided_at);
    END IF;

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
                       WHERE s.schedule_id = p_schedule_id
                         AND s.seat_id = t.seat_id
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

-- Tell that these reservations were closed, all of them in one row of the outbox.
CREATE OR REPLACE FUNCTION reservations_tell_v1(
    p_schedule_id uuid, p_topic text, p_reservation_ids uuid[], p_told_at timestamptz)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    WITH closed AS MATERIALIZED (
        SELECT c.at, r.reservation_id, r.user_id, r.seat_ids,
               (sum(cardinality(r.seat_ids)) OVER (ORDER BY c.at))::integer AS seats_to
          FROM unnest(p_reservation_ids) WITH ORDINALITY c (id, at)
         CROSS JOIN LATERAL (
               SELECT r.reservation_id, r.user_id, r.seat_ids FROM reservations r
                WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
               OFFSET 0) r
    )
    INSERT INTO outbox (scope_id, topic, created_at, subject_ids, user_ids, seats_to, seat_ids)
    SELECT p_schedule_id, p_topic, p_told_at,
           array_agg(x.reservation_id ORDER BY x.at), array_agg(x.user_id ORDER BY x.at),
           array_agg(x.seats_to ORDER BY x.at),
           (SELECT array_agg(t.seat_id ORDER BY y.at, t.n)
              FROM closed y
             CROSS JOIN LATERAL unnest(y.seat_ids) WITH ORDINALITY t (seat_id, n))
      FROM closed x;
END;
$$;

-- Close lapsed holds of one schedule and tidy their seats, the oldest first: at most p_limit of them, out
-- of the rows of `lapsing_holds` that are due. Selling does not wait for it: a lapsed hold counts as free
-- already. What cannot be closed now, because somebody has it locked, stays for the next time.
-- closed: how many. more: whether it stopped at the limit, and calling again gets further.
CREATE OR REPLACE FUNCTION reservations_expire_v2(
    p_schedule_id uuid, p_limit integer, OUT closed integer, OUT more boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    decided_at CONSTANT timestamptz := clock_timestamp();
    due record;
    due_places tid[] := '{}';
    due_ids uuid[] := '{}';
    places tid[];
    lapsed uuid[];
    kept bigint;
BEGIN
    FOR due IN
        SELECT h.ctid AS place, h.reservation_ids
          FROM lapsing_holds h
         WHERE h.schedule_id = p_schedule_id AND h.expires_at <= decided_at
         ORDER BY h.expires_at LIMIT p_limit
           FOR UPDATE SKIP LOCKED
    LOOP
        due_places := due_places || due.place;
        due_ids := due_ids || due.reservation_ids;
        EXIT WHEN cardinality(due_ids) >= p_limit;
    END LOOP;

    SELECT array_agg(x.place), array_agg(x.reservation_id) INTO places, lapsed
      FROM (SELECT l.place, l.reservation_id
              FROM (SELECT c.id FROM unnest(due_ids) WITH ORDINALITY c (id, at)
                     GROUP BY c.id ORDER BY min(c.at)) c
             CROSS JOIN LATERAL (
                   SELECT r.ctid AS place, r.reservation_id
                     FROM reservations r
                    WHERE r.schedule_id = p_schedule_id
                      AND r.reservation_id = c.id
                      AND r.status = 'HELD'
                      AND r.expires_at <= decided_at
                      FOR NO KEY UPDATE SKIP LOCKED) l
             LIMIT p_limit) x;
    closed := coalesce(cardinality(lapsed), 0);
    IF closed > 0 THEN
        UPDATE reservations r SET status = 'EXPIRED', closed_at = decided_at
          FROM unnest(places) w (place)
         WHERE r.ctid = w.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND r.status = 'HELD';
        PERFORM reservations_free_seats_v1(p_schedule_id, lapsed);
        PERFORM reservations_tell_v1(p_schedule_id, 'reservation.expired', lapsed, decided_at);
    END IF;

    DELETE FROM lapsing_holds h
     USING unnest(due_places) w (place)
     WHERE h.ctid = w.place AND h.schedule_id IS NOT DISTINCT FROM p_schedule_id;

    WITH left_over AS (
        SELECT r.expires_at, r.reservation_id
          FROM unnest(due_ids) c (id)
         CROSS JOIN LATERAL (
               SELECT r.expires_at, r.reservation_id
                 FROM reservations r
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = c.id
                  AND r.status = 'HELD'
               OFFSET 0) r
    ), put_back AS (
        INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
        SELECT p_schedule_id, x.expires_at, (array_agg(x.reservation_id))[1],
               array_agg(x.reservation_id)
          FROM left_over x
         GROUP BY x.expires_at
    )
    SELECT count(*) INTO kept FROM left_over x;
    more := cardinality(due_ids) >= p_limit AND kept < cardinality(due_ids);
END;
$$;
