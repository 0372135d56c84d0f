-- Decisions of waiting lists; the conventions of a batch, the lock order and the reasons for look-ups one by one
-- are in `reservations/functions.sql`. The row of `waiting_lists` is locked before everything else.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Join the line of a schedule for p_seats adjacent seats of a grade (null: any).
-- outcome: joined, replayed, key_reused, schedule_not_found, waiting_list_off, not_on_sale, ticket_limit,
-- already_waiting. entry_id: the entry that was made, or that the key made before.
CREATE OR REPLACE FUNCTION waiting_list_join_v1(
    p_schedule_id uuid,
    p_entry_id uuid,
    p_user_id uuid,
    p_seats integer,
    p_grade text,
    p_key text,
    p_fingerprint bytea,
    OUT outcome text,
    OUT entry_id uuid
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    line record;
    sale record;
    decided_at timestamptz;
BEGIN
    -- Places are given in the order of commits, so that a turn never serves a later place first.
    SELECT l.is_on, l.last_place + 1 AS place INTO line
      FROM waiting_lists l
     -- guard: join_list_of_this_schedule: l.schedule_id = p_schedule_id => p_schedule_id IS NOT NULL
     -- guard: join_line_is_locked: FOR NO KEY UPDATE =>
     WHERE l.schedule_id = p_schedule_id FOR NO KEY UPDATE;
    decided_at := clock_timestamp();

    SELECT x.entry_id,
           -- guard: join_fingerprint_is_compared => 'replayed'
           CASE WHEN x.fingerprint = p_fingerprint THEN 'replayed' ELSE 'key_reused' END
      INTO entry_id, outcome
      FROM waiting_list_entries x
     -- guard: join_key_is_per_person: x.user_id = p_user_id AND =>
     -- guard: join_key_is_compared: AND x.idempotency_key = p_key =>
     WHERE x.user_id = p_user_id AND x.schedule_id = p_schedule_id AND x.idempotency_key = p_key;
    -- guard: join_repetition_is_replayed => IF false THEN
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;

    SELECT s.ticket_limit,
           -- guard: join_only_while_it_is_on_sale => true AS is_on_sale
           s.status = 'OPEN' AND decided_at >= s.sale_opens_at AND decided_at < least(s.sale_closes_at, s.starts_at) AS is_on_sale
      INTO sale
      FROM schedules s
     -- no guard: The schedule, by its primary key.
     WHERE s.schedule_id = p_schedule_id;
    outcome := CASE
        -- no guard: Without a schedule there is nothing to join; a constraint wants it to exist.
        WHEN sale.ticket_limit IS NULL THEN 'schedule_not_found'
        -- guard: join_only_a_list_that_is_on => WHEN false THEN 'waiting_list_off'
        WHEN line.is_on IS NOT TRUE THEN 'waiting_list_off'
        -- no guard: Answers the comparison above, which is a guard.
        WHEN NOT sale.is_on_sale THEN 'not_on_sale'
        -- guard: join_for_what_one_person_may_have => WHEN false THEN 'ticket_limit'
        WHEN p_seats > sale.ticket_limit THEN 'ticket_limit'
        -- guard: join_once_at_a_time => WHEN false THEN 'already_waiting'
        WHEN EXISTS (SELECT FROM waiting_list_entries x WHERE x.schedule_id = p_schedule_id AND x.user_id = p_user_id AND x.status IN ('WAITING', 'OFFERED')) THEN 'already_waiting'
        ELSE 'joined' END;
    -- guard: join_nothing_that_is_refused => IF false THEN
    IF outcome <> 'joined' THEN
        RETURN;
    END IF;

    entry_id := p_entry_id;
    INSERT INTO waiting_list_entries (
        schedule_id, entry_id, user_id, place, joined_at, seats, grade, idempotency_key, fingerprint)
    VALUES (p_schedule_id, p_entry_id, p_user_id, line.place, decided_at, p_seats, p_grade, p_key,
            p_fingerprint);
    UPDATE waiting_lists l SET last_place = line.place
     -- no guard: The row that is locked above; a constraint refuses a place that is given twice.
     WHERE l.schedule_id = p_schedule_id;
END;
$$;

-- Offer seats that return to entries of a line, each with a hold of its own: the hold function decides, with the
-- limits of the person. The transaction has locked the row of the list and the entries, and has read the seats
-- with p_seat_versions as returning: held for a reservation that has ended. The arrays are those of
-- reservations_hold_v4. A hold lasts p_ttl_s seconds, or as long as others where that is longer.
-- outcomes: those of the hold; an entry that is offered nothing keeps its place, or ends for ticket_limit.
CREATE OR REPLACE FUNCTION waiting_list_offer_v1(
    p_schedule_id uuid,
    p_entry_ids uuid[],
    p_reservation_ids uuid[],
    p_user_ids uuid[],
    p_seat_ids text[],
    p_seat_versions bigint[],
    p_seat_counts integer[],
    p_seats_to integer[],
    p_wanted_by integer[],
    p_ttl_s integer
) RETURNS text[]
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    lock_seed CONSTANT bigint := uuid_hash_extended(p_schedule_id, 0);
    -- A key that no client knows.
    keys CONSTANT text[] := ARRAY(SELECT r.id::text FROM unnest(p_reservation_ids) WITH ORDINALITY r (id, at) ORDER BY r.at);
    fingerprints CONSTANT bytea[] := array_fill('\x'::bytea, ARRAY[cardinality(p_entry_ids)]);
    ends_at timestamptz[];
    held record;
    decided text[];
    winners integer[];
    until timestamptz;
    changed bigint;
BEGIN
    -- A hold only tries these locks: a person who holds seats at this moment must not lose the place.
    -- guard: offer_waits_for_its_persons => NULL;
    PERFORM pg_advisory_xact_lock(p.lock) FROM (SELECT DISTINCT uuid_hash_extended(u.id, lock_seed) AS lock FROM unnest(p_user_ids) u (id) ORDER BY lock) p;

    -- A payment that extends the hold, or that takes the seat, changes its version; then the seat returns no more.
    SELECT array_agg(l.expires_at ORDER BY w.at) INTO ends_at
      FROM (SELECT u.seat_id, u.version, u.at
              FROM unnest(p_seat_ids, p_seat_versions) WITH ORDINALITY u (seat_id, version, at)
             -- no guard: The order of locks of `reservations_free_seats_v1`, whose guard a test removes.
             ORDER BY u.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.expires_at FROM seats s
            -- no guard: Finds the seat, by its primary key.
            WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
              -- guard: offer_seats_that_still_return
              AND s.version = w.version
              -- no guard: The version was read with this state.
              AND s.state = 'HELD'
              -- guard: offer_seats_are_locked => ) l ON true;
              FOR NO KEY UPDATE) l ON true;

    -- The turn of the line ends here for these seats: the hold takes over what has lapsed.
    UPDATE seats s SET expires_at = clock_timestamp()
      FROM unnest(p_seat_ids, ends_at) w (seat_id, ends_at)
     -- no guard: Finds the rows that are locked above.
     WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id AND w.ends_at IS NOT NULL;

    SELECT h.outcomes, h.created_at, h.expires_at INTO held
      FROM reservations_hold_v4(
               p_schedule_id, p_reservation_ids, p_user_ids, keys, fingerprints, p_seat_ids, p_seat_counts,
               p_seats_to, p_wanted_by, true, 2147483647, 0, 0, NULL) h;
    -- guard: offer_prices_of_offers => IF false THEN
    IF held.outcomes[1] = 'offers_decide' THEN
        SELECT h.outcomes, h.created_at, h.expires_at INTO held
          FROM offers_hold_v1(
                   p_schedule_id, p_reservation_ids, p_user_ids, keys, fingerprints, p_seat_ids, p_seat_counts,
                   p_seats_to, p_wanted_by, true, 2147483647, 0, 0,
                   array_fill(''::text, ARRAY[cardinality(p_seat_ids)]),
                   array_fill(NULL::bytea, ARRAY[cardinality(p_entry_ids)])) h;
    END IF;
    decided := coalesce(held.outcomes, array_fill('held'::text, ARRAY[cardinality(p_entry_ids)]));
    winners := array_positions(decided, 'held');

    -- Seats that were not held return as before.
    UPDATE seats s SET expires_at = w.ends_at
      FROM unnest(p_seat_ids, p_wanted_by, ends_at) w (seat_id, command, ends_at)
     -- guard: offer_seats_of_refused_entries_keep_their_turn: decided[w.command] <> 'held' => false
     WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id AND decided[w.command] <> 'held'
       -- no guard: The seats that were changed above.
       AND w.ends_at IS NOT NULL;

    -- no guard: Saves the statements below where nothing was held.
    IF winners <> '{}' THEN
        -- guard: offer_lasts_as_long_as_a_hold: held.expires_at => held.created_at
        until := greatest(held.expires_at, held.created_at + make_interval(secs => p_ttl_s));
        -- guard: offer_has_its_own_time => NULL;
        PERFORM payments_move_holds_v1(p_schedule_id, ARRAY(SELECT p_reservation_ids[w.i] FROM unnest(winners) w (i)), array_fill(NULL::uuid, ARRAY[cardinality(winners)]), array_fill(until, ARRAY[cardinality(winners)]));
        UPDATE waiting_list_entries e
           SET status = 'OFFERED', offered_at = held.created_at, offer_expires_at = until,
               reservation_id = p_reservation_ids[w.i]
          FROM unnest(winners) w (i)
         -- guard: offer_to_its_own_entry: AND e.entry_id = p_entry_ids[w.i] =>
         WHERE e.schedule_id = p_schedule_id AND e.entry_id = p_entry_ids[w.i]
           -- no guard: { The entries are locked; the count below notices the rest.
           AND e.user_id = p_user_ids[w.i] AND e.status = 'WAITING';
           -- guard: }
        -- no guard: Read by the comparison below, which is a guard.
        GET DIAGNOSTICS changed = ROW_COUNT;
        -- guard: offer_entries_that_were_changed_are_counted => IF false THEN
        IF changed <> cardinality(winners) THEN
            -- no guard: Consequence of the comparison above, which is a guard.
            RAISE EXCEPTION 'offered % entries of %', changed, cardinality(winners)
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'waiting_list_guard';
        END IF;
        -- guard: offer_is_mailed => NULL;
        PERFORM notifications_queue_mail_v1('waiting_list_offer', p_user_ids[w.i], p_schedule_id, p_reservation_ids[w.i]) FROM unnest(winners) w (i);
    END IF;

    UPDATE waiting_list_entries e SET status = 'LIMIT_REACHED', ended_at = held.created_at
      FROM unnest(p_entry_ids, decided) w (entry_id, outcome)
     -- guard: offer_entry_at_its_limit_ends => WHERE false
     WHERE e.schedule_id = p_schedule_id AND e.entry_id = w.entry_id AND w.outcome = 'ticket_limit'
       -- no guard: The entries are locked.
       AND e.status = 'WAITING';
    RETURN decided;
END;
$$;

-- End the turn of returning seats that no entry of the line wants: they are on sale from now on. A seat with
-- another version returns no more, one that is locked waits for a later call. Returns how many.
CREATE OR REPLACE FUNCTION waiting_list_let_go_v1(
    p_schedule_id uuid, p_seat_ids text[], p_seat_versions bigint[])
RETURNS bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    let_go bigint;
BEGIN
    UPDATE seats s SET expires_at = clock_timestamp(), version = s.version + 1
      FROM (SELECT l.place
              FROM unnest(p_seat_ids, p_seat_versions) w (seat_id, version)
             CROSS JOIN LATERAL (
                   SELECT s.ctid AS place FROM seats s
                    -- no guard: Finds the seat, by its primary key.
                    WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
                      -- guard: let_go_seats_that_still_return
                      AND s.version = w.version
                      -- no guard: The version was read with this state.
                      AND s.state = 'HELD'
                      -- no guard: Without it the update below waits for a lock, and finds another version.
                      FOR NO KEY UPDATE SKIP LOCKED) l) w
     -- no guard: Finds the rows that are locked above.
     WHERE s.ctid = w.place AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id;
    -- no guard: A figure for the log.
    GET DIAGNOSTICS let_go = ROW_COUNT;
    RETURN let_go;
END;
$$;
