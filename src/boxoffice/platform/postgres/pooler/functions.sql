-- The functions of numbered statements. Names carry a version, so that pods of two releases can run side
-- by side: change the signature or the meaning, and it is a new version.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Begin the statement of this number. Returns true, or raises where the number was given up. A look-up of
-- the number waits until this transaction has ended.
CREATE OR REPLACE FUNCTION statements_begin_v1(p_number bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- guard: statement_that_runs_is_waited_for
    PERFORM pg_advisory_xact_lock(p_number);
    -- After the lock, so that the snapshot has what a look-up committed before.
    -- guard: statement_that_was_given_up_does_not_begin => IF false THEN
    IF EXISTS (SELECT FROM given_up_statements g WHERE g.number = p_number) THEN
        -- no guard: The connection is lost, so no client reads this; it only ends the transaction.
        RAISE EXCEPTION 'statement % was given up', p_number USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN true;
END;
$$;

-- Begin a statement that decides for several processes, by a number of each. Returns whether none of the
-- numbers was given up. A look-up of a number waits until this transaction has ended; other statements of
-- the number do not.
CREATE OR REPLACE FUNCTION statements_permitted_v1(p_numbers bigint[])
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- guard: handed_over_batch_that_runs_is_waited_for
    PERFORM pg_advisory_xact_lock_shared(n.number) FROM (SELECT number FROM unnest(p_numbers) u (number) ORDER BY number) n;
    -- After the locks, so that the snapshot has what a look-up committed before.
    -- guard: handed_over_batch_that_was_given_up_does_not_begin => RETURN true;
    RETURN NOT EXISTS (SELECT FROM given_up_statements g WHERE g.number = ANY (p_numbers));
END;
$$;

-- Give up the statements of these numbers: those that have begun have ended when this returns, and the
-- others never begin. A number that was given up a day ago is forgotten.
CREATE OR REPLACE FUNCTION statements_give_up_v1(p_numbers bigint[])
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- A server that crashes ends the statements too, so this commit need not be on a disk or a standby.
    PERFORM set_config('synchronous_commit', 'off', true);
    -- guard: give_up_waits_for_what_runs
    PERFORM pg_advisory_xact_lock(n.number) FROM (SELECT number FROM unnest(p_numbers) u (number) ORDER BY number) n;
    INSERT INTO given_up_statements (number)
    SELECT number FROM unnest(p_numbers) u (number)
    -- no guard: A repetition of a call whose answer was lost would fail, and be repeated for ever.
    ON CONFLICT DO NOTHING;
    -- guard: given_up_statement_is_forgotten_after_a_day
    -- guard: given_up_statement_is_kept_for_a_day: g.given_up_at < clock_timestamp() - interval '1 day' => true
    DELETE FROM given_up_statements g WHERE g.given_up_at < clock_timestamp() - interval '1 day';
END;
$$;
