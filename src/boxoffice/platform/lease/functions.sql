-- The functions of leases. Names carry a version, so that pods of two releases can run side
-- by side: change the signature or the meaning, and it is a new version.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Take the lease of a role, or renew it: from now on for p_ttl_ms by the database's clock.
-- Returns the fencing token, which grows with every change of hands, or null while another holder
-- has the lease. A row is never deleted, because its token would start again.
CREATE OR REPLACE FUNCTION leases_take_v1(p_role text, p_holder uuid, p_ttl_ms integer)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    -- Older than any wait for the row below, so a lease that has lapsed by it has lapsed.
    asked_at CONSTANT timestamptz := clock_timestamp();
    taken bigint;
BEGIN
    -- Those who wait for their turn ask often: they neither lock the row nor write.
    PERFORM 1 FROM leases l
      -- guard: lease_of_this_role_for_waiting_holders: role = p_role AND l. =>
      -- guard: lease_holder_may_renew: holder <> p_holder AND l. =>
      -- guard: lease_what_has_lapsed_is_to_be_had: AND l.expires_at > asked_at =>
      WHERE l.role = p_role AND l.holder <> p_holder AND l.expires_at > asked_at;
    -- guard: lease_waiting_holder_does_not_take: FOUND => false
    IF FOUND THEN
        RETURN NULL;
    END IF;

    INSERT INTO leases AS l (role, holder, token, expires_at)
    VALUES (p_role, p_holder, 1, asked_at + make_interval(secs => p_ttl_ms / 1000.0))
    -- no guard: Without it the primary key refuses all holders after the first.
    ON CONFLICT (role) DO UPDATE
       SET holder = excluded.holder,
           -- guard: lease_token_grows_with_every_change_of_hands => token = l.token + 0,
           -- guard: lease_token_stays_with_its_holder => token = l.token + 1,
           token = l.token + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END,
           expires_at = excluded.expires_at
     -- guard: lease_one_holder
     -- guard: lease_lapsed_lease_changes_holder: OR l.expires_at <= asked_at =>
     -- guard: lease_holder_renews => WHERE l.expires_at <= asked_at
     WHERE l.holder = excluded.holder OR l.expires_at <= asked_at
    RETURNING l.token INTO taken;
    RETURN taken;
END;
$$;

-- Give a lease back before its time, so that the next holder need not wait for the end of it.
-- Returns whether it was still this holder's under this token.
CREATE OR REPLACE FUNCTION leases_release_v1(p_role text, p_holder uuid, p_token bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    released_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    UPDATE leases l SET expires_at = least(l.expires_at, released_at)
     -- guard: lease_given_back_by_its_holder: holder = p_holder AND l. =>
     -- guard: lease_given_back_under_its_token: AND l.token = p_token =>
     -- guard: lease_given_back_for_its_role: role = p_role AND l. =>
     WHERE l.role = p_role AND l.holder = p_holder AND l.token = p_token;
    RETURN FOUND;
END;
$$;

-- Raise the fencing tokens of a restored database above all that its earlier incarnations gave out: what still
-- runs with one of those is fenced, and what fenced them lets the new ones pass. Every lease is over.
CREATE OR REPLACE FUNCTION leases_after_restore_v1(p_incarnation bigint) RETURNS void
LANGUAGE sql AS $$
    UPDATE leases l
       -- guard: restored_tokens_are_above_those_that_were_lost => SET token = l.token + 0,
       SET token = greatest(l.token, p_incarnation << 40),
           expires_at = least(l.expires_at, clock_timestamp());
$$;
