-- Order numbers; the functions that assign them are in migration 0022, because its triggers call them.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- The numbers of some reservations of a schedule, in their order; null where one is not confirmed. Sees what the
-- calling statement has written before.
CREATE OR REPLACE FUNCTION order_numbers_of_v1(p_schedule_id uuid, p_reservation_ids uuid[])
RETURNS text[]
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    RETURN (
        SELECT array_agg(n.order_number ORDER BY c.at)
          FROM unnest(p_reservation_ids) WITH ORDINALITY c (reservation_id, at)
          LEFT JOIN LATERAL (
               SELECT n.order_number
                 FROM order_numbers n
                -- guard: order_numbers_of_this_schedule: n.schedule_id = p_schedule_id => p_schedule_id IS NOT NULL
                WHERE n.schedule_id = p_schedule_id
                  -- guard: order_numbers_by_reservation => AND c.at = 0
                  AND n.reservation_id = c.reservation_id
               -- no guard: Joins each reservation with its number, if any; the conditions are inside.
               OFFSET 0) n ON true);
END;
$$;
