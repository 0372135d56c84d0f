-- The deletion of old notices. The role of the service may not delete notices: one that is lost unhandled may be
-- money that is not booked. This function runs as the owner of the schema, and deletes none of these.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- Delete at most p_limit notices that were handled more than p_retention_s seconds ago, and more than five days:
-- for that long providers send a notice again, which would be handled once more. Returns how many.
CREATE OR REPLACE FUNCTION notices_drop_old_v1(p_retention_s double precision, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    dropped bigint;
BEGIN
    DELETE FROM provider_notices n
     USING (SELECT o.provider, o.notice_id FROM provider_notices o
             -- guard: only_handled_notices_are_dropped: WHERE => WHERE o.handled_at IS NULL OR
             -- guard: notices_are_kept_for_the_retention: p_retention_s, => 0,
             -- guard: only_notices_older_than_repetitions_are_dropped: greatest(p_retention_s, 432000) => p_retention_s
             WHERE o.handled_at < clock_timestamp() - make_interval(secs => greatest(p_retention_s, 432000))
             -- no guard: Bounds the work of one round.
             LIMIT p_limit) d
     -- no guard: The notices that were chosen above.
     WHERE n.provider = d.provider AND n.notice_id = d.notice_id;
    -- no guard: A figure for the caller.
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END;
$$;
