-- The numbers of a batch of orders with one statement instead of one per row: a payment gets cheaper. Written while
-- the previous release serves, whose payments meet the new trigger as well.

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '5s';

-- The same numbers as before, without a loop. Each bit of the check character is the parity of those of the forty
-- random bits that its mask names: the polynomial of docs/decisions/0031-order-numbers.md is linear.
CREATE OR REPLACE FUNCTION order_numbers_random() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    signs CONSTANT text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
    -- The last ten digits of a random UUID are random.
    drawn CONSTANT bit(40) := ('x' || right(gen_random_uuid()::text, 10))::bit(40);
    bits CONSTANT bigint := drawn::bigint;
    checked CONSTANT bigint := ((bit_count(drawn & X'337544C888') & 1) << 4)
                             | ((bit_count(drawn & X'999BAA2644') & 1) << 3)
                             | ((bit_count(drawn & X'CCCCDD5132') & 1) << 2)
                             | ((bit_count(drawn & X'D513222201') & 1) << 1)
                             | (bit_count(drawn & X'6EA8991110') & 1);
BEGIN
    RETURN substr(signs, (bits >> 35)::integer + 1, 1)
        || substr(signs, ((bits >> 30) & 31)::integer + 1, 1)
        || substr(signs, ((bits >> 25) & 31)::integer + 1, 1)
        || substr(signs, ((bits >> 20) & 31)::integer + 1, 1)
        || substr(signs, ((bits >> 15) & 31)::integer + 1, 1)
        || substr(signs, ((bits >> 10) & 31)::integer + 1, 1)
        || substr(signs, ((bits >> 5) & 31)::integer + 1, 1)
        || substr(signs, (bits & 31)::integer + 1, 1)
        || substr(signs, checked::integer + 1, 1);
END;
$$;

-- Give each reservation its number, once; others are drawn where numbers are taken.
CREATE FUNCTION order_numbers_give_each(p_schedule_ids uuid[], p_reservation_ids uuid[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    given bigint;
BEGIN
    LOOP
        INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
        SELECT c.schedule_id, c.reservation_id, order_numbers_random()
          FROM unnest(p_schedule_ids, p_reservation_ids) c (schedule_id, reservation_id)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS given = ROW_COUNT;
        EXIT WHEN given = cardinality(p_reservation_ids);
        SELECT array_agg(c.schedule_id), array_agg(c.reservation_id)
          INTO p_schedule_ids, p_reservation_ids
          FROM unnest(p_schedule_ids, p_reservation_ids) c (schedule_id, reservation_id)
          LEFT JOIN LATERAL (
               SELECT n.order_number
                 FROM order_numbers n
                WHERE n.schedule_id = c.schedule_id AND n.reservation_id = c.reservation_id
               OFFSET 0) n ON true
         WHERE n.order_number IS NULL;
        EXIT WHEN p_reservation_ids IS NULL;
    END LOOP;
END;
$$;

-- Of an update, number what it left confirmed; a reservation that was confirmed before has its number already. The
-- tickets that an organizer issues are numbered one by one, as before. The name stays: by it the audit of the previous
-- release knows the trigger.
CREATE OR REPLACE FUNCTION order_numbers_of_confirmed() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    schedule_ids uuid[];
    reservation_ids uuid[];
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        PERFORM order_numbers_give(NEW.schedule_id, NEW.reservation_id);
        RETURN NULL;
    END IF;
    SELECT array_agg(u.schedule_id), array_agg(u.reservation_id)
      INTO schedule_ids, reservation_ids
      FROM updated u
     WHERE u.status = 'CONFIRMED';
    IF reservation_ids IS NOT NULL THEN
        PERFORM order_numbers_give_each(schedule_ids, reservation_ids);
    END IF;
    RETURN NULL;
END;
$$;

-- Replaced, not dropped: a lock that waits for payments under way, and not for readers, as an audit is for minutes.
CREATE OR REPLACE TRIGGER reservations_order_number AFTER UPDATE ON reservations
    REFERENCING NEW TABLE AS updated FOR EACH STATEMENT EXECUTE FUNCTION order_numbers_of_confirmed();

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
