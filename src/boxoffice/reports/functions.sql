-- What the statements of reports share. They only read.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- The seats of a reservation with what each costs: in the order of its seats, from 1. Offers fix the prices at
-- the hold. Without them a seat has the price and grade of that moment: what the first change after it replaced,
-- or what the seat still has.
CREATE OR REPLACE FUNCTION reports_lines_v1(p_schedule_id uuid, p_reservation_id uuid)
RETURNS TABLE (
    place bigint, seat_id text, grade text, channel text, price_type text, price_minor bigint,
    discount_minor bigint, fee_minor bigint)
LANGUAGE sql STABLE AS $$
    SELECT l.place, l.seat_id, coalesce(w.grade, x.grade), coalesce(o.channel, ''),
           coalesce(l.price_type, ''), coalesce(l.price_minor, w.price_minor, x.price_minor),
           coalesce(l.discount_minor, 0), coalesce(l.fee_minor, 0)
      FROM (SELECT r.seat_ids, r.created_at
              FROM reservations r
             -- guard: report_lines_of_the_reservation: AND r.reservation_id = p_reservation_id => AND p_reservation_id IS NOT NULL
             WHERE r.schedule_id = p_schedule_id AND r.reservation_id = p_reservation_id
            -- no guard: Each look-up is by a primary key, whatever the planner believes of the tables.
            OFFSET 0) r
      LEFT JOIN LATERAL (
           SELECT o.*
             FROM reservation_offers o
            -- guard: report_offers_of_the_reservation: AND o.reservation_id = p_reservation_id =>
            WHERE o.schedule_id = p_schedule_id AND o.reservation_id = p_reservation_id
           -- no guard: The conditions are inside.
           OFFSET 0) o ON true
     CROSS JOIN LATERAL ROWS FROM (
               unnest(r.seat_ids), unnest(o.price_types), unnest(o.prices_minor),
               unnest(o.discounts_minor), unnest(o.fees_minor))
           WITH ORDINALITY l (seat_id, price_type, price_minor, discount_minor, fee_minor, place)
     CROSS JOIN LATERAL (
           SELECT x.price_minor, x.grade
             FROM seats x
            -- guard: report_seat_of_the_line: AND x.seat_id = l.seat_id =>
            WHERE x.schedule_id = p_schedule_id AND x.seat_id = l.seat_id
           OFFSET 0) x
      LEFT JOIN LATERAL (
           SELECT c.price_minor, c.grade
             FROM seat_price_changes c
            -- guard: report_change_of_the_seat: AND c.seat_id = l.seat_id =>
            WHERE c.schedule_id = p_schedule_id AND c.seat_id = l.seat_id
              -- guard: report_change_after_the_hold
              AND c.changed_at > r.created_at
            -- guard: report_first_change_after_the_hold: c.version => c.version DESC
            ORDER BY c.version
            -- no guard: Joins each seat with one change, if any; the order above decides.
            LIMIT 1) w ON true
$$;

-- The part of an amount that belongs to a line of this weight, where the lines up to it weigh p_upto of
-- p_total. The parts of all lines add up to the amount.
CREATE OR REPLACE FUNCTION reports_share_v1(
    p_amount_minor bigint, p_weight numeric, p_upto numeric, p_total numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT div(p_amount_minor * p_upto, p_total) - div(p_amount_minor * (p_upto - p_weight), p_total)
$$;
