-- The functions of the waiting room. A changed signature or meaning needs a new version in the name, so
-- that pods of two releases run side by side.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Records admissions; a recorded one stays unchanged.
-- Returns per user, in order: whether the number is theirs, whether they have left, and the end of their
-- time inside. A number admitted for another user is not theirs; a second admission with another end
-- means that the first was over. Returns no row after the end of the epoch, whose admissions were carried
-- over without these, or of the sale.
CREATE OR REPLACE FUNCTION queue_admit_v1(
    p_schedule_id uuid,
    p_epoch bigint,
    p_numbers bigint[],
    p_user_ids uuid[],
    p_places bigint[],
    p_called bigint,
    p_insides integer[],
    p_insides_max integer[],
    p_admitted_at timestamptz[],
    p_leave_at timestamptz[],
    p_now timestamptz
) RETURNS TABLE (ord integer, is_theirs boolean, is_out boolean, leaves_at timestamptz)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    -- Blocks a new epoch, but not other admissions or the leader's checkpoints.
    PERFORM 1 FROM queue_rooms r
      -- guard: admit_epoch_of_this_room => WHERE r.epoch = p_epoch
      -- guard: admit_epoch_that_has_begun: AND r.epoch = p_epoch =>
      WHERE r.schedule_id = p_schedule_id AND r.epoch = p_epoch
        -- guard: admit_epoch_is_locked => ;
        FOR KEY SHARE;
    -- guard: admit_not_by_a_past_epoch {
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- guard: }
    -- Blocks closing the sale, but not other admissions: no user is admitted after the close.
    PERFORM 1 FROM schedules s
      -- guard: admit_not_into_a_closed_sale: AND s.status = 'OPEN' =>
      -- guard: admit_sale_is_that_of_room => WHERE s.status = 'OPEN'
      WHERE s.schedule_id = p_schedule_id AND s.status = 'OPEN'
        -- guard: admit_not_after_closing_time => AND clock_timestamp() < s.starts_at
        -- guard: admit_not_after_the_performance_begins => AND clock_timestamp() < coalesce(s.sale_closes_at, 'infinity')
        AND clock_timestamp() < least(s.sale_closes_at, s.starts_at)
        -- guard: admit_closing_waits => ;
        FOR SHARE;
    -- guard: admit_not_after_the_sale {
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- guard: }

    INSERT INTO queue_admissions (
           schedule_id, number, user_id, place, called, admitted_at, leaves_at, inside, inside_max)
    SELECT p_schedule_id, g.number, g.user_id, g.place, p_called, g.admitted_at, g.leave_at, g.inside,
           g.inside_max
      FROM unnest(p_numbers, p_user_ids, p_places, p_insides, p_insides_max, p_admitted_at, p_leave_at)
           g (number, user_id, place, inside, inside_max, admitted_at, leave_at)
     ORDER BY g.number
        -- guard: admit_recorded_admission_is_kept => ;
        ON CONFLICT ON CONSTRAINT queue_admissions_pkey DO NOTHING;

    RETURN QUERY
    -- guard: admit_number_admits_one_person_once: a.user_id = g.user_id => true
    SELECT g.ord::integer, a.user_id = g.user_id,
           -- guard: admit_recorded_exit_is_out: ended_at IS NOT NULL OR a. =>
           -- guard: admit_expired_is_out: <= p_now OR a.leaves_at =>
           -- guard: admit_readmission_needs_an_exit: OR a.leaves_at <> g.leave_at =>
           a.ended_at IS NOT NULL OR a.leaves_at <= p_now OR a.leaves_at <> g.leave_at, a.leaves_at
      FROM unnest(p_numbers, p_user_ids, p_leave_at) WITH ORDINALITY g (number, user_id, leave_at, ord)
     CROSS JOIN LATERAL (
           SELECT a.user_id, a.ended_at, a.leaves_at
             FROM queue_admissions a
            -- guard: admit_records_of_this_room => WHERE a.number = g.number
            -- guard: admit_records_of_these_numbers: AND a.number = g.number =>
            WHERE a.schedule_id = p_schedule_id AND a.number = g.number
           OFFSET 0) a
     ORDER BY g.ord;
END;
$$;

-- Records exits by number, and publishes them as departures, which ends their passes. Idempotent. A pass
-- lasts until the end of the time inside, and an hour at most.
CREATE OR REPLACE FUNCTION queue_end_v1(
    p_schedule_id uuid, p_numbers bigint[], p_ended_at timestamptz[], p_ended_by text[])
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    WITH ended AS (
        UPDATE queue_admissions a
           SET ended_at = g.ended_at, ended_by = g.ended_by
          FROM (SELECT o.number, o.ended_at, o.ended_by, l.place
                  FROM unnest(p_numbers, p_ended_at, p_ended_by) o (number, ended_at, ended_by)
                 CROSS JOIN LATERAL (
                       SELECT a.ctid AS place
                         FROM queue_admissions a
                        -- guard: end_of_this_room => WHERE a.number = o.number
                        -- guard: end_of_these_numbers: AND a.number = o.number =>
                        WHERE a.schedule_id = p_schedule_id AND a.number = o.number
                          -- no guard: The update below waits for the same lock and sees the end.
                          FOR NO KEY UPDATE) l
                 ORDER BY o.number) g
         -- no guard: Finds the row that the subquery chose; the keys are the guards.
         WHERE a.ctid = g.place
           -- guard: end_what_is_written_is_of_this_room
           AND a.schedule_id IS NOT DISTINCT FROM p_schedule_id
           -- guard: end_what_is_written_is_of_these_numbers
           AND a.number = g.number
           -- guard: end_first_end_stays
           AND a.ended_at IS NULL
        RETURNING a.number, least(a.leaves_at, a.ended_at + interval '1 hour') AS until_at
    )
    INSERT INTO queue_leavers (schedule_id, until_at, numbers)
    SELECT p_schedule_id, max(e.until_at), array_agg(e.number ORDER BY e.number)
      FROM ended e
    -- guard: end_notifies_only_of_exits => ;
    HAVING count(*) > 0;
END;
$$;

-- Begins the next epoch after a loss of Valkey: every reserved number counts as issued, and those that
-- may not have been are a gap. Every admitted user counts as called.
-- Returns false after a later leader.
CREATE OR REPLACE FUNCTION queue_begin_epoch_v1(
    p_schedule_id uuid, p_token bigint, p_numbers_ahead bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    began_at CONSTANT timestamptz := clock_timestamp();
    let_in bigint;
    room record;
BEGIN
    SELECT r.epoch, r.joined, r.numbers_to INTO room
      FROM queue_rooms r
     -- guard: epoch_of_this_room => WHERE r.leader_token <= p_token
     -- guard: epoch_by_no_earlier_leader: AND r.leader_token <= p_token =>
     WHERE r.schedule_id = p_schedule_id AND r.leader_token <= p_token
       -- guard: epoch_not_during_an_admission => ;
       FOR UPDATE;
    -- guard: epoch_not_by_an_earlier_leader => IF false THEN
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- guard: epoch_no_gap_where_every_number_was_given_out => IF true THEN
    -- guard: epoch_what_was_perhaps_not_given_out_is_gap => IF false THEN
    IF room.numbers_to > room.joined THEN
        INSERT INTO queue_gaps (schedule_id, epoch, joined, numbers_to, began_at)
        VALUES (p_schedule_id, room.epoch, room.joined, room.numbers_to, began_at);
    END IF;
    -- guard: epoch_admitted_to_this_room: WHERE a.schedule_id = p_schedule_id =>
    SELECT max(a.called) INTO let_in FROM queue_admissions a WHERE a.schedule_id = p_schedule_id;
    UPDATE queue_rooms r
       SET epoch = r.epoch + 1,
           -- guard: epoch_fenced_by_leader_token
           leader_token = p_token,
           -- guard: epoch_every_number_that_was_perhaps_given_out_counts => joined = r.joined,
           joined = r.numbers_to,
           numbers_to = r.numbers_to + p_numbers_ahead,
           -- guard: epoch_admitted_numbers_were_called => called = r.called
           -- guard: epoch_called_never_decreases => called = coalesce(let_in, 0)
           called = greatest(r.called, let_in)
     -- guard: epoch_of_this_room_only => WHERE true;
     WHERE r.schedule_id = p_schedule_id;
    RETURN true;
END;
$$;

-- Raise the waiting rooms of a restored database above what was given out in the time that it lost: the next epoch,
-- which the leader begins, counts p_numbers more numbers as perhaps issued, for each incarnation that began since.
-- Their owners come first. A draw of that time is made again. Returns how many rooms are open.
CREATE OR REPLACE FUNCTION queue_after_restore_v1(p_incarnation bigint, p_numbers bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    rooms bigint;
BEGIN
    UPDATE queue_rooms r
       -- An incarnation has at most 65,536 epochs; those of a ticket have 32 bits.
       -- guard: restored_epoch_is_above_those_that_were_lost => SET epoch = r.epoch,
       SET epoch = p_incarnation << 16,
           -- guard: restored_numbers_are_above_those_that_were_lost => numbers_to = r.numbers_to
           numbers_to = r.numbers_to + p_numbers * (p_incarnation - (r.epoch >> 16))
     -- guard: restored_rooms_that_are_open => WHERE false;
     WHERE r.mode <> 'off' AND p_incarnation > r.epoch >> 16;
    -- no guard: A figure for people.
    GET DIAGNOSTICS rooms = ROW_COUNT;
    RETURN rooms;
END;
$$;

-- Pack rows of joins of a waiting room that are in no pack yet: the oldest, p_at_most numbers and the rest of a row,
-- and none where fewer than p_at_least numbers are unpacked. Rows that commit later than their neighbours are in a later
-- pack; of two calls at a time, the second waits, and leaves out what the first has packed.
-- Returns how many rows this call, or another one meanwhile, has packed: 0 says that there was nothing to pack.
CREATE OR REPLACE FUNCTION queue_pack_joins_v1(p_schedule_id uuid, p_at_most bigint, p_at_least bigint)
RETURNS bigint
LANGUAGE plpgsql
-- The entries of a pack are sorted in memory; a hash table of as many aggregates takes more of it.
SET work_mem = '64MB'
SET enable_hashagg = off
AS $$
DECLARE
    ids bigint[];
    unpacked bigint;
BEGIN
    -- guard: pack_oldest_up_to_the_limit: FILTER (WHERE u.numbers_before < p_at_most) =>
    SELECT array_agg(u.join_id) FILTER (WHERE u.numbers_before < p_at_most), sum(u.numbers)
      INTO ids, unpacked
      FROM (SELECT j.join_id, length(j.accounts) / 16 AS numbers,
                   sum(length(j.accounts) / 16) OVER (ORDER BY j.join_id) - length(j.accounts) / 16
                       AS numbers_before
              FROM queue_joins j
             -- guard: pack_joins_of_this_room: j.schedule_id = p_schedule_id AND =>
             -- guard: pack_looks_for_what_is_unpacked: AND NOT j.is_packed =>
             WHERE j.schedule_id = p_schedule_id AND NOT j.is_packed) u;
    -- guard: pack_is_not_small => IF unpacked IS NULL THEN
    IF unpacked IS NULL OR unpacked < p_at_least THEN
        RETURN 0;
    END IF;
    WITH packed AS (
        UPDATE queue_joins j
           SET is_packed = true
         -- guard: pack_only_these_rows: AND j.join_id = ANY (ids) =>
         -- guard: pack_row_once: AND NOT j.is_packed =>
         WHERE j.schedule_id = p_schedule_id AND j.join_id = ANY (ids) AND NOT j.is_packed
        RETURNING j.join_id, j.numbers, j.accounts
    ), joins AS MATERIALIZED (
        -- Reads each value once, not once for each account in it.
        SELECT p.join_id, p.numbers, p.accounts || ''::bytea AS accounts FROM packed p
    ), entries AS MATERIALIZED (
        -- Materialized, or the sort below has all accounts of a row in each of its entries.
        SELECT substr(j.accounts, (16 * n.at - 1)::integer, 2) AS bucket,
               substr(j.accounts, (16 * n.at - 15)::integer, 14) || substr(int8send(n.number), 4) AS entry
          FROM joins j
         CROSS JOIN LATERAL unnest(j.numbers) WITH ORDINALITY n (number, at)
    ), buckets AS (
        SELECT e.bucket, int4send(count(*)::integer) AS numbers, string_agg(e.entry, ''::bytea) AS entries
          FROM entries e
         GROUP BY e.bucket
    )
    INSERT INTO queue_packs (schedule_id, part, pack_id, buckets, counts, entries)
    SELECT p_schedule_id, get_byte(b.bucket, 0), (SELECT max(j.join_id) FROM joins j),
           string_agg(substr(b.bucket, 2), ''::bytea ORDER BY b.bucket),
           string_agg(b.numbers, ''::bytea ORDER BY b.bucket),
           string_agg(b.entries, ''::bytea ORDER BY b.bucket)
      FROM buckets b
     GROUP BY get_byte(b.bucket, 0);
    RETURN cardinality(ids);
END;
$$;

-- Delete the packs and redemptions of a waiting room whose joins are in the archive.
CREATE OR REPLACE FUNCTION queue_drop_packs_v1(p_schedule_id uuid) RETURNS void
LANGUAGE sql AS $$
    -- guard: drop_packs_of_this_room: p.schedule_id = p_schedule_id => true
    DELETE FROM queue_packs p WHERE p.schedule_id = p_schedule_id;
    -- guard: drop_redemptions_of_this_room: r.schedule_id = p_schedule_id => true
    DELETE FROM queue_redemptions r WHERE r.schedule_id = p_schedule_id;
$$;
