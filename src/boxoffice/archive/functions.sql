-- Moves into the archive; conventions of a batch as in `reservations/functions.sql`. Each call moves a
-- bounded part in one transaction, waits for no lock, and may run concurrently.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Move at most p_limit reservations of one schedule that were closed before p_closed_before, the oldest
-- first. Reservations that are locked or that a seat still names stay for a later call.
-- archived: how many were moved. more: whether it stopped at the limit and another call moves more.
-- kept: how many stay.
CREATE OR REPLACE FUNCTION archive_reservations_v1(
    p_schedule_id uuid, p_closed_before timestamptz, p_limit integer,
    OUT archived integer, OUT more boolean, OUT kept bigint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    lock_seed CONSTANT bigint := uuid_hash_extended(p_schedule_id, 0);
    moved_at CONSTANT timestamptz := clock_timestamp();
    due record;
    due_places tid[] := '{}';
    due_ids uuid[] := '{}';
    places tid[];
    people uuid[];
BEGIN
    FOR due IN
        SELECT c.ctid AS place, c.reservation_ids
          FROM closed_reservations c
         -- guard: archive_not_before_its_time: c.closed_at < p_closed_before => (p_closed_before IS NOT NULL)
         WHERE c.schedule_id = p_schedule_id AND c.closed_at < p_closed_before
         -- no guard: Order of moving; all rows are moved in the end.
         ORDER BY c.closed_at LIMIT p_limit
           -- no guard: Two processes share the list instead of waiting; reservations are locked below.
           FOR UPDATE SKIP LOCKED
    LOOP
        due_places := due_places || due.place;
        due_ids := due_ids || due.reservation_ids;
        -- no guard: Bounds the work of one call.
        EXIT WHEN cardinality(due_ids) >= p_limit;
    END LOOP;

    -- no guard: { Removes duplicates, which the list does not have.
    SELECT array_agg(l.place), array_agg(DISTINCT l.user_id) INTO places, people
      FROM (SELECT DISTINCT u.id FROM unnest(due_ids) u (id) ORDER BY u.id) c
    -- guard: }
     CROSS JOIN LATERAL (
           SELECT r.ctid AS place, r.user_id
             FROM reservations r
            -- no guard: { Listed reservations have ended; a constraint of the archive refuses others.
            WHERE r.schedule_id = p_schedule_id
              AND r.reservation_id = c.id
              AND r.status = ANY ('{EXPIRED,CANCELLED}'::text[])
            -- guard: }
              -- no guard: { Head of the condition below, which is a guard.
              AND NOT EXISTS (
                  SELECT FROM unnest(r.seat_ids) t (seat_id)
                   CROSS JOIN LATERAL (
                         SELECT s.reservation_id FROM seats s
                          WHERE s.schedule_id = p_schedule_id AND s.seat_id = t.seat_id
              -- guard: }
                         OFFSET 0) s
                   -- guard: archive_nothing_that_seat_names => WHERE false)
                   WHERE s.reservation_id = r.reservation_id)
              -- guard: archive_skips_persons_in_a_batch
              AND pg_try_advisory_xact_lock(uuid_hash_extended(r.user_id, lock_seed))
              -- no guard: Avoids a wait; the delete below would wait and move the same rows.
              FOR UPDATE SKIP LOCKED) l;
    archived := coalesce(cardinality(places), 0);
    -- no guard: Saves two statements when there is nothing to move.
    IF archived > 0 THEN
        -- A hold looks into the archive only for a person with a row here.
        PERFORM reservations_count_v1(
            p_schedule_id, people, array_fill(0, ARRAY[cardinality(people)]),
            array_fill(p_closed_before, ARRAY[cardinality(people)]));
        WITH moved AS (
            DELETE FROM reservations r
             USING unnest(places) w (place)
             -- no guard: Finds the rows that the previous statement locked.
             WHERE r.ctid = w.place AND r.schedule_id IS NOT DISTINCT FROM p_schedule_id
            RETURNING r.reservation_id, r.user_id, r.created_at, r.expires_at, r.closed_at, r.amount_minor,
                      r.closed_by, r.status, r.currency, r.seat_ids, r.idempotency_key, r.fingerprint
        )
        INSERT INTO reservations_archive (
            schedule_id, reservation_id, user_id, created_at, expires_at, closed_at, archived_at,
            amount_minor, closed_by, status, currency, seat_ids, idempotency_key, fingerprint)
        SELECT p_schedule_id, m.reservation_id, m.user_id, m.created_at, m.expires_at, m.closed_at, moved_at,
               m.amount_minor, m.closed_by, m.status, m.currency, m.seat_ids, m.idempotency_key,
               m.fingerprint
          FROM moved m;
    END IF;

    DELETE FROM closed_reservations c
     USING unnest(due_places) w (place)
     -- no guard: Finds the rows that the loop locked.
     WHERE c.ctid = w.place AND c.schedule_id IS NOT DISTINCT FROM p_schedule_id;

    WITH left_over AS (
        SELECT r.closed_at, r.reservation_id
          FROM unnest(due_ids) c (id)
         CROSS JOIN LATERAL (
               SELECT r.closed_at, r.reservation_id
                 FROM reservations r
                -- no guard: { Reservation ids are UUIDs; the schedule is there for the primary key.
                WHERE r.schedule_id = p_schedule_id
                  AND r.reservation_id = c.id
                -- guard: }
                  -- guard: archive_what_stays_stays_on_list => AND false
                  AND r.closed_at IS NOT NULL
               OFFSET 0) r
    ), put_back AS (
        INSERT INTO closed_reservations (schedule_id, closed_at, first_reservation_id, reservation_ids)
        SELECT p_schedule_id, x.closed_at, (array_agg(x.reservation_id))[1], array_agg(x.reservation_id)
          FROM left_over x
         GROUP BY x.closed_at
    )
    SELECT count(*) INTO kept FROM left_over x;
    -- no guard: Decides whether the role calls again at once.
    more := cardinality(due_ids) >= p_limit AND kept < cardinality(due_ids);
END;
$$;

-- Move at most p_limit joins and admissions of the waiting room of one schedule. archived: how many.
CREATE OR REPLACE FUNCTION archive_queue_v1(p_schedule_id uuid, p_limit integer, OUT archived integer)
LANGUAGE plpgsql AS $$
BEGIN
    WITH joins AS (
        DELETE FROM queue_joins j
         USING (SELECT l.join_id FROM queue_joins l
                 -- no guard: { Chooses the rows of this call; the condition on the schedule is the guard.
                 WHERE l.schedule_id = p_schedule_id
                 ORDER BY l.join_id LIMIT p_limit
                   FOR UPDATE SKIP LOCKED) l
         WHERE j.schedule_id = p_schedule_id AND j.join_id = l.join_id
                 -- guard: }
        RETURNING 'join' AS kind, j.join_id AS record_id, to_jsonb(j) AS record
    ), admissions AS (
        DELETE FROM queue_admissions a
         USING (SELECT l.number FROM queue_admissions l
                 -- no guard: { Chooses the rows of this call; the condition on the schedule is the guard.
                 WHERE l.schedule_id = p_schedule_id
                 ORDER BY l.number LIMIT p_limit
                   FOR UPDATE SKIP LOCKED) l
         WHERE a.schedule_id = p_schedule_id AND a.number = l.number
                 -- guard: }
        RETURNING 'admission' AS kind, a.number AS record_id, to_jsonb(a) AS record
    )
    INSERT INTO queue_archive (schedule_id, kind, record_id, archived_at, record)
    SELECT p_schedule_id, m.kind, m.record_id, clock_timestamp(), m.record
      FROM (TABLE joins UNION ALL TABLE admissions) m;
    -- no guard: The role continues until the count is zero.
    GET DIAGNOSTICS archived = ROW_COUNT;
END;
$$;

-- List closed reservations that are not listed, with their persons: pods of the previous release closed
-- them during the migration. Returns how many.
CREATE OR REPLACE FUNCTION archive_take_stock_v1() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    listed bigint;
BEGIN
    WITH missing AS (
        SELECT r.schedule_id, r.reservation_id, r.user_id, r.closed_at
          FROM reservations r
          LEFT JOIN (SELECT c.schedule_id, u.id
                       FROM closed_reservations c CROSS JOIN unnest(c.reservation_ids) u (id)) l
            -- no guard: Finds a reservation on the list.
            ON l.schedule_id = r.schedule_id AND l.id = r.reservation_id
         -- guard: stock_only_what_ended_and_is_on_no_list: IS => IS NOT
         WHERE r.status IN ('EXPIRED', 'CANCELLED') AND l.id IS NULL
    ), noted AS (
        INSERT INTO schedule_buyers (schedule_id, user_id, struck_at)
        SELECT m.schedule_id, m.user_id, max(m.closed_at) FROM missing m GROUP BY m.schedule_id, m.user_id
            -- no guard: An existing row has the same content.
            ON CONFLICT ON CONSTRAINT schedule_buyers_pkey DO NOTHING
    )
    INSERT INTO closed_reservations (schedule_id, closed_at, first_reservation_id, reservation_ids)
    SELECT m.schedule_id, m.closed_at, m.reservation_id, ARRAY[m.reservation_id] FROM missing m
        -- no guard: Two concurrent calls list a reservation once.
        ON CONFLICT ON CONSTRAINT closed_reservations_pkey DO NOTHING;
    -- no guard: Reported only.
    GET DIAGNOSTICS listed = ROW_COUNT;
    RETURN listed;
END;
$$;
