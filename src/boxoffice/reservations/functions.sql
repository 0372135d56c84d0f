-- Batch decisions of reservations. Each function takes one schedule and a batch of commands in arrival
-- order, decides all of them in one transaction and returns an outcome per command. Names carry a version,
-- because pods of two releases run side by side: a new signature or meaning is a new version.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Lock order in every function of the schema: payment intents (sorted), people of a schedule (advisory,
-- sorted), reservations (sorted), seats (sorted), wallets (sorted).
-- A hold never waits for a lock (try-lock, SKIP LOCKED), so it is never part of a deadlock.
-- A row of `schedule_buyers` is read for a decision, and changed, only under its person's lock.

-- No plan may depend on statistics: a new hall has none, and the tables of the hot path grow from empty
-- within seconds. Therefore each row is looked up by its key inside a LATERAL that the planner cannot
-- reorder (FOR UPDATE, OFFSET 0 and an aggregate prevent that), and a locked row is changed by its `ctid`,
-- which does not change while the lock is held. Beside a ctid the schedule is compared by IS NOT DISTINCT
-- FROM, which no index serves. Beside a person it is a range of (person, schedule), which only the index
-- that begins with the person serves; the primary key would look as good for a schedule that seems small.
-- A key is part of that range, so that earlier rows of the person are not read; an equality of the person
-- beside the range would read all of the person's rows, in every schedule. As no choice is left, the
-- settings of the functions save planning time.

-- Hold seats. Per command: the reservation to create, the person, the idempotency key and the fingerprint
-- of the request. p_seat_ids has the seats of all commands one after the other: command i has
-- p_seat_counts[i] of them, the last one at p_seats_to[i]; p_wanted_by has the command of each seat.
-- No (person, key) appears twice. p_apart: no person and no seat appears twice; then the short way is
-- possible, which holds all commands without reservations_decide_holds_v3.
-- The body assigns to the parameters: once the outcomes are known they have the held commands only.
-- p_prices_minor: what each seat costs where offers decide that; null: the price of the seat.
-- outcomes: held, replayed, key_reused, schedule_not_found, not_on_sale, seat_not_found, no_seats,
-- seat_taken, ticket_limit, hold_cooldown; offers_decide: nothing was decided, and `offers_hold_v1` has to be
-- called; or blocked by a concurrent transaction, to be retried:
-- person_busy (of the same person), seat_busy (of another person). Null: all are held.
-- amounts_minor: per held command, in order. seat_versions: the new versions of its seats.
-- in_the_way, beside p_seat_ids: whether the seat blocked its command; null: none did.
-- A replayed command is looked up by its key, because its reservation does not change any more.
-- A person with more than p_lapses_free_max unpaid ends waits after each further one: p_cooldown_first_s,
-- twice as long each time, up to p_cooldown_max_s. cooldown_s: the seconds left of that wait per command at
-- created_at, the time of the decision; null: no command has to wait.
-- returns_at: with a return delay or a waiting list, when the seats of each held command are on sale again
-- without a payment; null: when the hold ends.
CREATE OR REPLACE FUNCTION reservations_hold_v4(
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
    p_lapses_free_max integer,
    p_cooldown_first_s integer,
    p_cooldown_max_s integer,
    p_prices_minor bigint[],
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT expires_at timestamptz,
    OUT currency text,
    OUT amounts_minor bigint[],
    OUT seat_versions bigint[],
    OUT in_the_way boolean[],
    OUT cooldown_s double precision[],
    OUT returns_at timestamptz[]
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
    looked_at timestamptz;
    decided_at timestamptz;
    hold_until timestamptz;
    due_at timestamptz;
    schedule record;
    on_sale boolean;
    -- Per command: whether this transaction has its person's lock, and how many seats the person has.
    person_ours boolean[];
    person_seats bigint[];
    earlier bigint;
    -- How many of the people have a row in schedule_buyers.
    counted bigint;
    within_limit boolean;
    -- Per requested seat; null where the seat is taken or locked.
    seat_places tid[];
    prices_minor bigint[];
    free bigint;
    winners integer[];
    changed bigint;
BEGIN
    -- Requests of one person for one schedule are decided one after the other, on all pods: the ticket
    -- limit and the idempotency key depend on it.
    -- guard: hold_person_is_locked => SELECT array_agg(true)
    SELECT array_agg(pg_try_advisory_xact_lock(uuid_hash_extended(u.id, lock_seed)))
      INTO person_ours
      FROM unnest(p_user_ids) u (id);

    looked_at := clock_timestamp();

    SELECT s.status = 'OPEN' AS is_open, s.sale_opens_at,
           -- guard: hold_not_after_sale_closed => s.starts_at AS closes_at,
           -- guard: hold_not_after_performance_has_begun => coalesce(s.sale_closes_at, 'infinity') AS closes_at,
           least(s.sale_closes_at, s.starts_at) AS closes_at,
           s.hold_ttl_s, s.ticket_limit, s.currency, s.seats_return_delay_max_s AS return_delay_s,
           s.waiting_list_turn_s AS turn_s, s.has_offers
      INTO schedule
      FROM schedules s
     -- guard: hold_schedule_by_id => LIMIT 1;
     WHERE s.schedule_id = p_schedule_id;
    -- guard: hold_of_schedule_that_exists => IF false THEN
    IF NOT FOUND THEN
        outcomes := array_fill('schedule_not_found'::text, ARRAY[cardinality(p_reservation_ids)]);
        RETURN;
    END IF;
    -- guard: hold_offers_decide_where_there_are_some => IF false THEN
    IF schedule.has_offers AND p_prices_minor IS NULL THEN
        outcomes := array_fill('offers_decide'::text, ARRAY[cardinality(p_reservation_ids)]);
        RETURN;
    END IF;

    -- A person without a row in schedule_buyers has few reservations here. If any person of the batch has a
    -- row or a reservation, reservations_buyers_v1 counts the seats below.
    SELECT array_agg(0::bigint), sum(e.reservations), count(b.user_id),
           -- guard: hold_empty_request_is_decided_with_care: > 0 AND c.seats =>
           -- guard: hold_ticket_limit_of_single_requests => bool_and(c.seats > 0 AND true)
           bool_and(c.seats > 0 AND c.seats <= schedule.ticket_limit)
      INTO person_seats, earlier, counted, within_limit
      FROM unnest(p_user_ids, p_seat_counts) c (user_id, seats)
      LEFT JOIN LATERAL (
           SELECT b.user_id
             FROM schedule_buyers b
            -- no guard: Another person's row only causes a count, and reservations_buyers_v1 finds the right row.
            WHERE b.schedule_id = p_schedule_id AND b.user_id = c.user_id
           -- no guard: Joins each person with their row, if any; the condition is inside.
           OFFSET 0) b ON true
     CROSS JOIN LATERAL (
           SELECT count(*) AS reservations
             FROM reservations r
            -- no guard: { Decides whether to count; reservations_buyers_v1 counts, with guards of its own.
            WHERE b.user_id IS NULL
              AND (r.user_id, r.schedule_id)
                  BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)) e;
            -- guard: }

    SELECT array_agg(l.place), array_agg(l.version_after), array_agg(l.price_minor), count(l.place)
      INTO seat_places, seat_versions, prices_minor, free
      FROM unnest(p_seat_ids) w (seat_id)
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place, s.price_minor,
                  -- no guard: The version that the fence expects; a wrong one refuses every take-over.
                  s.version + CASE s.state WHEN 'HELD' THEN 2 ELSE 1 END AS version_after
             FROM seats s
            -- guard: hold_seats_of_this_schedule => WHERE true
            WHERE s.schedule_id = p_schedule_id
              -- guard: hold_only_requested_seats
              AND s.seat_id = w.seat_id
              -- guard: hold_only_free_seats
              -- guard: hold_lapsed_seat_is_free => AND s.state = 'AVAILABLE'
              -- guard: hold_held_seat_is_taken_until_its_end => AND (s.state = 'AVAILABLE' OR s.state = 'HELD')
              AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= looked_at))
              -- guard: hold_seats_are_locked => ) l ON true;
              -- guard: hold_skips_locked_rows: SKIP LOCKED =>
              FOR UPDATE OF s SKIP LOCKED) l ON true;

    -- A transaction that ended since looked_at may have freed a seat, at the end of its hold. The hold that
    -- follows begins no earlier, also where this process did not run, or the clock was set back, in between.
    -- guard: hold_begins_after_its_seats_were_seen => decided_at := looked_at;
    decided_at := greatest(looked_at, clock_timestamp());
    -- guard: hold_only_of_schedule_that_is_open: schedule.is_open AND =>
    -- guard: hold_not_before_sale_opens: decided_at >= schedule.sale_opens_at AND =>
    on_sale := schedule.is_open AND decided_at >= schedule.sale_opens_at AND decided_at < schedule.closes_at;
    hold_until := decided_at + make_interval(secs => schedule.hold_ttl_s);
    due_at := hold_until;

    -- guard: hold_price_of_offer => IF false THEN
    IF p_prices_minor IS NOT NULL THEN
        prices_minor := p_prices_minor;
    END IF;

    -- guard: hold_short_way_without_rivals: p_apart AND =>
    -- guard: hold_short_way_is_for_what_is_on_sale: on_sale AND =>
    -- guard: hold_short_way_is_within_limit: within_limit AND =>
    -- guard: hold_short_way_needs_no_history: earlier = 0 AND =>
    -- guard: hold_short_way_needs_no_row: AND counted = 0 =>
    IF (p_apart AND on_sale AND within_limit AND earlier = 0 AND counted = 0
            -- guard: hold_short_way_has_every_seat: free = cardinality(p_seat_ids) AND =>
            -- guard: hold_short_way_has_every_persons_lock: AND true = ALL (person_ours) =>
            AND free = cardinality(p_seat_ids) AND true = ALL (person_ours)) IS NOT TRUE THEN
        -- There are conflicts; without conflicts the whole batch succeeds.
        -- guard: hold_history_is_looked_up => IF false THEN
        IF earlier + counted > 0 THEN
            SELECT b.seats, b.cooldown_s INTO person_seats, cooldown_s
              FROM reservations_buyers_v1(
                       p_schedule_id, p_user_ids, decided_at, p_lapses_free_max, p_cooldown_first_s,
                       p_cooldown_max_s) b;
        END IF;
        SELECT d.outcomes, d.winners, d.in_the_way INTO outcomes, winners, in_the_way
          FROM reservations_decide_holds_v3(
                   p_schedule_id, p_user_ids, p_keys, p_fingerprints, p_seat_ids, p_seat_counts,
                   p_seats_to, p_wanted_by, person_ours, person_seats, cooldown_s, earlier + counted > 0,
                   seat_places, decided_at, on_sale, schedule.ticket_limit) d;
        -- guard: hold_batch_without_winners_ends => IF false THEN
        IF cardinality(winners) = 0 THEN
            created_at := decided_at;
            RETURN;
        END IF;

        -- From here on the arrays, parameters included, have the held commands only, and p_wanted_by and
        -- p_seats_to count those: command i below is the i-th held one.
        SELECT array_agg(w.seat_id), array_agg(w.place), array_agg(w.version), array_agg(w.price_minor),
               array_agg(array_position(winners, w.command))
          INTO p_seat_ids, seat_places, seat_versions, prices_minor, p_wanted_by
          FROM unnest(p_seat_ids, seat_places, seat_versions, prices_minor, p_wanted_by)
               w (seat_id, place, version, price_minor, command)
         -- guard: hold_losers_seats_are_left => ;
         WHERE w.command = ANY (winners);
        SELECT array_agg(p_reservation_ids[w.i]), array_agg(p_user_ids[w.i]), array_agg(p_keys[w.i]),
               array_agg(p_fingerprints[w.i]), array_agg(p_seat_counts[w.i]), array_agg(w.seats_to)
          INTO p_reservation_ids, p_user_ids, p_keys, p_fingerprints, p_seat_counts, p_seats_to
          FROM (SELECT i, (sum(p_seat_counts[i]) OVER (ORDER BY i))::integer AS seats_to
                  FROM unnest(winners) i) w;
    END IF;

    amounts_minor := prices_minor;
    -- guard: hold_several_seats_add_up => IF false THEN
    IF cardinality(p_seat_ids) > cardinality(p_reservation_ids) THEN
        SELECT array_agg(a.minor) INTO amounts_minor
          FROM unnest(p_seat_counts, p_seats_to) c (seats, seats_to)
         CROSS JOIN LATERAL (
               SELECT sum(p.minor)::bigint AS minor
                 FROM unnest(prices_minor[c.seats_to - c.seats + 1:c.seats_to]) p (minor)) a;
    END IF;

    -- guard: hold_seats_take_their_time_only_where_schedule_wants_it => IF false THEN
    IF schedule.return_delay_s + schedule.turn_s > 0 THEN
        -- Seats that were held together return together, at a random time; the waiting list has its turn first.
        SELECT array_agg(hold_until + make_interval(secs => schedule.turn_s)
                         + random() * make_interval(secs => schedule.return_delay_s))
          INTO returns_at
          FROM unnest(p_reservation_ids);
        due_at := hold_until + make_interval(secs => schedule.turn_s + schedule.return_delay_s);
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
           expires_at = coalesce(returns_at[w.command], hold_until),
           version = w.version
      FROM unnest(seat_places, p_seat_ids, seat_versions, p_wanted_by)
           w (place, seat_id, version, command)
     -- guard: hold_place_is_that_of_what_was_locked => WHERE true
     WHERE s.ctid = w.place
       -- no guard: { The ctid finds the row that is locked above; its key repeats that.
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.seat_id IS NOT DISTINCT FROM w.seat_id
       -- guard: }
       -- guard: hold_version_that_was_seen
       AND s.version + CASE s.state WHEN 'HELD' THEN 2 ELSE 1 END = w.version
       -- guard: hold_state_that_was_seen => ;
       AND (s.state = 'AVAILABLE' OR (s.state = 'HELD' AND s.expires_at <= decided_at));
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: hold_rows_that_were_changed_are_counted => IF false THEN
    IF changed <> cardinality(p_seat_ids) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'held % seats of %', changed, cardinality(p_seat_ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
    VALUES (p_schedule_id, due_at, p_reservation_ids[1], p_reservation_ids);

    -- guard: hold_new_hold_is_noted_in_persons_row => IF false THEN
    IF counted > 0 THEN
        PERFORM reservations_open_v1(p_schedule_id, p_user_ids, p_reservation_ids);
    END IF;

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

-- For pods of the previous release, which know of no offers.
CREATE OR REPLACE FUNCTION reservations_hold_v3(
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
    p_lapses_free_max integer,
    p_cooldown_first_s integer,
    p_cooldown_max_s integer,
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT expires_at timestamptz,
    OUT currency text,
    OUT amounts_minor bigint[],
    OUT seat_versions bigint[],
    OUT in_the_way boolean[],
    OUT cooldown_s double precision[],
    OUT returns_at timestamptz[]
)
LANGUAGE sql
AS $$
SELECT array_replace(h.outcomes, 'offers_decide', 'not_on_sale'), h.created_at, h.expires_at, h.currency,
       h.amounts_minor, h.seat_versions, h.in_the_way, h.cooldown_s, h.returns_at
  FROM reservations_hold_v4(
           p_schedule_id, p_reservation_ids, p_user_ids, p_keys, p_fingerprints, p_seat_ids, p_seat_counts,
           p_seats_to, p_wanted_by, p_apart, p_lapses_free_max, p_cooldown_first_s, p_cooldown_max_s, NULL) h;
$$;

-- For pods of the previous release, which have no cool-down.
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
LANGUAGE sql
AS $$
SELECT h.outcomes, h.created_at, h.expires_at, h.currency, h.amounts_minor, h.seat_versions, h.in_the_way
  FROM reservations_hold_v3(
           p_schedule_id, p_reservation_ids, p_user_ids, p_keys, p_fingerprints, p_seat_ids, p_seat_counts,
           p_seats_to, p_wanted_by, p_apart, 2147483647, 0, 0) h;
$$;

-- How many seats people have in a schedule, and how long they wait before the next hold. Per person, in
-- order: seats, held and paid ones; cooldown_s, null for no wait. A lapsed hold counts as closed, also before
-- it is swept.
CREATE OR REPLACE FUNCTION reservations_buyers_v1(
    p_schedule_id uuid,
    p_user_ids uuid[],
    p_decided_at timestamptz,
    p_lapses_free_max integer,
    p_cooldown_first_s integer,
    p_cooldown_max_s integer,
    OUT seats bigint[],
    OUT cooldown_s double precision[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    SELECT array_agg(coalesce(b.sold_seats, 0) + coalesce(o.seats, 0) ORDER BY c.at),
           -- guard: buyers_some_ends_are_free: p_lapses_free_max => 0
           array_agg(CASE WHEN w.strikes > p_lapses_free_max THEN
               nullif(greatest(date_part('epoch', w.struck_at - p_decided_at)
                   + least(p_cooldown_first_s * power(2, least(w.strikes - p_lapses_free_max - 1, 30)),
                           p_cooldown_max_s), 0), 0) END ORDER BY c.at)
      INTO seats, cooldown_s
      FROM unnest(p_user_ids) WITH ORDINALITY c (user_id, at)
      LEFT JOIN LATERAL (
           SELECT b.sold_seats, b.open_ids, b.strikes, b.struck_at
             FROM schedule_buyers b
            -- guard: buyers_own_row: AND b.user_id = c.user_id =>
            WHERE b.schedule_id = p_schedule_id AND b.user_id = c.user_id
           -- no guard: Joins each person with their row, if any; the condition is inside.
           OFFSET 0) b ON true
     CROSS JOIN LATERAL (
           -- no guard: Head of the two conditions below, which are guards.
           SELECT sum(r.seats) FILTER (
                      -- guard: buyers_paid_seats_count_without_a_count => WHERE false
                      WHERE r.status = 'CONFIRMED'
                         -- guard: buyers_held_seats_count => ) AS seats,
                         -- guard: buyers_lapsed_seats_do_not_count => OR r.status = 'HELD') AS seats,
                         OR (r.status = 'HELD' AND r.expires_at > p_decided_at)) AS seats,
                  -- guard: buyers_lapse_not_closed_yet_is_strike => 0 AS lapsed,
                  count(*) FILTER (WHERE r.status = 'HELD' AND r.expires_at <= p_decided_at) AS lapsed,
                  -- no guard: { Start of the cool-down of a lapse; that it is a lapse is a guard.
                  max(r.expires_at) FILTER (
                      WHERE r.status = 'HELD' AND r.expires_at <= p_decided_at) AS lapsed_at
                  -- guard: }
             FROM (SELECT r.status, r.expires_at, cardinality(r.seat_ids) AS seats
                     FROM reservations r
                    -- no guard: Saves a look-up: a counted row has the number.
                    WHERE b.sold_seats IS NULL
                      -- guard: buyers_own_reservations { => AND r.schedule_id = p_schedule_id
                      -- guard: buyers_reservations_of_this_schedule { => AND r.user_id = c.user_id
                      AND (r.user_id, r.schedule_id)
                          BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)
                      -- guard: }
                    UNION ALL
                   SELECT r.status, r.expires_at, r.seats
                     FROM unnest(b.open_ids) i (id)
                    CROSS JOIN LATERAL (
                          SELECT r.status, r.expires_at, cardinality(r.seat_ids) AS seats
                            FROM reservations r
                           -- guard: buyers_holds_that_were_noted: r.reservation_id = i.id => false
                           WHERE r.schedule_id = p_schedule_id AND r.reservation_id = i.id
                          OFFSET 0) r
                    -- no guard: An uncounted row has no noted holds.
                    WHERE b.sold_seats IS NOT NULL) r) o
     CROSS JOIN LATERAL (
           SELECT coalesce(b.strikes, 0) + o.lapsed AS strikes,
                  greatest(b.struck_at, o.lapsed_at) AS struck_at
           OFFSET 0) w;
END;
$$;

-- Count new holds of people who have a row. Without a row, or before the first count, readers count the
-- reservations.
CREATE OR REPLACE FUNCTION reservations_open_v1(
    p_schedule_id uuid, p_user_ids uuid[], p_reservation_ids uuid[])
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    UPDATE schedule_buyers b SET open_ids = b.open_ids || w.ids
      FROM (SELECT l.place, c.ids
              FROM (SELECT h.user_id, array_agg(h.reservation_id) AS ids
                      FROM unnest(p_user_ids, p_reservation_ids) h (user_id, reservation_id)
                     GROUP BY h.user_id) c
             CROSS JOIN LATERAL (
                   SELECT b.ctid AS place
                     FROM schedule_buyers b
                    -- guard: open_rows_of_this_schedule => WHERE b.user_id = c.user_id
                    -- guard: open_own_row: AND b.user_id = c.user_id =>
                    WHERE b.schedule_id = p_schedule_id AND b.user_id = c.user_id
                      -- no guard: The person's advisory lock excludes others; this only keeps the ctid valid.
                      FOR NO KEY UPDATE) l) w
     -- no guard: Finds the locked row.
     WHERE b.ctid = w.place
       -- guard: open_rows_of_this_schedule_again
       AND b.schedule_id IS NOT DISTINCT FROM p_schedule_id
       -- no guard: An uncounted row is counted later.
       AND b.sold_seats IS NOT NULL;
END;
$$;

-- Record reservations that were closed without a payment: in the rows of their people, whose locks the
-- transaction has, and in the list for the archive.
CREATE OR REPLACE FUNCTION reservations_note_closed_v1(
    p_schedule_id uuid, p_reservation_ids uuid[], p_closed_at timestamptz)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    user_ids uuid[];
    strikes integer[];
    lapsed integer[];
    struck_at timestamptz[];
BEGIN
    SELECT array_agg(x.user_id), array_agg(x.strikes), array_agg(x.lapsed), array_agg(x.struck_at)
      INTO user_ids, strikes, lapsed, struck_at
      FROM (SELECT r.user_id, count(*)::integer AS strikes, sum(r.lapsed)::integer AS lapsed,
                   max(r.struck_at) AS struck_at
              FROM unnest(p_reservation_ids) c (id)
             CROSS JOIN LATERAL (
                   -- guard: closed_lapse_differs_from_release => SELECT r.user_id, 0 AS lapsed,
                   SELECT r.user_id, CASE r.status WHEN 'EXPIRED' THEN 1 ELSE 0 END AS lapsed,
                          least(r.expires_at, p_closed_at) AS struck_at
                     FROM reservations r
                    -- no guard: Reservation ids are UUIDs; the schedule is there for the primary key.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
                   OFFSET 0) r
             GROUP BY r.user_id) x;

    WITH noted AS (
        UPDATE schedule_buyers b
           SET open_ids = ARRAY(SELECT o.id FROM unnest(b.open_ids) o (id)
                                 -- guard: closed_what_ended_is_open_no_more => ),
                                 WHERE o.id <> ALL (p_reservation_ids)),
               lapsed = b.lapsed + w.lapsed,
               released = b.released + w.strikes - w.lapsed,
               strikes = b.strikes + w.strikes,
               struck_at = greatest(b.struck_at, w.struck_at)
          FROM (SELECT l.place, c.strikes, c.lapsed, c.struck_at
                  FROM unnest(user_ids, strikes, lapsed, struck_at) c (user_id, strikes, lapsed, struck_at)
                 CROSS JOIN LATERAL (
                       SELECT b.ctid AS place
                         FROM schedule_buyers b
                        -- guard: closed_rows_of_this_schedule => WHERE b.user_id = c.user_id
                        -- guard: closed_own_row: AND b.user_id = c.user_id =>
                        WHERE b.schedule_id = p_schedule_id AND b.user_id = c.user_id
                          -- no guard: The person's advisory lock excludes others; this only keeps the ctid valid.
                          FOR NO KEY UPDATE) l) w
         -- no guard: Finds the locked row.
         WHERE b.ctid = w.place
           -- guard: closed_rows_of_this_schedule_again
           AND b.schedule_id IS NOT DISTINCT FROM p_schedule_id
           -- guard: closed_uncounted_row_is_counted
           AND b.sold_seats IS NOT NULL
        RETURNING b.user_id
    ), others AS (
        SELECT array_agg(c.user_id) AS user_ids, array_agg(c.strikes) AS strikes,
               array_agg(c.struck_at) AS struck_at
          FROM unnest(user_ids, strikes, struck_at) c (user_id, strikes, struck_at)
         -- no guard: Saves a count: a counted row stays as it is.
         WHERE c.user_id NOT IN (SELECT n.user_id FROM noted n)
    )
    SELECT o.user_ids, o.strikes, o.struck_at INTO user_ids, strikes, struck_at FROM others o;

    -- guard: closed_missing_row_is_made => IF false THEN
    IF user_ids IS NOT NULL THEN
        PERFORM reservations_count_v1(p_schedule_id, user_ids, strikes, struck_at);
    END IF;

    INSERT INTO closed_reservations (schedule_id, closed_at, first_reservation_id, reservation_ids)
    VALUES (p_schedule_id, p_closed_at, p_reservation_ids[1], p_reservation_ids);
END;
$$;

-- Count all reservations of people, whose locks the transaction has, in a schedule into their rows where
-- that was not done yet; and record further unpaid ends.
CREATE OR REPLACE FUNCTION reservations_count_v1(
    p_schedule_id uuid, p_user_ids uuid[], p_strikes integer[], p_struck_at timestamptz[])
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    INSERT INTO schedule_buyers AS b (
        schedule_id, user_id, struck_at, sold_seats, lapsed, released, strikes, open_ids)
    SELECT p_schedule_id, c.user_id, c.struck_at, coalesce(e.sold_seats, 0), e.lapsed, e.released,
           c.strikes, coalesce(e.open_ids, '{}')
      FROM unnest(p_user_ids, p_strikes, p_struck_at) c (user_id, strikes, struck_at)
     CROSS JOIN LATERAL (
           -- guard: count_what_is_paid: r.status = 'CONFIRMED' => false
           SELECT sum(cardinality(r.seat_ids)) FILTER (WHERE r.status = 'CONFIRMED') AS sold_seats,
                  -- guard: count_what_is_held: r.status = 'HELD' => false
                  array_agg(r.reservation_id) FILTER (WHERE r.status = 'HELD') AS open_ids,
                  -- guard: count_what_lapsed => count(*) AS lapsed,
                  count(*) FILTER (WHERE r.status = 'EXPIRED') AS lapsed,
                  -- guard: count_what_was_released => count(*) AS released
                  count(*) FILTER (WHERE r.status = 'CANCELLED') AS released
             FROM reservations r
            -- guard: count_own { => WHERE r.schedule_id = p_schedule_id) e
            -- guard: count_of_this_schedule { => WHERE r.user_id = c.user_id) e
            WHERE (r.user_id, r.schedule_id)
                  BETWEEN (c.user_id, p_schedule_id) AND (c.user_id, p_schedule_id)) e
            -- guard: }
        -- no guard: Without it the primary key refuses the statement.
        ON CONFLICT ON CONSTRAINT schedule_buyers_pkey DO UPDATE
       SET sold_seats = excluded.sold_seats, open_ids = excluded.open_ids, lapsed = excluded.lapsed,
           released = excluded.released, strikes = b.strikes + excluded.strikes,
           struck_at = greatest(b.struck_at, excluded.struck_at)
     -- no guard: Counting twice has the same result; strikes are noted once.
     WHERE b.sold_seats IS NULL;
END;
$$;

-- Decide holds with conflicts one after the other, in order of arrival: each gets all of its seats or none.
-- The arrays are those of reservations_hold_v4, whose transaction has the people's locks and has locked the
-- seats at seat_places. p_known: whether any of the people had a reservation here before.
CREATE OR REPLACE FUNCTION reservations_decide_holds_v3(
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
    p_cooldown_s double precision[],
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
    -- Per requested seat: 'free', 'taken', 'locked' (by a concurrent transaction) or 'unknown'.
    seat_is text[];
    won_seats text[] := '{}';
    won_by integer[] := '{}';
    winning_users uuid[] := '{}';
    own text[];
    total bigint;
BEGIN
    seat_is := array_fill('free'::text, ARRAY[cardinality(p_seat_ids)]);
    -- guard: decide_seats_that_were_not_to_be_had_are_looked_at => IF false THEN
    IF array_position(p_seat_places, NULL) IS NOT NULL THEN
        -- guard: decide_free_seat_is_free: w.place IS NOT NULL THEN 'free' WHEN =>
        -- guard: decide_seat_locked_by_another_is_busy: 'locked' => 'taken'
        SELECT array_agg(CASE WHEN w.place IS NOT NULL THEN 'free' WHEN l.open THEN 'locked'
                              -- guard: decide_taken_seat_is_taken: 'taken' => 'free'
                              WHEN NOT l.open THEN 'taken' ELSE 'unknown' END)
          INTO seat_is
          FROM unnest(p_seat_ids, p_seat_places) w (seat_id, place)
          LEFT JOIN LATERAL (
               SELECT s.state = 'AVAILABLE'
                      -- guard: decide_lapsed_seat_counts_as_open => AS open
                      -- guard: decide_held_seat_is_not_open_before_its_end => OR (s.state = 'HELD') AS open
                      OR (s.state = 'HELD' AND s.expires_at <= p_decided_at) AS open
                 FROM seats s
                -- guard: decide_seats_of_this_schedule: schedule_id = p_schedule_id AND s. =>
                -- guard: decide_only_requested_seats: AND s.seat_id = w.seat_id =>
                WHERE w.place IS NULL AND s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
               -- no guard: Joins each wanted seat with its row, if any; the condition is inside.
               OFFSET 0) l ON true;
    END IF;

    -- Outcomes that do not depend on the other commands; null: undecided.
    SELECT array_agg(
               -- guard: decide_repetition_is_replayed: r.same => false
               CASE WHEN r.same THEN 'replayed'
                    -- guard: decide_key_has_one_fingerprint: NOT r.same => false
                    WHEN NOT r.same THEN 'key_reused'
                    -- guard: decide_person_locked_by_another_is_busy: NOT c.ours => false
                    WHEN NOT c.ours THEN 'person_busy'
                    -- guard: decide_nothing_is_held_that_is_not_on_sale: NOT p_on_sale => false
                    WHEN NOT p_on_sale THEN 'not_on_sale'
                    -- guard: decide_nothing_is_held_for_empty_request: c.seats = 0 => false
                    WHEN c.seats = 0 THEN 'no_seats'
                    -- guard: decide_cooldown_after_lapses => WHEN false THEN 'hold_cooldown'
                    WHEN c.cooldown_s IS NOT NULL THEN 'hold_cooldown'
                    -- guard: decide_unknown_seat_is_refused => WHEN false THEN 'seat_not_found'
                    WHEN 'unknown' = ANY (w.seat_is) THEN 'seat_not_found'
                    -- guard: decide_taken_seat_is_refused => WHEN false THEN 'seat_taken'
                    WHEN 'taken' = ANY (w.seat_is) THEN 'seat_taken'
                    -- guard: decide_busy_seat_is_retried => WHEN false THEN 'seat_busy' END)
                    WHEN 'locked' = ANY (w.seat_is) THEN 'seat_busy' END)
      INTO outcomes
      FROM unnest(p_user_ids, p_keys, p_fingerprints, p_person_ours, p_seat_counts, p_seats_to,
                  p_cooldown_s)
           c (user_id, key, fingerprint, ours, seats, seats_to, cooldown_s)
     CROSS JOIN LATERAL (
           SELECT seat_is[c.seats_to - c.seats + 1:c.seats_to] AS seat_is OFFSET 0) w
      LEFT JOIN LATERAL (
           -- guard: decide_fingerprint_is_compared => SELECT true AS same
           SELECT r.fingerprint = c.fingerprint AS same
             FROM reservations r
            -- no guard: Saves a look-up when no person of the batch is known.
            WHERE p_known
              -- guard: decide_key_is_per_person { => AND (r.schedule_id, r.idempotency_key) = (p_schedule_id, c.key)
              -- guard: decide_key_is_per_schedule { => AND (r.user_id, r.idempotency_key) = (c.user_id, c.key)
              -- guard: decide_key_is_compared { => AND (r.user_id, r.schedule_id) = (c.user_id, p_schedule_id)
              AND (r.user_id, r.schedule_id, r.idempotency_key)
                  BETWEEN (c.user_id, p_schedule_id, c.key) AND (c.user_id, p_schedule_id, c.key)
              -- guard: }
            UNION ALL
           SELECT a.fingerprint = c.fingerprint
             FROM reservations_archive a
            -- no guard: Saves a look-up when no person of the batch is known.
            WHERE p_known
              -- guard: decide_archived_key_is_per_person { => AND (a.schedule_id, a.idempotency_key) = (p_schedule_id, c.key)
              -- guard: decide_archived_key_is_per_schedule { => AND (a.user_id, a.idempotency_key) = (c.user_id, c.key)
              -- guard: decide_archived_keys_are_compared { => AND (a.user_id, a.schedule_id) = (c.user_id, p_schedule_id)
              AND (a.user_id, a.schedule_id, a.idempotency_key)
                  BETWEEN (c.user_id, p_schedule_id, c.key) AND (c.user_id, p_schedule_id, c.key)
              -- guard: }
           -- no guard: Joins each command with the earlier result of its key, if any; the condition is inside.
           OFFSET 0) r ON true;

    winners := '{}';
    FOR i IN 1..cardinality(p_user_ids) LOOP
        -- guard: decide_what_is_settled_stays
        CONTINUE WHEN outcomes[i] IS NOT NULL;
        own := p_seat_ids[p_seats_to[i] - p_seat_counts[i] + 1:p_seats_to[i]];
        -- guard: decide_seat_is_won_once_in_batch => IF false THEN
        IF own && won_seats THEN
            outcomes[i] := 'seat_taken';
            CONTINUE;
        END IF;
        total := p_person_seats[i] + p_seat_counts[i];
        -- guard: decide_persons_earlier_wins_count => IF false THEN
        IF p_user_ids[i] = ANY (winning_users) THEN
            total := total + (SELECT sum(p_seat_counts[w.command]) FROM unnest(winners) w (command)
                               -- guard: decide_only_own_wins_count => );
                               WHERE p_user_ids[w.command] = p_user_ids[i]);
        END IF;
        -- guard: decide_ticket_limit => IF false THEN
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
                     -- guard: decide_unknown_seats_are_named: w.seat_is = 'unknown' => true
                     WHEN 'seat_not_found' THEN w.seat_is = 'unknown'
                     -- guard: decide_busy_seats_are_named => WHEN 'seat_busy' THEN true
                     WHEN 'seat_busy' THEN w.seat_is = 'locked'
                     -- no guard: Head of the two conditions below, which are guards.
                     WHEN 'seat_taken' THEN
                         -- guard: decide_taken_seats_are_named { => true
                         w.seat_is = 'taken'
                         -- guard: decide_seats_that_neighbour_won_are_named {
                         OR (w.seat_is = 'free'
                             -- guard: decide_seats_that_were_won_later_are_not_named: < w.command => IS NOT NULL
                             AND won_by[array_position(won_seats, w.seat_id)] < w.command)
                         -- guard: }
                     ELSE false END)
      INTO in_the_way
      FROM unnest(p_seat_ids, p_wanted_by, seat_is) w (seat_id, command, seat_is);
END;
$$;

-- Release holds. p_request_ids identify, after a lost answer, the request that did it.
-- outcome: released, reservation_not_found (also another person's), not_held, payment_in_progress. `key` is the
-- idempotency key of the hold: with the person it makes the owner token of the seat lock.
-- seat_versions: of a release, the new version of each seat, 0 for a seat that another person has by now.
-- returns_at: with a return delay, when the seats are on sale again.
CREATE OR REPLACE FUNCTION reservations_release_v4(
    p_schedule_id uuid,
    p_request_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[]
) RETURNS TABLE (
    ord integer, outcome text, seat_ids text[], key text, seat_versions bigint[], returns_at timestamptz
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
    released uuid[];
BEGIN
    -- The same lock as a hold, because the person's row is changed.
    -- guard: release_person_is_locked => PERFORM person.lock
    PERFORM pg_advisory_xact_lock(person.lock)
       -- no guard: Saves taking a lock twice; payments guard the order of the same locks.
       FROM (SELECT DISTINCT uuid_hash_extended(u.id, lock_seed) AS lock
               FROM unnest(p_user_ids) u (id)
              ORDER BY lock) person;

    PERFORM 1
       -- guard: release_locks_in_order => FROM unnest(p_reservation_ids) c (id)
       FROM (SELECT DISTINCT c.id FROM unnest(p_reservation_ids) c (id) ORDER BY c.id) c
      CROSS JOIN LATERAL (
            SELECT FROM reservations r
             -- no guard: Finds the rows to lock; without it more are locked.
             WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
               -- guard: release_reservation_is_locked_before_time_is_taken => ) l;
               FOR NO KEY UPDATE) l;
    decided_at := clock_timestamp();

    WITH first AS (
        -- no guard: One of several requests releases in either case; this makes it the first.
        SELECT DISTINCT ON (c.reservation_id) c.reservation_id, c.user_id, c.request_id, l.place
          FROM unnest(p_reservation_ids, p_user_ids, p_request_ids)
               WITH ORDINALITY c (reservation_id, user_id, request_id, ord)
         CROSS JOIN LATERAL (
               SELECT r.ctid AS place
                 FROM reservations r
                -- no guard: Reservation ids are UUIDs; the schedule is there for the primary key.
                WHERE r.schedule_id = p_schedule_id
                  -- guard: release_reservation_by_id
                  AND r.reservation_id = c.reservation_id
                  -- guard: release_only_own
                  AND r.user_id = c.user_id
               OFFSET 0) l
         ORDER BY c.reservation_id, c.ord
    ), closed AS (
        UPDATE reservations r
           SET status = 'CANCELLED', closed_at = decided_at, closed_by = first.request_id
          FROM first
         -- no guard: { Finds the row that the previous statement locked; the keys below are the guards.
         WHERE r.ctid = first.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
         -- guard: }
           -- guard: release_reservation_by_id_again
           AND r.reservation_id IS NOT DISTINCT FROM first.reservation_id
           -- guard: release_only_own_again
           AND r.user_id IS NOT DISTINCT FROM first.user_id
           -- guard: release_only_what_is_held: status = 'HELD' AND r. =>
           -- guard: release_only_before_end => AND r.status = 'HELD'
           AND r.status = 'HELD' AND r.expires_at > decided_at
           -- guard: release_nothing_that_is_being_paid
           AND r.intent_id IS NULL
        RETURNING r.reservation_id
    )
    SELECT array_agg(x.reservation_id) INTO released FROM closed x;

    -- guard: release_seats_and_events_only_of_what_was_released => IF false THEN
    IF released IS NOT NULL THEN
        PERFORM reservations_return_seats_v1(p_schedule_id, released, decided_at);
        PERFORM reservations_note_closed_v1(p_schedule_id, released, decided_at);
        PERFORM reservations_tell_v1(p_schedule_id, 'reservation.cancelled', released, decided_at);
    END IF;

    RETURN QUERY
    SELECT c.ord::integer,
           -- guard: release_anothers_reservation_does_not_exist => CASE WHEN false THEN 'reservation_not_found'
           CASE WHEN r.reservation_id IS NULL AND a.reservation_id IS NULL THEN 'reservation_not_found'
                -- guard: release_releaser_gets_the_answer: = c.request_id => IS NOT NULL
                WHEN r.closed_by = c.request_id THEN 'released'
                -- guard: release_lapsed_hold_is_not_being_paid: AND r.expires_at > decided_at =>
                -- guard: release_says_what_is_being_paid => WHEN false THEN 'payment_in_progress'
                WHEN r.is_held AND r.expires_at > decided_at THEN 'payment_in_progress'
                ELSE 'not_held' END,
           r.seat_ids, r.idempotency_key, v.seat_versions, v.returns_at
      FROM unnest(p_reservation_ids, p_user_ids, p_request_ids)
           WITH ORDINALITY c (reservation_id, user_id, request_id, ord)
      LEFT JOIN LATERAL (
           SELECT r.reservation_id, r.closed_by, r.seat_ids, r.idempotency_key, r.expires_at,
                  r.status = 'HELD' AS is_held
             FROM reservations r
            -- no guard: { Reservation ids are UUIDs; the schedule is there for the primary key.
            WHERE r.schedule_id = p_schedule_id
              AND r.reservation_id = c.reservation_id
            -- guard: }
              -- guard: release_answer_is_own
              AND r.user_id = c.user_id
           -- no guard: Joins each request with its reservation, if any; the conditions are inside.
           OFFSET 0) r ON true
      LEFT JOIN LATERAL (
           SELECT a.reservation_id
             FROM reservations_archive a
            -- no guard: { Reservation ids are UUIDs; skips the archive when the live row is found.
            WHERE r.reservation_id IS NULL
              AND a.schedule_id = p_schedule_id
            -- guard: }
              -- guard: release_archived_reservation_by_id
              AND a.reservation_id = c.reservation_id
              -- guard: release_archived_reservation_is_only_own
              AND a.user_id = c.user_id
           -- no guard: Joins each request with the archived reservation, if any; the conditions are inside.
           OFFSET 0) a ON true
      LEFT JOIN LATERAL (
           SELECT array_agg(coalesce(s.version, 0) ORDER BY t.n) AS seat_versions,
                  max(s.expires_at) AS returns_at
             FROM unnest(r.seat_ids) WITH ORDINALITY t (seat_id, n)
             LEFT JOIN LATERAL (
                  SELECT s.version, s.expires_at FROM seats s
                   -- guard: release_versions_of_this_schedules_seats => WHERE true
                   WHERE s.schedule_id = p_schedule_id
                     -- guard: release_versions_of_reservations_seats
                     AND s.seat_id = t.seat_id
                     -- guard: release_no_version_of_seat_taken_over
                     AND (s.state = 'AVAILABLE' OR s.reservation_id = r.reservation_id)
                  -- no guard: Joins each seat with its row; the conditions are inside.
                  OFFSET 0) s ON true
            -- no guard: Saves a look-up: only released reservations need versions.
            WHERE r.closed_by = c.request_id) v ON true
     ORDER BY c.ord;
END;
$$;

-- For pods of the previous release, which know of no payment in progress.
CREATE OR REPLACE FUNCTION reservations_release_v3(
    p_schedule_id uuid,
    p_request_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[]
) RETURNS TABLE (
    ord integer, outcome text, seat_ids text[], key text, seat_versions bigint[], returns_at timestamptz
)
LANGUAGE sql
AS $$
SELECT r.ord, replace(r.outcome, 'payment_in_progress', 'not_held'), r.seat_ids, r.key, r.seat_versions,
       r.returns_at
  FROM reservations_release_v4(p_schedule_id, p_request_ids, p_user_ids, p_reservation_ids) r
 ORDER BY r.ord;
$$;

-- For pods of the previous release, which learn of a return delay from their next reading.
CREATE OR REPLACE FUNCTION reservations_release_v2(
    p_schedule_id uuid,
    p_request_ids uuid[],
    p_user_ids uuid[],
    p_reservation_ids uuid[]
) RETURNS TABLE (ord integer, outcome text, seat_ids text[], key text, seat_versions bigint[])
LANGUAGE sql
AS $$
SELECT r.ord, r.outcome, r.seat_ids, r.key,
       -- no guard: Saves pods of the previous release a query.
       CASE WHEN r.returns_at IS NULL THEN r.seat_versions ELSE '{}' END
  FROM reservations_release_v3(p_schedule_id, p_request_ids, p_user_ids, p_reservation_ids) r
 ORDER BY r.ord;
$$;

-- Put the seats of released reservations back on sale: at once, or with a return delay those of each
-- reservation together at a random time, after the turn of a waiting list. Until then they stay held for a
-- closed reservation, and lapse like any hold.
CREATE OR REPLACE FUNCTION reservations_return_seats_v1(
    p_schedule_id uuid, p_reservation_ids uuid[], p_decided_at timestamptz)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    delay_s integer;
    turn_s integer;
BEGIN
    SELECT c.seats_return_delay_max_s, c.waiting_list_turn_s INTO delay_s, turn_s
      FROM schedules c
     -- no guard: Finds the schedule; a test with both kinds of schedules covers it.
     WHERE c.schedule_id = p_schedule_id;
    -- guard: return_at_once_where_nothing_else_is_wanted => IF false THEN
    IF delay_s + turn_s = 0 THEN
        PERFORM reservations_free_seats_v1(p_schedule_id, p_reservation_ids);
        RETURN;
    END IF;

    UPDATE seats s SET expires_at = w.returns_at, version = s.version + 1
      FROM (SELECT l.place, w.reservation_id, w.returns_at
              FROM (SELECT c.id AS reservation_id, t.seat_id,
                           p_decided_at + make_interval(secs => turn_s)
                           + c.share * make_interval(secs => delay_s) AS returns_at
                      FROM (SELECT u.id, random() AS share FROM unnest(p_reservation_ids) u (id)) c
                     CROSS JOIN LATERAL (
                           SELECT r.seat_ids FROM reservations r
                            -- no guard: The conditions below let only seats of the closed reservation pass.
                            WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
                           OFFSET 0) r
                     CROSS JOIN LATERAL unnest(r.seat_ids) t (seat_id)
                     ORDER BY t.seat_id) w
             CROSS JOIN LATERAL (
                   SELECT s.ctid AS place
                     FROM seats s
                    -- no guard: { The locks of reservation and person keep the seats since the release.
                    WHERE s.schedule_id = p_schedule_id
                      AND s.seat_id = w.seat_id
                      AND s.reservation_id = w.reservation_id
                      AND s.state = 'HELD'
                      FOR NO KEY UPDATE) l) w
                    -- guard: }
     -- no guard: { Finds the locked row; the conditions above are repeated.
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.reservation_id = w.reservation_id
       AND s.state = 'HELD';
     -- guard: }
END;
$$;

-- When refunded seats of a reservation are on sale again: null for at once, with a return delay at a random time
-- after the turn of a waiting list, at which the sweeper tidies them.
CREATE OR REPLACE FUNCTION reservations_plan_return_v1(
    p_schedule_id uuid, p_reservation_id uuid, p_decided_at timestamptz, OUT returns_at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT p_decided_at + make_interval(secs => c.waiting_list_turn_s)
           + random() * make_interval(secs => c.seats_return_delay_max_s)
      INTO returns_at
      FROM schedules c
     -- no guard: Finds the schedule; a test with both kinds of schedules covers it.
     WHERE c.schedule_id = p_schedule_id
       -- guard: refund_seats_take_their_time_only_where_schedule_wants_it => ;
       AND c.seats_return_delay_max_s + c.waiting_list_turn_s > 0;
    -- no guard: The primary key refuses an end that is null.
    IF returns_at IS NOT NULL THEN
        INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
        VALUES (p_schedule_id, returns_at, p_reservation_id, ARRAY[p_reservation_id]);
    END IF;
END;
$$;

-- Put the seats that closed reservations still occupy back on sale; a seat that another reservation has
-- taken over is left alone. Returns how many seats.
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
    -- Sorted, because a seat that was taken over stays locked until the end as well, and the payment of its
    -- new owner may wait for it.
    SELECT array_agg(l.place), array_agg(w.reservation_id) INTO places, owners
      FROM (SELECT c.id AS reservation_id, t.seat_id
              FROM unnest(p_reservation_ids) c (id)
             CROSS JOIN LATERAL (
                   SELECT r.seat_ids FROM reservations r
                    -- no guard: The guards below let only seats of the closed reservation pass.
                    WHERE r.schedule_id = p_schedule_id AND r.reservation_id = c.id
                   OFFSET 0) r
             CROSS JOIN LATERAL unnest(r.seat_ids) t (seat_id)
             -- guard: free_seats_are_locked_in_order: seat_id => seat_id DESC
             ORDER BY t.seat_id) w
     CROSS JOIN LATERAL (
           SELECT s.ctid AS place
             FROM seats s
            -- no guard: { Finds the rows; the conditions on reservation and state are the guards.
            WHERE s.schedule_id = p_schedule_id
              AND s.seat_id = w.seat_id
            -- guard: }
              -- guard: free_taken_over_seat_is_left
              AND s.reservation_id = w.reservation_id
              -- guard: free_sold_seat_is_left
              AND s.state = 'HELD'
              -- no guard: The update below has the same conditions and waits for the same locks.
              FOR NO KEY UPDATE) l;

    UPDATE seats s
       SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL, expires_at = NULL,
           version = s.version + 1
      FROM unnest(places, owners) w (place, reservation_id)
     -- no guard: { Finds the row that the previous statement locked; owner and state are the guards.
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
     -- guard: }
       -- guard: free_taken_over_seat_is_left_again
       AND s.reservation_id = w.reservation_id
       -- guard: free_sold_seat_is_left_again => ;
       AND s.state = 'HELD';
    -- no guard: Reported only: seats that were taken over are not freed.
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END;
$$;

-- Write the events of closed reservations, all in one row of the outbox.
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
                -- guard: closed_reservations_are_returned: AND r.reservation_id = c.id =>
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

-- Close at most p_limit lapsed holds of one schedule, the oldest first, and free their seats. Sales do not
-- wait for this, because the seats of a lapsed hold are free already. Holds that are locked, or whose person
-- is, stay for a later call.
-- closed: how many, at most 500, as each takes the lock of its person. more: whether it stopped at the limit
-- and another call closes more.
CREATE OR REPLACE FUNCTION reservations_expire_v2(
    p_schedule_id uuid, p_limit integer, OUT closed integer, OUT more boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    lock_seed CONSTANT bigint := uuid_hash_extended(p_schedule_id, 0);
    decided_at CONSTANT timestamptz := clock_timestamp();
    -- How long seats stay away after the end of a hold, at the most.
    delay CONSTANT interval := (
        SELECT make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s)
          -- no guard: Finds the schedule, by its primary key.
          FROM schedules c WHERE c.schedule_id = p_schedule_id);
    due record;
    due_places tid[] := '{}';
    due_ids uuid[] := '{}';
    places tid[];
    lapsed uuid[];
    given_back uuid[];
    kept bigint;
BEGIN
    p_limit := least(p_limit, 500);
    FOR due IN
        SELECT h.ctid AS place, h.reservation_ids
          FROM lapsing_holds h
         -- guard: expire_list_of_this_schedule => WHERE h.expires_at <= decided_at
         -- guard: expire_what_is_due_on_list: AND h.expires_at <= decided_at =>
         WHERE h.schedule_id = p_schedule_id AND h.expires_at <= decided_at
         -- guard: expire_oldest_first: expires_at => expires_at DESC
         ORDER BY h.expires_at LIMIT p_limit
           -- guard: expire_list_is_shared_between_sweepers
           -- guard: expire_no_sweeper_waits_for_another => FOR UPDATE
           FOR UPDATE SKIP LOCKED
    LOOP
        due_places := due_places || due.place;
        due_ids := due_ids || due.reservation_ids;
        -- guard: expire_work_of_one_call_is_bounded
        EXIT WHEN cardinality(due_ids) >= p_limit;
    END LOOP;

    SELECT array_agg(x.place), array_agg(x.reservation_id) INTO places, lapsed
      FROM (SELECT l.place, l.reservation_id
              FROM (SELECT c.id FROM unnest(due_ids) WITH ORDINALITY c (id, at)
                     GROUP BY c.id ORDER BY min(c.at)) c
             CROSS JOIN LATERAL (
                   SELECT r.ctid AS place, r.reservation_id
                     FROM reservations r
                    -- no guard: Reservation ids are UUIDs; the schedule is there for the primary key.
                    WHERE r.schedule_id = p_schedule_id
                      -- guard: expire_reservations_on_list
                      AND r.reservation_id = c.id
                      -- guard: expire_only_what_is_held
                      AND r.status = 'HELD'
                      -- A hold that was extended since it was put on the list keeps its seats as long as others.
                      -- guard: expire_only_what_has_lapsed
                      AND r.expires_at <= decided_at - delay
                      -- guard: expire_person_is_locked
                      AND pg_try_advisory_xact_lock(uuid_hash_extended(r.user_id, lock_seed))
                      -- guard: expire_reservations_are_locked => ) l
                      -- guard: expire_skips_locked_rows: SKIP LOCKED =>
                      FOR NO KEY UPDATE SKIP LOCKED) l
             -- guard: expire_limit => ) x;
             LIMIT p_limit) x;
    closed := coalesce(cardinality(lapsed), 0);
    -- guard: expire_seats_and_events_only_of_what_was_closed => IF false THEN
    IF closed > 0 THEN
        UPDATE reservations r SET status = 'EXPIRED', closed_at = decided_at
          FROM unnest(places) w (place)
         -- no guard: { Finds the lapsed holds that the previous statement locked.
         WHERE r.ctid = w.place
           AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
           AND r.status = 'HELD';
         -- guard: }
        PERFORM reservations_free_seats_v1(p_schedule_id, lapsed);
        PERFORM reservations_note_closed_v1(p_schedule_id, lapsed, decided_at);
        PERFORM reservations_tell_v1(p_schedule_id, 'reservation.expired', lapsed, decided_at);
    END IF;

    -- no guard: Saves a look-up: without a return delay, a released reservation has no seats.
    IF delay > interval '0' THEN
        -- Seats with a return delay after a release or a refund, which are free by now.
        SELECT array_agg(r.reservation_id) INTO given_back
          FROM unnest(due_ids) d (id)
         CROSS JOIN LATERAL (
               SELECT r.reservation_id
                 FROM reservations r
                -- no guard: { Held and paid reservations keep their seats by the conditions on seats.
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = d.id
                  AND r.status IN ('CANCELLED', 'CONFIRMED', 'REFUNDED')
                -- guard: }
                  -- guard: expire_seats_of_a_refund_take_their_time
                  AND NOT EXISTS (SELECT FROM unnest(r.seat_ids) i (id) JOIN seats s ON s.schedule_id = p_schedule_id AND s.seat_id = i.id WHERE s.reservation_id = r.reservation_id AND s.expires_at > decided_at)
               OFFSET 0) r;
        -- guard: expire_seats_that_took_their_time_are_tidied => NULL;
        PERFORM reservations_free_seats_v1(p_schedule_id, coalesce(given_back, '{}'));
    END IF;

    DELETE FROM lapsing_holds h
     USING unnest(due_places) w (place)
     -- guard: expire_only_what_was_due_leaves_list: ctid = w.place AND h. =>
     WHERE h.ctid = w.place AND h.schedule_id IS NOT DISTINCT FROM p_schedule_id;

    WITH left_over AS (
        SELECT r.expires_at, r.reservation_id
          FROM unnest(due_ids) c (id)
         CROSS JOIN LATERAL (
               SELECT r.expires_at, r.reservation_id
                 FROM reservations r
                -- no guard: { Reservation ids are UUIDs; the schedule is there for the primary key.
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = c.id
                -- guard: }
                  -- guard: expire_what_could_not_be_closed_stays_on_list => AND false
                  -- guard: expire_what_was_closed_does_not_stay_on_list
                  AND r.status = 'HELD'
               OFFSET 0) r
    ), put_back AS (
        INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
        SELECT p_schedule_id, x.expires_at + delay, (array_agg(x.reservation_id))[1],
               array_agg(x.reservation_id)
          FROM left_over x
         GROUP BY x.expires_at
    )
    SELECT count(*) INTO kept FROM left_over x;
    -- guard: expire_calls_again_only_where_that_gets_further: AND kept < cardinality(due_ids) =>
    -- guard: expire_calls_again_only_at_limit => more := kept < cardinality(due_ids);
    more := cardinality(due_ids) >= p_limit AND kept < cardinality(due_ids);
END;
$$;
