-- Written while the previous release serves: a new table, and triggers that number what either release confirms.
-- The numbers of earlier reservations are written first, without a lock that a sale would wait for; the lock of the
-- triggers lasts for the look at what was confirmed meanwhile.
-- squawk-ignore-file require-concurrent-index-creation

-- migrate:up

SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '1800s';

-- Order numbers ----------------------------------------------------------------------------------------
-- The number that people read, print and say instead of a reservation's id: of each reservation that was ever
-- confirmed, also of one that was refunded or archived since. Eight random characters and a check character of
-- Crockford's base 32 (docs/decisions/0031-order-numbers.md). The number is unique in the whole shop, so its key
-- has no schedule; nothing but the confirmation of a reservation writes it, and nothing changes it.

CREATE TABLE order_numbers (
    schedule_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    order_number text COLLATE "C" NOT NULL,
    CONSTRAINT order_numbers_pkey PRIMARY KEY (schedule_id, reservation_id),
    CONSTRAINT order_numbers_number_unique UNIQUE (order_number),
    CONSTRAINT order_numbers_number_known CHECK (order_number ~ '^[0-9A-HJKMNP-TV-Z]{9}$')
);

-- A random number. The check character is a polynomial over GF(32), x^5 + x^2 + 1, whose nine weights differ: a
-- wrong character and two that changed places are found. The second half of a random UUID is random but for its
-- first two bits, which no character uses.
CREATE FUNCTION order_numbers_random() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    signs CONSTANT text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
    bytes CONSTANT bytea := uuid_send(gen_random_uuid());
    digit integer;
    total integer := 0;
    number text := '';
BEGIN
    FOR place IN 8..15 LOOP
        digit := get_byte(bytes, place) & 31;
        number := number || substr(signs, digit + 1, 1);
        total := total # digit;
        total := (total << 1) # (total >> 4) * 37;
    END LOOP;
    RETURN number || substr(signs, total + 1, 1);
END;
$$;

-- Give a reservation its number, once; another one is drawn where a number is taken. Whether it is new.
CREATE FUNCTION order_numbers_give(p_schedule_id uuid, p_reservation_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        INSERT INTO order_numbers (schedule_id, reservation_id, order_number)
        VALUES (p_schedule_id, p_reservation_id, order_numbers_random())
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN true;
        END IF;
        IF EXISTS (SELECT FROM order_numbers n
                    WHERE n.schedule_id = p_schedule_id AND n.reservation_id = p_reservation_id) THEN
            RETURN false;
        END IF;
    END LOOP;
END;
$$;

CREATE FUNCTION order_numbers_of_confirmed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM order_numbers_give(NEW.schedule_id, NEW.reservation_id);
    RETURN NULL;
END;
$$;

SELECT count(order_numbers_give(r.schedule_id, r.reservation_id))
  FROM reservations r
 WHERE r.status IN ('CONFIRMED', 'REFUNDED');

-- A hold inserts a reservation and a payment updates it, so a hold meets no trigger. Tickets that an organizer
-- issues are inserted as confirmed, each with a row of its issue.
CREATE TRIGGER reservations_order_number AFTER UPDATE OF status ON reservations
    FOR EACH ROW WHEN (new.status = 'CONFIRMED' AND old.status <> 'CONFIRMED')
    EXECUTE FUNCTION order_numbers_of_confirmed();
CREATE TRIGGER ticket_issues_order_number AFTER INSERT ON ticket_issues
    FOR EACH ROW EXECUTE FUNCTION order_numbers_of_confirmed();

-- What was confirmed since: the triggers' locks have waited for those transactions.
SELECT count(order_numbers_give(r.schedule_id, r.reservation_id))
  FROM reservations r
 WHERE r.status IN ('CONFIRMED', 'REFUNDED')
   AND NOT EXISTS (SELECT FROM order_numbers n
                    WHERE n.schedule_id = r.schedule_id AND n.reservation_id = r.reservation_id);

-- migrate:down
-- Forward only: a later migration corrects an earlier one.
