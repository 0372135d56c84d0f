-- Decisions about seats that are not held or sold, one command per call. Lock order, look-ups by key and
-- changes by ctid as in `reservations/functions.sql`; the caller has locked the schedule's row.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Change seats, each named once. p_command: 'block' (free seats), 'release' (blocked seats), or 'reprice'
-- (both; p_price_minor and p_grade where not null). A lapsed hold is free. Other seats stay as they are.
-- Per seat, in order: states before the command, null for an unknown seat and AVAILABLE for a lapsed hold;
-- seat_versions, 0 for an unchanged seat. With an unknown seat nothing changes.
-- layout_version: the new one after a change of a price or grade, else null.
CREATE OR REPLACE FUNCTION inventory_change_v1(
    p_schedule_id uuid,
    p_seat_ids text[],
    p_command text,
    p_price_minor bigint,
    p_grade text,
    p_reason text,
    p_note text,
    p_changed_by uuid,
    OUT states text[],
    OUT seat_versions bigint[],
    OUT layout_version integer
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    decided_at timestamptz;
    places tid[];
    ends_at timestamptz[];
    prices_minor bigint[];
    grades text[];
    changed bigint;
BEGIN
    -- A hold skips these rows while they are locked, and is retried; a hold that came first is waited for.
    SELECT array_agg(l.place ORDER BY w.at), array_agg(l.state ORDER BY w.at),
           array_agg(l.expires_at ORDER BY w.at), array_agg(l.version ORDER BY w.at),
           array_agg(l.price_minor ORDER BY w.at), array_agg(l.grade ORDER BY w.at)
      INTO places, states, ends_at, seat_versions, prices_minor, grades
      FROM (SELECT u.seat_id, u.at
              FROM unnest(p_seat_ids) WITH ORDINALITY u (seat_id, at)
             -- guard: change_seats_are_locked_in_order: seat_id => seat_id DESC
             ORDER BY u.seat_id) w
      LEFT JOIN LATERAL (
           SELECT s.ctid AS place, s.state, s.expires_at, s.version, s.price_minor, s.grade
             FROM seats s
            -- guard: change_seats_of_this_schedule: s.schedule_id = p_schedule_id => true
            -- guard: change_only_named_seats: AND s.seat_id = w.seat_id =>
            WHERE s.schedule_id = p_schedule_id AND s.seat_id = w.seat_id
              -- guard: change_seats_are_locked => ) l ON true;
              FOR NO KEY UPDATE) l ON true;
    -- guard: change_nothing_with_an_unknown_seat => IF false THEN
    IF array_position(states, NULL) IS NOT NULL THEN
        RETURN;
    END IF;

    -- Taken after the last wait: a hold may have lapsed meanwhile.
    decided_at := clock_timestamp();
    -- Two versions from a lapsed hold: its end was visible and counted for one.
    -- guard: change_lapsed_hold_is_free => SELECT array_agg(c.state ORDER BY c.at),
    SELECT array_agg(CASE WHEN c.is_lapsed THEN 'AVAILABLE' ELSE c.state END ORDER BY c.at),
           array_agg(CASE
               -- guard: change_held_or_sold_seat_stays => WHEN c.state IN ('HELD', 'SOLD') AND false THEN 0
               WHEN c.state IN ('HELD', 'SOLD') AND NOT c.is_lapsed THEN 0
               -- guard: change_blocked_seat_is_blocked_once => WHEN false THEN 0
               WHEN p_command = 'block' AND c.state = 'BLOCKED' THEN 0
               -- guard: change_release_only_what_is_blocked => WHEN false THEN 0
               WHEN p_command = 'release' AND c.state <> 'BLOCKED' THEN 0
               -- guard: change_same_price_is_no_change => WHEN false THEN 0
               WHEN p_command = 'reprice' AND (c.price_minor, c.grade) =
                   (coalesce(p_price_minor, c.price_minor), coalesce(p_grade, c.grade)) THEN 0
               -- guard: change_counts_the_end_of_a_lapsed_hold: WHEN c.is_lapsed THEN c.version + 2 =>
               WHEN c.is_lapsed THEN c.version + 2 ELSE c.version + 1 END ORDER BY c.at)
      INTO states, seat_versions
      FROM (SELECT u.state, u.version, u.price_minor, u.grade, u.at,
                   -- guard: change_hold_lapses_at_its_end => u.state = 'HELD' AS is_lapsed
                   u.state = 'HELD' AND u.expires_at <= decided_at AS is_lapsed
              FROM unnest(states, ends_at, seat_versions, prices_minor, grades)
                   WITH ORDINALITY u (state, expires_at, version, price_minor, grade, at)) c;

    UPDATE seats s
       SET state = CASE
               -- guard: change_block_blocks => WHEN false THEN 'BLOCKED'
               WHEN p_command = 'block' THEN 'BLOCKED'
               -- guard: change_repriced_seat_keeps_its_block => WHEN false THEN 'BLOCKED'
               WHEN p_command = 'reprice' AND s.state = 'BLOCKED' THEN 'BLOCKED'
               ELSE 'AVAILABLE' END,
           reservation_id = NULL, user_id = NULL, expires_at = NULL,
           price_minor = coalesce(p_price_minor, s.price_minor), grade = coalesce(p_grade, s.grade),
           version = w.version
      FROM unnest(places, p_seat_ids, seat_versions) w (place, seat_id, version)
     -- no guard: { Finds the rows that are locked above.
     WHERE s.ctid = w.place
       AND s.schedule_id IS NOT DISTINCT FROM p_schedule_id
       AND s.seat_id IS NOT DISTINCT FROM w.seat_id
     -- guard: }
       -- guard: change_only_what_was_decided
       AND w.version > 0;
    -- no guard: Read by the comparison below, which is a guard.
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- guard: change_rows_that_were_changed_are_counted => IF false THEN
    IF changed <> cardinality(array_remove(seat_versions, 0)) THEN
        -- no guard: Consequence of the comparison above, which is a guard.
        RAISE EXCEPTION 'changed % seats of %', changed, cardinality(array_remove(seat_versions, 0))
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seat_guard';
    END IF;

    -- no guard: { Each command keeps its own record; the tests read both.
    IF p_command = 'reprice' AND changed > 0 THEN
        INSERT INTO seat_price_changes (
            schedule_id, seat_id, version, changed_at, changed_by, price_minor, grade)
        SELECT p_schedule_id, w.seat_id, w.version, decided_at, p_changed_by, w.price_minor, w.grade
          FROM unnest(p_seat_ids, seat_versions, prices_minor, grades)
               w (seat_id, version, price_minor, grade)
         WHERE w.version > 0;
        layout_version := inventory_next_layout_v1(p_schedule_id);
    ELSIF p_command = 'block' THEN
        INSERT INTO seat_blocks (schedule_id, seat_id, blocked_at, blocked_by, reason, note)
        SELECT p_schedule_id, w.seat_id, decided_at, p_changed_by, p_reason, p_note
          FROM unnest(p_seat_ids, seat_versions) w (seat_id, version)
         WHERE w.version > 0
            ON CONFLICT ON CONSTRAINT seat_blocks_pkey DO UPDATE
           SET blocked_at = excluded.blocked_at, blocked_by = excluded.blocked_by,
               reason = excluded.reason, note = excluded.note;
    -- guard: }
    -- guard: change_release_ends_the_record => ELSE
    ELSIF p_command = 'release' THEN
        DELETE FROM seat_blocks b
         USING unnest(p_seat_ids, seat_versions) w (seat_id, version)
         -- guard: change_release_ends_only_its_records: AND b.seat_id = w.seat_id =>
         WHERE b.schedule_id = p_schedule_id AND b.seat_id = w.seat_id AND w.version > 0;
    END IF;
END;
$$;

-- Add seats at the end of a layout, on sale or blocked. The caller has checked them against the seats that
-- exist; a constraint refuses an id or a place that was taken meanwhile. Returns the new version of the layout.
CREATE OR REPLACE FUNCTION inventory_add_v1(
    p_schedule_id uuid,
    p_seat_ids text[],
    p_sections text[],
    p_rows text[],
    p_numbers integer[],
    p_grades text[],
    p_prices_minor bigint[],
    p_state text
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    -- Positions of present seats must not change: change messages name them.
    -- guard: add_seats_come_last: coalesce(max(s.ordinal) + 1, 0) => 0
    first_ordinal CONSTANT integer := (SELECT coalesce(max(s.ordinal) + 1, 0) FROM seats s
                                        -- no guard: A higher ordinal of another hall comes last as well.
                                        WHERE s.schedule_id = p_schedule_id);
BEGIN
    INSERT INTO seats (
        schedule_id, ordinal, seat_id, section, row_label, number, grade, price_minor, state)
    SELECT p_schedule_id, first_ordinal + n.at::integer - 1, n.seat_id, n.section, n.row_label, n.number,
           n.grade, n.price_minor, p_state
      FROM unnest(p_seat_ids, p_sections, p_rows, p_numbers, p_grades, p_prices_minor)
           WITH ORDINALITY n (seat_id, section, row_label, number, grade, price_minor, at);
    RETURN inventory_next_layout_v1(p_schedule_id);
END;
$$;

-- Count a change of the layout; returns the new version.
CREATE OR REPLACE FUNCTION inventory_next_layout_v1(p_schedule_id uuid) RETURNS integer
LANGUAGE sql AS $$
UPDATE schedules s SET layout_version = s.layout_version + 1
 -- guard: next_layout_of_this_schedule => WHERE p_schedule_id IS NOT NULL
 WHERE s.schedule_id = p_schedule_id
RETURNING s.layout_version;
$$;
