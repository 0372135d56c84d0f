-- name: seat_has_two_live_tickets
-- The one thing that must never happen.
SELECT seat_id FROM tickets
 WHERE schedule_id = $1 AND status <> 'VOID' GROUP BY seat_id HAVING count(*) > 1;

-- name: seat_was_promised_twice
-- A later hold of a seat began while an earlier one was in its time, or after it was paid.
SELECT a.seat_id
  FROM (SELECT r.*, s.seat_id FROM reservations r CROSS JOIN unnest(r.seat_ids) s (seat_id)
         WHERE r.schedule_id = $1
           AND NOT EXISTS (SELECT FROM tickets t WHERE t.schedule_id = $1 AND t.status = 'VOID'
                              AND t.reservation_id = r.reservation_id AND t.seat_id = s.seat_id)) a
  JOIN (SELECT r.*, unnest(r.seat_ids) AS seat_id FROM reservations r WHERE r.schedule_id = $1) b
    ON b.seat_id = a.seat_id AND b.reservation_id <> a.reservation_id
   AND (b.created_at, b.reservation_id) > (a.created_at, a.reservation_id)
 WHERE a.status = 'CONFIRMED' OR (a.status IN ('HELD', 'EXPIRED') AND b.created_at < a.expires_at);

-- name: promise_without_seats
-- A paid reservation, or a hold in its time, that does not have every seat of its own.
SELECT r.reservation_id
  FROM reservations r
 WHERE r.schedule_id = $1
   AND (r.status = 'CONFIRMED' OR (r.status = 'HELD' AND r.expires_at > clock_timestamp()))
   AND cardinality(r.seat_ids) - (
       SELECT count(*) FROM tickets t
        WHERE t.schedule_id = $1 AND t.reservation_id = r.reservation_id AND t.status = 'VOID') <> (
       SELECT count(*) FROM seats s
        WHERE s.schedule_id = $1 AND s.seat_id = ANY (r.seat_ids) AND s.user_id = r.user_id
          AND s.reservation_id = r.reservation_id
          AND s.state = CASE r.status WHEN 'HELD' THEN 'HELD' ELSE 'SOLD' END
          AND s.expires_at IS NOT DISTINCT FROM CASE r.status WHEN 'HELD' THEN r.expires_at + (
              SELECT make_interval(secs => c.waiting_list_turn_s) FROM schedules c
               WHERE c.schedule_id = $1) END);

-- name: seat_of_an_ended_hold
-- A seat that still belongs to a reservation that was given up, or to none.
SELECT s.seat_id
  FROM seats s
  LEFT JOIN reservations r ON r.schedule_id = $1 AND r.reservation_id = s.reservation_id
 WHERE s.schedule_id = $1 AND s.state IN ('HELD', 'SOLD')
   AND (r.reservation_id IS NULL OR r.status NOT IN ('HELD', 'CONFIRMED'));

-- name: paid_without_its_papers
-- A confirmed reservation without exactly one payment of its amount and one ticket for each seat; a gift costs
-- nothing and has no payment.
SELECT r.reservation_id
  FROM reservations r
 WHERE r.schedule_id = $1
   AND (r.status IN ('CONFIRMED', 'REFUNDED')) <> (
       CASE (SELECT i.kind FROM ticket_issues i
              WHERE i.schedule_id = $1 AND i.reservation_id = r.reservation_id)
           WHEN 'COMPLIMENTARY' THEN r.amount_minor = 0 AND NOT EXISTS (
               SELECT FROM payments p WHERE p.schedule_id = $1 AND p.reservation_id = r.reservation_id)
           ELSE EXISTS (SELECT FROM payments p WHERE p.schedule_id = $1
                  AND p.reservation_id = r.reservation_id AND p.amount_minor = r.amount_minor) END
       AND r.seat_ids = (SELECT array_agg(t.seat_id ORDER BY t.position) FROM tickets t
                          WHERE t.schedule_id = $1 AND t.reservation_id = r.reservation_id));

-- name: confirmed_without_its_number
-- A reservation that was ever paid or given without an order number, or another one with a number.
SELECT r.reservation_id
  FROM reservations r
  LEFT JOIN order_numbers n ON n.schedule_id = r.schedule_id AND n.reservation_id = r.reservation_id
 WHERE r.schedule_id = $1 AND (n.order_number IS NOT NULL) <> (r.status IN ('CONFIRMED', 'REFUNDED'));

-- name: above_the_ticket_limit
-- A person with more seats, paid or held, than the schedule allows.
SELECT r.user_id
  FROM reservations r JOIN schedules s ON s.schedule_id = r.schedule_id
 WHERE r.schedule_id = $1
   AND (r.status = 'CONFIRMED' OR (r.status = 'HELD' AND r.expires_at > clock_timestamp()))
   AND NOT EXISTS (SELECT FROM house_accounts h WHERE h.user_id = r.user_id)
 GROUP BY r.user_id, s.ticket_limit
HAVING sum(cardinality(r.seat_ids) - (
       SELECT count(*) FROM tickets t
        WHERE t.schedule_id = $1 AND t.reservation_id = r.reservation_id AND t.status = 'VOID'))
       > s.ticket_limit;

-- name: wallet_differs_from_its_entries
-- A balance that its movements do not explain, or that is below zero.
SELECT w.user_id
  FROM wallets w
 WHERE $1::uuid IS NOT NULL
   AND (w.balance_minor < 0 OR w.balance_minor <> coalesce(
       (SELECT sum(e.amount_minor) FROM ledger_entries e
         WHERE e.user_id = w.user_id AND e.account = 'wallet'), 0));

-- name: income_differs_from_payments
-- What the house earned from a schedule is what was paid for it, less what was refunded or kept as a fee.
SELECT i.earned, p.paid
  FROM (SELECT coalesce(sum(amount_minor), 0) AS earned FROM ledger_entries
         WHERE schedule_id = $1 AND account = 'income') i,
       (SELECT coalesce(sum(amount_minor), 0) AS paid FROM payments WHERE schedule_id = $1) p,
       (SELECT coalesce(sum(amount_minor + fee_minor + compensation_minor), 0) AS back FROM refunds
         WHERE schedule_id = $1) f
 WHERE i.earned <> p.paid - f.back;

-- name: event_is_missing_or_told_twice
-- Each reservation tells that it was held, unless it was issued, and once how it ended.
SELECT r.reservation_id
  FROM reservations r
 WHERE r.schedule_id = $1
   AND CASE WHEN EXISTS (SELECT FROM ticket_issues i WHERE i.schedule_id = $1
                            AND i.reservation_id = r.reservation_id)
            THEN '{}'::text[] ELSE ARRAY['reservation.held'] END
           || CASE r.status WHEN 'HELD' THEN '{}'::text[]
                            WHEN 'REFUNDED' THEN ARRAY['reservation.confirmed']
                            ELSE ARRAY['reservation.' || lower(r.status)] END
       IS DISTINCT FROM (SELECT array_agg(o.topic ORDER BY o.batch_id) FROM outbox o
                          CROSS JOIN LATERAL unnest(o.subject_ids) e (subject_id)
                          WHERE o.scope_id = $1 AND e.subject_id = r.reservation_id);
