-- Deletes of what buyers never knew. The role of the service may not delete concerts, schedules and seats; these
-- functions run as the owner of the schema, and refuse what has a history.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Delete a schedule with its seats. False where it is on sale or cancelled, or anything was held in it.
CREATE OR REPLACE FUNCTION catalog_delete_schedule_v1(p_schedule_id uuid)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    has_history boolean;
BEGIN
    PERFORM 1 FROM schedules s
     -- no guard: Finds the row to lock; the delete below repeats the key.
     WHERE s.schedule_id = p_schedule_id
       -- no guard: The caller holds the same lock.
       FOR UPDATE;
    SELECT EXISTS (
               SELECT FROM schedules s
                -- no guard: The caller refuses these; a second look before something is lost for good.
                WHERE s.schedule_id = p_schedule_id AND s.status IN ('OPEN', 'CANCELLED'))
           -- guard: delete_no_schedule_that_was_held: r.schedule_id = p_schedule_id => false
           OR EXISTS (SELECT FROM reservations r WHERE r.schedule_id = p_schedule_id)
           -- no guard: What is in the archive was in the table above before.
           OR EXISTS (SELECT FROM reservations_archive a WHERE a.schedule_id = p_schedule_id)
      INTO has_history;
    -- guard: delete_no_schedule_with_a_history => IF false THEN
    IF has_history THEN
        RETURN false;
    END IF;
    -- guard: delete_seats_of_this_schedule: s.schedule_id = p_schedule_id => s.state = 'AVAILABLE'
    DELETE FROM seats s WHERE s.schedule_id = p_schedule_id;
    -- guard: delete_this_schedule: s.schedule_id = p_schedule_id => s.status = 'DRAFT'
    DELETE FROM schedules s WHERE s.schedule_id = p_schedule_id;
    RETURN true;
END;
$$;

-- Delete a draft; a foreign key refuses one that has schedules. False where buyers see it.
CREATE OR REPLACE FUNCTION catalog_delete_concert_v1(p_concert_id uuid)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM concerts c
     -- guard: delete_this_concert: c.concert_id = p_concert_id AND =>
     -- guard: delete_no_concert_that_is_published: AND c.status = 'DRAFT' =>
     WHERE c.concert_id = p_concert_id AND c.status = 'DRAFT';
    RETURN FOUND;
END;
$$;
