-- Batch decisions of schedules with offers; the conventions of a batch, the lock order and the reasons for
-- look-ups one by one and changes by ctid are in `reservations/functions.sql`.
-- A hold that counts against a limit waits for the row of `schedule_offers` while it has no other lock, and for
-- nothing afterwards; a refund locks that row last. So the row is part of no deadlock.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- A price after a reduction: less p_percent_off of it, rounded down, less p_amount_off_minor, never below zero.
-- `offers/rules.py` computes the same for pages.
CREATE OR REPLACE FUNCTION offers_reduced_v1(
    p_price_minor bigint, p_percent_off integer, p_amount_off_minor bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $$
SELECT greatest(p_price_minor - p_price_minor * p_percent_off / 100 - p_amount_off_minor, 0);
$$;

-- Hold seats of a schedule with offers. The parameters of reservations_hold_v4, which decides about seats and
-- people; beside p_seat_ids the price type of each seat, '' for the full price; per command the digest of its
-- code, or null.
-- outcomes: those of reservations_hold_v4, and code_invalid, code_used_up, code_limit, presale_only,
-- quota_exhausted, price_type_unknown, companion_required; or offers_busy, to be retried: it depends on another
-- command of this batch or on a concurrent transaction. A repetition has its first outcome in any case.
-- are_refused: per command, whether offers refused it; such a command has no part in in_the_way.
-- are_at_fault: beside p_seat_ids, what price_type_unknown and companion_required are about.
-- price_types, prices_minor, discounts_minor, fees_minor: of the held commands' seats, one after the other.
CREATE OR REPLACE FUNCTION offers_hold_v1(
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
    p_price_types text[],
    p_codes bytea[],
    OUT outcomes text[],
    OUT created_at timestamptz,
    OUT expires_at timestamptz,
    OUT currency text,
    OUT amounts_minor bigint[],
    OUT seat_versions bigint[],
    OUT in_the_way boolean[],
    OUT cooldown_s double precision[],
    OUT returns_at timestamptz[],
    OUT are_refused boolean[],
    OUT are_at_fault boolean[],
    OUT price_types text[],
    OUT prices_minor bigint[],
    OUT discounts_minor bigint[],
    OUT fees_minor bigint[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    commands CONSTANT integer := cardinality(p_reservation_ids);
    decided_at timestamptz;
    counts boolean;
    terms record;
    -- Whether uses that seem to have ended are locked by a concurrent transaction.
    unsettled boolean := false;
    faults text[];
    command record;
    refusal text;
    refusals text[] := array_fill(NULL::text, ARRAY[commands]);
    -- Per command: the batch of its code, its reduction, and the channel that it counts against.
    batch_ids uuid[] := array_fill(NULL::uuid, ARRAY[commands]);
    percents_off integer[] := array_fill(0, ARRAY[commands]);
    amounts_off bigint[] := array_fill(0::bigint, ARRAY[commands]);
    channels text[] := array_fill(NULL::text, ARRAY[commands]);
    -- Of the commands that are not refused, in order.
    codes_so_far bytea[] := '{}';
    batches_so_far uuid[] := '{}';
    people_so_far uuid[] := '{}';
    channels_so_far text[] := '{}';
    seats_so_far integer[] := '{}';
    persons_uses bigint;
    held record;
    winners integer[];
BEGIN
    -- guard: offers_codes_are_counted_one_after_the_other => SELECT o.is_limited INTO counts
    SELECT o.is_limited OR array_remove(p_codes, NULL) <> '{}' INTO counts
      FROM schedule_offers o
     -- no guard: Finds the terms, by their primary key.
     WHERE o.schedule_id = p_schedule_id;
    -- no guard: The other kind of lock is the guard.
    IF counts THEN
        SELECT o.public_from, o.fee_minor, o.is_limited INTO terms FROM schedule_offers o
         -- guard: offers_limits_are_counted_one_after_the_other: FOR NO KEY UPDATE =>
         WHERE o.schedule_id = p_schedule_id FOR NO KEY UPDATE;
    ELSE
        SELECT o.public_from, o.fee_minor, o.is_limited INTO terms FROM schedule_offers o
         -- guard: offers_terms_do_not_change_under_a_hold: FOR KEY SHARE =>
         WHERE o.schedule_id = p_schedule_id FOR KEY SHARE;
    END IF;
    decided_at := clock_timestamp();
    created_at := decided_at;
    -- guard: offers_first_quota_is_counted_from_the_next_batch_on => IF false THEN
    IF terms.is_limited AND counts IS FALSE THEN
        outcomes := array_fill('offers_busy'::text, ARRAY[commands]);
        are_refused := array_fill(true, ARRAY[commands]);
        RETURN;
    END IF;

    -- no guard: { Saves a look at ended uses while no limit is near.
    IF counts AND (EXISTS (SELECT FROM sales_channels h
                            WHERE h.schedule_id = p_schedule_id
                              AND h.taken + cardinality(p_seat_ids) > h.quota)
                   OR EXISTS (SELECT FROM unnest(p_codes) c (code)
                               CROSS JOIN LATERAL (
                                     SELECT k.taken, k.uses_max FROM offer_codes k
                                      WHERE k.schedule_id = p_schedule_id AND k.code_hash = c.code
                                     OFFSET 0) k
                               WHERE k.taken >= k.uses_max)) THEN
    -- guard: }
        -- guard: offers_use_that_ended_is_returned => unsettled := false;
        unsettled := offers_settle_v1(p_schedule_id, decided_at);
    END IF;

    -- What each seat costs, and what is wrong with it.
    SELECT array_agg(w.price_type ORDER BY w.at),
           array_agg(coalesce(offers_reduced_v1(s.price_minor, coalesce(t.percent_off, 0),
                                                coalesce(t.amount_off_minor, 0)), 0) ORDER BY w.at),
           -- guard: offers_price_type_that_exists => array_agg(CASE WHEN false THEN 'price_type_unknown'
           array_agg(CASE WHEN w.price_type <> '' AND t.code IS NULL THEN 'price_type_unknown'
                          -- guard: offers_companion_is_held_too => WHEN false THEN 'companion_required'
                          WHEN p.is_missing THEN 'companion_required' END ORDER BY w.at)
      INTO price_types, prices_minor, faults
      FROM unnest(p_seat_ids, p_price_types, p_wanted_by) WITH ORDINALITY w (seat_id, price_type, command, at)
      LEFT JOIN LATERAL (
           SELECT s.price_minor, s.grade FROM seats s
            -- guard: offers_price_of_the_seat: AND s.seat_id = w.seat_id =>
            WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
           -- no guard: Joins each seat with its row, if any; the conditions are inside.
           OFFSET 0) s ON true
      LEFT JOIN LATERAL (
           SELECT t.code, t.percent_off, t.amount_off_minor FROM price_types t
            -- guard: offers_price_type_of_this_schedule => WHERE t.code = w.price_type
            -- guard: offers_price_type_that_was_chosen: AND t.code = w.price_type =>
            WHERE t.schedule_id = p_schedule_id AND t.code = w.price_type
              -- guard: offers_price_type_of_its_grades
              AND (t.grades IS NULL OR s.grade = ANY (t.grades))
           -- no guard: Joins each seat with its price type, if any; the conditions are inside.
           OFFSET 0) t ON true
      LEFT JOIN LATERAL (
           SELECT a.partner_id <> ALL (p_seat_ids[p_seats_to[w.command] - p_seat_counts[w.command] + 1
                                                  :p_seats_to[w.command]])
                  -- guard: offers_companion_that_is_gone_is_not_needed
                  AND b.state NOT IN ('SOLD', 'BLOCKED') AS is_missing
             FROM seat_attributes a
             -- no guard: The partner of the seat, by its primary key; a constraint of the terms wants it to exist.
             JOIN seats b ON b.schedule_id = a.schedule_id AND b.seat_id = a.partner_id
            -- no guard: { The attributes of the seat, by their primary key.
            WHERE a.schedule_id = p_schedule_id AND a.seat_id = w.seat_id
           OFFSET 0) p ON true;
            -- guard: }

    FOR command IN
        SELECT c.at::integer AS at, c.user_id, c.code, c.seats, k.batch_id, k.taken, k.uses_max, k.seats_max,
               k.person_uses_max, k.is_presale, k.percent_off, k.amount_off_minor, k.valid_from,
               k.valid_until, h.code AS channel, h.quota, h.taken AS channel_taken,
               (SELECT min(f.fault) FROM unnest(faults[c.seats_to - c.seats + 1:c.seats_to]) f (fault)) AS fault
          FROM unnest(p_user_ids, p_codes, p_seat_counts, p_seats_to)
               WITH ORDINALITY c (user_id, code, seats, seats_to, at)
          LEFT JOIN LATERAL (
               SELECT b.batch_id, k.taken, k.uses_max, b.seats_max, b.person_uses_max, b.is_presale,
                      b.percent_off, b.amount_off_minor, b.valid_from, b.valid_until, b.channel
                 FROM offer_codes k
                 -- no guard: The batch of the code, by its primary key.
                 JOIN code_batches b ON b.schedule_id = k.schedule_id AND b.batch_id = k.batch_id
                -- guard: offers_code_of_this_schedule => WHERE k.code_hash = c.code
                -- guard: offers_code_that_was_given: AND k.code_hash = c.code =>
                WHERE k.schedule_id = p_schedule_id AND k.code_hash = c.code
                  -- guard: offers_disabled_code_is_none: k.disabled_at IS NULL => true
                  -- guard: offers_code_of_disabled_batch_is_none: b.disabled_at IS NULL => true
                  AND k.disabled_at IS NULL AND b.disabled_at IS NULL
               -- no guard: Joins each command with its code, if any; the conditions are inside.
               OFFSET 0) k ON true
          LEFT JOIN LATERAL (
               SELECT h.code, h.quota, h.taken FROM sales_channels h
                -- guard: offers_channel_of_this_schedule => WHERE (h.code = k.channel OR h.is_default)
                -- guard: offers_channel_of_the_code: h.code = k.channel OR =>
                WHERE h.schedule_id = p_schedule_id AND (h.code = k.channel OR h.is_default)
                ORDER BY (h.code = k.channel) DESC NULLS LAST
               -- no guard: The first one: that of the code before the default.
                LIMIT 1) h ON true
         ORDER BY c.at
    LOOP
        batch_ids[command.at] := command.batch_id;
        percents_off[command.at] := coalesce(command.percent_off, 0);
        amounts_off[command.at] := coalesce(command.amount_off_minor, 0);
        channels[command.at] := command.channel;
        persons_uses := 0;
        -- no guard: Saves a count where nothing is compared with it.
        IF command.person_uses_max IS NOT NULL THEN
            SELECT count(*) INTO persons_uses
              FROM reservation_offers o
             CROSS JOIN LATERAL (
                   SELECT r.status, r.expires_at FROM reservations r
                    -- no guard: The reservation of the use, by its primary key.
                    WHERE r.schedule_id = o.schedule_id AND r.reservation_id = o.reservation_id
                   OFFSET 0) r
             -- guard: offers_uses_of_this_batch: o.batch_id = command.batch_id AND => true AND
             -- guard: offers_uses_of_this_person: AND o.user_id = command.user_id =>
             WHERE o.batch_id = command.batch_id AND o.user_id = command.user_id AND o.seats > 0
               -- guard: offers_ended_use_of_person_does_not_count
               AND (r.status = 'CONFIRMED' OR (r.status = 'HELD' AND r.expires_at > decided_at));
        END IF;
        refusal := CASE
            -- guard: offers_code_that_exists => WHEN false THEN 'code_invalid'
            WHEN command.code IS NOT NULL AND command.batch_id IS NULL THEN 'code_invalid'
            -- guard: offers_code_ends => WHEN false THEN 'code_invalid'
            WHEN command.valid_until <= decided_at THEN 'code_invalid'
            -- guard: offers_code_begins => WHEN false THEN 'presale_only'
            WHEN command.valid_from > decided_at THEN 'presale_only'
            -- guard: offers_presale_needs_code: terms.public_from > decided_at => false
            -- guard: offers_presale_needs_code_of_presale: AND command.is_presale IS NOT TRUE => AND command.batch_id IS NULL
            WHEN terms.public_from > decided_at AND command.is_presale IS NOT TRUE THEN 'presale_only'
            -- no guard: Answers faults of seats, which are guards.
            WHEN command.fault IS NOT NULL THEN command.fault
            -- guard: offers_seats_per_use => WHEN false THEN 'code_limit'
            WHEN command.seats > command.seats_max THEN 'code_limit'
            -- guard: offers_uses_of_code => WHEN false THEN 'code_used_up'
            WHEN command.taken >= command.uses_max THEN 'code_used_up'
            -- guard: offers_uses_per_person => WHEN false THEN 'code_limit'
            WHEN persons_uses >= command.person_uses_max THEN 'code_limit'
            -- guard: offers_quota_of_channel => WHEN false THEN 'quota_exhausted'
            WHEN command.channel_taken + command.seats > command.quota THEN 'quota_exhausted'
            END;
        -- guard: offers_neighbour_that_may_lose_does_not_refuse => IF false THEN
        IF refusal IS NULL AND (
                -- guard: offers_uses_in_batch_count => false
                command.taken + cardinality(array_positions(codes_so_far, command.code)) >= command.uses_max
                -- guard: offers_uses_of_person_in_batch_count { => OR
                OR (command.person_uses_max IS NOT NULL AND EXISTS (
                    SELECT FROM unnest(batches_so_far, people_so_far) s (batch_id, user_id)
                     -- guard: offers_uses_of_neighbours_in_batch_do_not_count: AND s.user_id = command.user_id =>
                     WHERE s.batch_id = command.batch_id AND s.user_id = command.user_id)) OR
                -- guard: }
                -- guard: offers_seats_in_batch_count { => false
                command.channel_taken + command.seats + (
                    SELECT coalesce(sum(s.seats), 0) FROM unnest(channels_so_far, seats_so_far) s (channel, seats)
                     WHERE s.channel = command.channel) > command.quota
                -- guard: }
               ) THEN
            refusal := 'offers_busy';
        -- guard: offers_ended_use_that_is_locked_does_not_refuse => ELSIF false THEN
        ELSIF unsettled AND refusal IN ('code_used_up', 'quota_exhausted') THEN
            refusal := 'offers_busy';
        END IF;
        refusals[command.at] := refusal;
        -- no guard: What is refused takes nothing; the next batch would count exactly.
        IF refusal IS NULL THEN
            codes_so_far := array_append(codes_so_far, command.code);
            batches_so_far := array_append(batches_so_far, command.batch_id);
            people_so_far := array_append(people_so_far, command.user_id);
            channels_so_far := array_append(channels_so_far, command.channel);
            seats_so_far := array_append(seats_so_far, command.seats);
        END IF;
    END LOOP;

    SELECT array_agg(d.minor ORDER BY w.at),
           -- guard: offers_free_seat_has_no_fee: WHEN w.price_minor > d.minor => WHEN true
           array_agg(CASE WHEN w.price_minor > d.minor THEN coalesce(terms.fee_minor, 0) ELSE 0 END
                     ORDER BY w.at)
      INTO discounts_minor, fees_minor
      FROM unnest(prices_minor, p_wanted_by) WITH ORDINALITY w (price_minor, command, at)
     CROSS JOIN LATERAL (
           SELECT w.price_minor - offers_reduced_v1(
                      w.price_minor, percents_off[w.command], amounts_off[w.command]) AS minor
           OFFSET 0) d;

    -- guard: offers_refused_command_holds_nothing => IF false THEN
    IF array_remove(refusals, NULL) <> '{}' THEN
        -- A refused command asks for no seats: so a repetition still has its first outcome.
        p_apart := false;
        are_at_fault := ARRAY(SELECT f.fault IS NOT NULL FROM unnest(faults) WITH ORDINALITY f (fault, at) ORDER BY f.at);
        are_refused := ARRAY(SELECT r.refusal IS NOT NULL FROM unnest(refusals) WITH ORDINALITY r (refusal, at) ORDER BY r.at);
        SELECT coalesce(array_agg(w.seat_id ORDER BY w.at), '{}'), coalesce(array_agg(w.command ORDER BY w.at), '{}'),
               array_agg(w.price_type ORDER BY w.at), coalesce(array_agg(w.price_minor ORDER BY w.at), '{}'),
               array_agg(w.discount_minor ORDER BY w.at), array_agg(w.fee_minor ORDER BY w.at)
          INTO p_seat_ids, p_wanted_by, price_types, prices_minor, discounts_minor, fees_minor
          FROM unnest(p_seat_ids, p_wanted_by, price_types, prices_minor, discounts_minor, fees_minor)
               WITH ORDINALITY w (seat_id, command, price_type, price_minor, discount_minor, fee_minor, at)
         -- no guard: Part of the condition above, which is a guard.
         WHERE refusals[w.command] IS NULL;
        SELECT array_agg(x.seats ORDER BY x.at), array_agg(x.seats_to ORDER BY x.at)
          INTO p_seat_counts, p_seats_to
          FROM (SELECT c.at, c.seats, (sum(c.seats) OVER (ORDER BY c.at))::integer AS seats_to
                  -- no guard: Part of the condition above, which is a guard.
                  FROM (SELECT u.at, CASE WHEN refusals[u.at] IS NULL THEN u.seats ELSE 0 END AS seats
                          FROM unnest(p_seat_counts) WITH ORDINALITY u (seats, at)) c) x;
    END IF;

    SELECT * INTO held
      FROM reservations_hold_v4(
               p_schedule_id, p_reservation_ids, p_user_ids, p_keys, p_fingerprints, p_seat_ids, p_seat_counts,
               p_seats_to, p_wanted_by, p_apart, p_lapses_free_max, p_cooldown_first_s, p_cooldown_max_s,
               ARRAY(SELECT w.price_minor - w.discount_minor + w.fee_minor
                       FROM unnest(prices_minor, discounts_minor, fees_minor)
                            WITH ORDINALITY w (price_minor, discount_minor, fee_minor, at)
                      ORDER BY w.at));
    created_at := held.created_at;
    expires_at := held.expires_at;
    currency := held.currency;
    amounts_minor := held.amounts_minor;
    seat_versions := held.seat_versions;
    in_the_way := held.in_the_way;
    cooldown_s := held.cooldown_s;
    returns_at := held.returns_at;
    outcomes := held.outcomes;
    winners := ARRAY(SELECT i FROM generate_series(1, commands) i);
    -- no guard: Without outcomes all commands are held.
    IF outcomes IS NOT NULL THEN
        -- no guard: A refused command without an earlier hold: the outcome names the refusal.
        SELECT array_agg(CASE WHEN o.outcome = 'no_seats' THEN coalesce(o.refusal, o.outcome)
                              ELSE o.outcome END ORDER BY o.at)
          INTO outcomes
          FROM unnest(outcomes, refusals) WITH ORDINALITY o (outcome, refusal, at);
        winners := array_positions(outcomes, 'held');
        SELECT array_agg(w.price_type ORDER BY w.at), array_agg(w.price_minor ORDER BY w.at),
               array_agg(w.discount_minor ORDER BY w.at), array_agg(w.fee_minor ORDER BY w.at)
          INTO price_types, prices_minor, discounts_minor, fees_minor
          FROM unnest(p_wanted_by, price_types, prices_minor, discounts_minor, fees_minor)
               WITH ORDINALITY w (command, price_type, price_minor, discount_minor, fee_minor, at)
         -- guard: offers_losers_lines_are_left_out => ;
         WHERE w.command = ANY (winners);
    END IF;
    -- no guard: Saves three statements without a hold.
    IF coalesce(cardinality(winners), 0) = 0 THEN
        RETURN;
    END IF;

    INSERT INTO reservation_offers (
        schedule_id, reservation_id, user_id, batch_id, seats, channel, code_hash, price_types, prices_minor,
        discounts_minor, fees_minor)
    SELECT p_schedule_id, p_reservation_ids[w.i], p_user_ids[w.i], batch_ids[w.i], w.seats, channels[w.i],
           p_codes[w.i], price_types[w.seats_to - w.seats + 1:w.seats_to],
           prices_minor[w.seats_to - w.seats + 1:w.seats_to],
           discounts_minor[w.seats_to - w.seats + 1:w.seats_to], fees_minor[w.seats_to - w.seats + 1:w.seats_to]
      FROM (SELECT u.i, p_seat_counts[u.i] AS seats,
                   (sum(p_seat_counts[u.i]) OVER (ORDER BY u.i))::integer AS seats_to
              FROM unnest(winners) u (i)) w;

    -- guard: offers_uses_are_counted => IF false THEN
    IF counts THEN
        UPDATE offer_codes k SET taken = k.taken + w.uses
          FROM (SELECT l.place, u.uses
                  FROM (SELECT p_codes[w.i] AS code, count(*) AS uses FROM unnest(winners) w (i)
                         GROUP BY p_codes[w.i]) u
                 CROSS JOIN LATERAL (
                       SELECT k.ctid AS place FROM offer_codes k
                        -- guard: offers_count_of_the_code: AND k.code_hash = u.code =>
                        WHERE k.schedule_id = p_schedule_id AND k.code_hash = u.code
                          -- no guard: The row of the terms excludes others; this only keeps the ctid valid.
                          FOR NO KEY UPDATE) l) w
         -- no guard: Finds the locked row.
         WHERE k.ctid = w.place AND k.schedule_id IS NOT DISTINCT FROM p_schedule_id;
        UPDATE sales_channels h SET taken = h.taken + u.seats
          FROM (SELECT channels[w.i] AS channel, sum(p_seat_counts[w.i])::bigint AS seats
                  FROM unnest(winners) w (i) GROUP BY channels[w.i]) u
         -- guard: offers_count_of_the_channel: AND h.code = u.channel =>
         WHERE h.schedule_id = p_schedule_id AND h.code = u.channel AND h.quota IS NOT NULL;
    END IF;
END;
$$;

-- Return the uses whose holds have ended unpaid, and mark those that are sold, in a transaction that has the
-- row of the terms. True: some that seem to have ended are locked, and count until a later call.
CREATE OR REPLACE FUNCTION offers_settle_v1(p_schedule_id uuid, p_decided_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    ids uuid[];
    states text[];
BEGIN
    -- A payment that is decided at this moment has the lock of its reservation; one that comes later waits for
    -- this transaction, and finds its hold ended.
    SELECT array_agg(x.reservation_id), array_agg(x.state) INTO ids, states
      FROM (SELECT o.reservation_id,
                   -- guard: settle_paid_use_is_kept: WHEN r.status = 'CONFIRMED' => WHEN false
                   CASE WHEN r.status = 'CONFIRMED' THEN 'SOLD'
                        -- guard: settle_held_use_is_kept: r.expires_at > p_decided_at => false
                        WHEN r.status = 'HELD' AND r.expires_at > p_decided_at THEN 'OPEN'
                        -- guard: settle_use_that_is_being_paid_is_kept: AND l.place IS NULL => AND false
                        WHEN r.status = 'HELD' AND l.place IS NULL THEN 'LOCKED'
                        ELSE 'RETURNED' END AS state
              FROM reservation_offers o
              LEFT JOIN LATERAL (
                   SELECT r.status, r.expires_at FROM reservations r
                    -- no guard: The reservation of the use, by its primary key.
                    WHERE r.schedule_id = o.schedule_id AND r.reservation_id = o.reservation_id
                   -- no guard: A closed reservation may be in the archive.
                   OFFSET 0) r ON true
              LEFT JOIN LATERAL (
                   SELECT r.ctid AS place FROM reservations r
                    -- no guard: The reservation of the use, by its primary key.
                    WHERE r.schedule_id = o.schedule_id AND r.reservation_id = o.reservation_id
                      -- guard: settle_only_ended_holds_are_locked
                      AND r.status = 'HELD' AND r.expires_at <= p_decided_at
                      -- no guard: The guard of the row without a lock stands above; a wait would hold up sales.
                      FOR NO KEY UPDATE SKIP LOCKED) l ON true
             -- guard: settle_uses_of_this_schedule: o.schedule_id = p_schedule_id AND =>
             WHERE o.schedule_id = p_schedule_id AND o.state = 'OPEN') x;

    WITH settled AS (
        SELECT u.reservation_id, u.state, o.seats, o.channel, o.code_hash
          FROM unnest(ids, states) u (reservation_id, state)
         CROSS JOIN LATERAL (
               SELECT o.seats, o.channel, o.code_hash FROM reservation_offers o
                -- no guard: { The use, by its primary key.
                WHERE o.schedule_id = p_schedule_id AND o.reservation_id = u.reservation_id
               OFFSET 0) o
                -- guard: }
         -- no guard: Those whose state changes.
         WHERE u.state IN ('SOLD', 'RETURNED')
    ), changed AS (
        UPDATE reservation_offers o
           -- no guard: A constraint compares it with the state.
           SET state = s.state, seats = CASE s.state WHEN 'RETURNED' THEN 0 ELSE o.seats END
          FROM settled s
         -- no guard: The use, by its primary key.
         WHERE o.schedule_id = p_schedule_id AND o.reservation_id = s.reservation_id
    ), codes AS (
        UPDATE offer_codes k SET taken = greatest(k.taken - u.uses, 0)
          FROM (SELECT s.code_hash, count(*) AS uses FROM settled s
                 -- guard: settle_sold_use_of_code_is_not_returned: WHERE s.state = 'RETURNED' =>
                 WHERE s.state = 'RETURNED' GROUP BY s.code_hash) u
         -- no guard: The code of the uses, by its primary key.
         WHERE k.schedule_id = p_schedule_id AND k.code_hash = u.code_hash
    )
    UPDATE sales_channels h SET taken = greatest(h.taken - u.seats, 0)
      FROM (SELECT s.channel, sum(s.seats) AS seats FROM settled s
             -- guard: settle_sold_seats_of_channel_are_not_returned: WHERE s.state = 'RETURNED' =>
             WHERE s.state = 'RETURNED' GROUP BY s.channel) u
     -- no guard: The channel of the seats, by its primary key.
     WHERE h.schedule_id = p_schedule_id AND h.code = u.channel AND h.quota IS NOT NULL;
    RETURN coalesce('LOCKED' = ANY (states), false);
END;
$$;

-- Return the seats of refunded tickets of a reservation to its channel, and with the last one the use of its
-- code, in the transaction of the refund.
CREATE OR REPLACE FUNCTION offers_refund_v1(p_schedule_id uuid, p_reservation_id uuid, p_seats integer)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    used record;
BEGIN
    -- no guard: Saves the lock where a reservation has no offers.
    IF NOT EXISTS (SELECT FROM reservation_offers o
                    -- no guard: { The offers of the reservation, by their primary key.
                    WHERE o.schedule_id = p_schedule_id AND o.reservation_id = p_reservation_id) THEN
                    -- guard: }
        RETURN;
    END IF;
    PERFORM FROM schedule_offers o
      -- guard: offers_refund_waits_for_holds: FOR NO KEY UPDATE =>
      WHERE o.schedule_id = p_schedule_id FOR NO KEY UPDATE;
    UPDATE reservation_offers o
       SET seats = o.seats - p_seats,
           -- no guard: A constraint compares it with the seats.
           state = CASE WHEN o.seats = p_seats THEN 'RETURNED' ELSE 'SOLD' END
     -- no guard: The offers of the reservation, by their primary key.
     WHERE o.schedule_id = p_schedule_id AND o.reservation_id = p_reservation_id
    RETURNING o.state, o.code_hash, o.channel INTO used;
    UPDATE sales_channels h SET taken = greatest(h.taken - p_seats, 0)
     -- guard: offers_refund_of_the_channel: AND h.code = used.channel =>
     WHERE h.schedule_id = p_schedule_id AND h.code = used.channel AND h.quota IS NOT NULL;
    UPDATE offer_codes k SET taken = greatest(k.taken - 1, 0)
     -- guard: offers_refund_of_the_code: AND k.code_hash = used.code_hash =>
     WHERE k.schedule_id = p_schedule_id AND k.code_hash = used.code_hash
       -- guard: offers_code_is_returned_with_the_last_ticket
       AND used.state = 'RETURNED';
END;
$$;
