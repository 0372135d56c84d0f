-- Every invariant as a statement that returns its violations: at most 20 samples, and their count in
-- `violations`. $1, where used, is a time just after the snapshot. No statement uses a function, a view or
-- an index of the code that writes, and rows are checked also where a constraint enforces the same.

-- name: one_live_ticket_per_seat
-- No seat has two tickets that are not void.
SELECT count(*) OVER () AS violations, t.schedule_id, t.seat_id, count(*) AS tickets
  FROM tickets t
 WHERE t.status <> 'VOID'
 GROUP BY t.schedule_id, t.seat_id
HAVING count(*) > 1
 LIMIT 20;

-- name: one_row_per_seat
-- A seat is one row, and a position is one seat.
SELECT count(*) OVER () AS violations, d.*
  FROM (SELECT s.schedule_id, 'seat_id' AS twice, s.seat_id AS what
          FROM seats s
         GROUP BY s.schedule_id, s.seat_id
        HAVING count(*) > 1
         UNION ALL
        SELECT s.schedule_id, 'place', concat_ws(' / ', s.section, s.row_label, s.number)
          FROM seats s
         GROUP BY s.schedule_id, s.section, s.row_label, s.number
        HAVING count(*) > 1) d
 LIMIT 20;

-- name: one_live_reservation_per_seat
-- No seat is listed by two reservations that are confirmed or held and unexpired; a seat whose ticket is
-- void does not count.
SELECT count(*) OVER () AS violations, r.schedule_id, l.seat_id, count(*) AS reservations
  FROM reservations r
 CROSS JOIN LATERAL unnest(r.seat_ids) l (seat_id)
  LEFT JOIN (SELECT v.schedule_id, v.reservation_id, v.seat_id
               FROM tickets v
              WHERE v.status = 'VOID') v
    ON v.schedule_id = r.schedule_id
   AND v.reservation_id = r.reservation_id
   AND v.seat_id = l.seat_id
 WHERE (r.status = 'CONFIRMED' AND v.seat_id IS NULL)
    OR (r.status = 'HELD' AND r.expires_at > $1::timestamptz)
 GROUP BY r.schedule_id, l.seat_id
HAVING count(*) > 1
 LIMIT 20;

-- name: states_are_known
-- Seats, reservations, tickets and payments have a known state and the columns that it needs.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'seat' AS kind, s.schedule_id, s.seat_id AS id, s.state
          FROM seats s
         WHERE NOT CASE s.state
                   WHEN 'AVAILABLE' THEN num_nonnulls(s.reservation_id, s.user_id, s.expires_at) = 0
                   WHEN 'BLOCKED' THEN num_nonnulls(s.reservation_id, s.user_id, s.expires_at) = 0
                   WHEN 'HELD' THEN num_nulls(s.reservation_id, s.user_id, s.expires_at) = 0
                   WHEN 'SOLD' THEN num_nulls(s.reservation_id, s.user_id) = 0 AND s.expires_at IS NULL
                   ELSE false END
         UNION ALL
        SELECT 'reservation', r.schedule_id, r.reservation_id::text, r.status
          FROM reservations r
         WHERE r.status NOT IN ('HELD', 'CONFIRMED', 'EXPIRED', 'CANCELLED', 'REFUNDED')
            OR (r.status = 'HELD') <> (r.closed_at IS NULL)
         UNION ALL
        SELECT 'ticket', t.schedule_id, t.ticket_id::text, t.status
          FROM tickets t
         WHERE t.status NOT IN ('VALID', 'VOID')
         UNION ALL
        SELECT 'payment', p.schedule_id, p.payment_id::text, p.status
          FROM payments p
         WHERE p.status <> 'SUCCEEDED') x
 LIMIT 20;

-- name: sold_seat_has_its_sale
-- A sold seat has a confirmed reservation of the same owner that lists it, and exactly one valid ticket
-- of that reservation and owner.
SELECT count(*) OVER () AS violations, s.schedule_id, s.seat_id, s.reservation_id, s.user_id,
       r.status AS reservation_status, coalesce(t.valid, 0) AS valid_tickets
  FROM seats s
  LEFT JOIN reservations r
    ON r.schedule_id = s.schedule_id
   AND r.reservation_id = s.reservation_id
   AND r.user_id = s.user_id
   AND s.seat_id = ANY (r.seat_ids)
  LEFT JOIN (SELECT t.schedule_id, t.seat_id, t.reservation_id, t.user_id, count(*) AS valid
               FROM tickets t
              WHERE t.status = 'VALID'
              GROUP BY t.schedule_id, t.seat_id, t.reservation_id, t.user_id) t
    ON t.schedule_id = s.schedule_id
   AND t.seat_id = s.seat_id
   AND t.reservation_id = s.reservation_id
   AND t.user_id = s.user_id
 WHERE s.state = 'SOLD'
   AND (r.status IS DISTINCT FROM 'CONFIRMED' OR t.valid IS DISTINCT FROM 1)
 LIMIT 20;

-- name: held_seat_has_its_hold
-- An unexpired held seat has a reservation of the same owner that lists it: a held one with the same
-- expiry, or within the return delay of the schedule one that has ended, or a refund of its ticket.
SELECT count(*) OVER () AS violations, s.schedule_id, s.seat_id, s.reservation_id, s.user_id,
       s.expires_at, r.status AS reservation_status, r.user_id AS reservation_user_id,
       r.expires_at AS reservation_expires_at
  FROM seats s
  LEFT JOIN reservations r
    ON r.schedule_id = s.schedule_id
   AND r.reservation_id = s.reservation_id
  LEFT JOIN schedules c
    ON c.schedule_id = s.schedule_id
 WHERE s.state = 'HELD' AND s.expires_at > $1::timestamptz
   AND (r.status IN ('HELD', 'CANCELLED') AND r.user_id = s.user_id AND s.seat_id = ANY (r.seat_ids)
        AND s.expires_at BETWEEN CASE r.status WHEN 'HELD' THEN r.expires_at ELSE r.closed_at END
            AND CASE r.status WHEN 'HELD' THEN r.expires_at ELSE r.closed_at END
                + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s)
        AND (r.status = 'HELD' OR c.seats_return_delay_max_s + c.waiting_list_turn_s > 0)) IS NOT TRUE
   AND NOT EXISTS (
        SELECT FROM payments p
          JOIN refunds f ON f.payment_id = p.payment_id AND f.user_id = s.user_id
         WHERE r.status IN ('CONFIRMED', 'REFUNDED')
           AND p.schedule_id = s.schedule_id AND p.reservation_id = s.reservation_id
           AND s.seat_id = ANY (f.seat_ids)
           AND s.expires_at BETWEEN f.created_at
               AND f.created_at + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s))
 LIMIT 20;

-- name: lapsed_seat_had_its_hold
-- An expired held seat has a reservation of the same owner that lists it: a held or expired one with the
-- same expiry, or one that ended, or a refund of its ticket, as long before as the return delay of the
-- schedule allows.
SELECT count(*) OVER () AS violations, s.schedule_id, s.seat_id, s.reservation_id, s.user_id,
       s.expires_at, r.status AS reservation_status, r.user_id AS reservation_user_id,
       r.expires_at AS reservation_expires_at
  FROM seats s
  LEFT JOIN reservations r
    ON r.schedule_id = s.schedule_id
   AND r.reservation_id = s.reservation_id
  LEFT JOIN schedules c
    ON c.schedule_id = s.schedule_id
 WHERE s.state = 'HELD' AND s.expires_at <= $1::timestamptz
   AND (r.status IN ('HELD', 'EXPIRED', 'CANCELLED') AND r.user_id = s.user_id
        AND s.seat_id = ANY (r.seat_ids)
        AND s.expires_at BETWEEN CASE r.status WHEN 'CANCELLED' THEN r.closed_at ELSE r.expires_at END
            AND CASE r.status WHEN 'CANCELLED' THEN r.closed_at ELSE r.expires_at END
                + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s)
        AND (r.status <> 'CANCELLED' OR c.seats_return_delay_max_s + c.waiting_list_turn_s > 0)) IS NOT TRUE
   AND NOT EXISTS (
        SELECT FROM payments p
          JOIN refunds f ON f.payment_id = p.payment_id AND f.user_id = s.user_id
         WHERE r.status IN ('CONFIRMED', 'REFUNDED')
           AND p.schedule_id = s.schedule_id AND p.reservation_id = s.reservation_id
           AND s.seat_id = ANY (f.seat_ids)
           AND s.expires_at BETWEEN f.created_at
               AND f.created_at + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s))
 LIMIT 20;

-- name: free_seat_is_unclaimed
-- No live reservation lists, and no live ticket names, an available or blocked seat.
SELECT count(*) OVER () AS violations, s.schedule_id, s.seat_id, s.state, c.kind AS claimed_by,
       c.id AS claim_id
  FROM seats s
  JOIN (SELECT r.schedule_id, l.seat_id, 'reservation' AS kind, r.reservation_id AS id
          FROM reservations r
         CROSS JOIN LATERAL unnest(r.seat_ids) l (seat_id)
          LEFT JOIN (SELECT v.schedule_id, v.reservation_id, v.seat_id
                       FROM tickets v
                      WHERE v.status = 'VOID') v
            ON v.schedule_id = r.schedule_id
           AND v.reservation_id = r.reservation_id
           AND v.seat_id = l.seat_id
         WHERE (r.status = 'CONFIRMED' AND v.seat_id IS NULL)
            OR (r.status = 'HELD' AND r.expires_at > $1::timestamptz)
         UNION ALL
        SELECT t.schedule_id, t.seat_id, 'ticket', t.ticket_id
          FROM tickets t
         WHERE t.status <> 'VOID') c
    ON c.schedule_id = s.schedule_id
   AND c.seat_id = s.seat_id
 WHERE s.state IN ('AVAILABLE', 'BLOCKED')
 LIMIT 20;

-- name: live_reservation_owns_its_seats
-- Every seat of a confirmed reservation is sold to it unless its ticket is void, every seat of an unexpired
-- hold is held for it.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.user_id, r.status, l.seat_id,
       s.state AS seat_state, s.reservation_id AS seat_reservation_id
  FROM reservations r
 CROSS JOIN LATERAL unnest(r.seat_ids) l (seat_id)
  LEFT JOIN seats s
    ON s.schedule_id = r.schedule_id
   AND s.seat_id = l.seat_id
  LEFT JOIN (SELECT v.schedule_id, v.reservation_id, v.seat_id
               FROM tickets v
              WHERE v.status = 'VOID') v
    ON v.schedule_id = r.schedule_id
   AND v.reservation_id = r.reservation_id
   AND v.seat_id = l.seat_id
 WHERE ((r.status = 'CONFIRMED' AND v.seat_id IS NULL)
        OR (r.status = 'HELD' AND r.expires_at > $1::timestamptz))
   AND (s.reservation_id = r.reservation_id AND s.user_id = r.user_id
        AND s.state = CASE r.status WHEN 'CONFIRMED' THEN 'SOLD' ELSE 'HELD' END) IS NOT TRUE
 LIMIT 20;

-- name: reservation_lists_its_seats_once
-- A reservation lists at least one seat, each once, all of its schedule.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT r.schedule_id, r.reservation_id, cardinality(r.seat_ids) AS listed,
               count(DISTINCT s.seat_id) AS existing
          FROM reservations r
          LEFT JOIN LATERAL unnest(r.seat_ids) l (seat_id) ON true
          LEFT JOIN seats s
            ON s.schedule_id = r.schedule_id
           AND s.seat_id = l.seat_id
         GROUP BY r.schedule_id, r.reservation_id, r.seat_ids) x
 WHERE x.listed = 0 OR x.listed <> x.existing
 LIMIT 20;

-- name: reservation_amount_is_the_price
-- A reservation's amount is the sum of its seats' prices at its hold, or of what offers made of them, in the
-- currency of its schedule. Where a price changed within a minute after the hold's time, either price is right:
-- the hold may have waited. Complimentary tickets cost nothing.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT r.schedule_id, r.reservation_id, r.amount_minor, r.currency,
               CASE WHEN i.kind = 'COMPLIMENTARY' THEN 0
                    ELSE coalesce(max(o.lines_minor), sum(coalesce(h.low_minor, s.price_minor)), 0)
                    END AS low_minor,
               CASE WHEN i.kind = 'COMPLIMENTARY' THEN 0
                    ELSE coalesce(max(o.lines_minor), sum(coalesce(h.high_minor, s.price_minor)), 0)
                    END AS high_minor,
               c.currency AS schedule_currency
          FROM reservations r
          LEFT JOIN (SELECT o.schedule_id, o.reservation_id,
                            (SELECT sum(x.price_minor - x.discount_minor + x.fee_minor)
                               FROM unnest(o.prices_minor, o.discounts_minor, o.fees_minor)
                                    x (price_minor, discount_minor, fee_minor)) AS lines_minor
                       FROM reservation_offers o) o
            ON o.schedule_id = r.schedule_id
           AND o.reservation_id = r.reservation_id
         CROSS JOIN LATERAL unnest(r.seat_ids) l (seat_id)
          LEFT JOIN seats s
            ON s.schedule_id = r.schedule_id
           AND s.seat_id = l.seat_id
          LEFT JOIN (SELECT DISTINCT h.schedule_id, h.seat_id FROM seat_price_changes h) d
            ON d.schedule_id = s.schedule_id
           AND d.seat_id = s.seat_id
          LEFT JOIN LATERAL (
               SELECT min(v.minor) AS low_minor, max(v.minor) AS high_minor
                 FROM (SELECT h.price_minor AS minor
                         FROM seat_price_changes h
                        WHERE h.schedule_id = d.schedule_id AND h.seat_id = d.seat_id
                          AND h.changed_at BETWEEN r.created_at AND r.created_at + interval '1 minute'
                        UNION ALL
                       SELECT coalesce(
                              (SELECT h.price_minor
                                 FROM seat_price_changes h
                                WHERE h.schedule_id = d.schedule_id AND h.seat_id = d.seat_id
                                  AND h.changed_at > r.created_at + interval '1 minute'
                                ORDER BY h.version LIMIT 1), s.price_minor)) v
                WHERE d.seat_id IS NOT NULL) h ON true
          LEFT JOIN ticket_issues i
            ON i.schedule_id = r.schedule_id
           AND i.reservation_id = r.reservation_id
          LEFT JOIN schedules c
            ON c.schedule_id = r.schedule_id
         GROUP BY r.schedule_id, r.reservation_id, r.amount_minor, r.currency, c.currency, i.kind) x
 WHERE x.amount_minor NOT BETWEEN x.low_minor AND x.high_minor OR x.currency IS DISTINCT FROM x.schedule_currency
 LIMIT 20;

-- name: confirmed_reservation_is_paid_once
-- A confirmed or refunded reservation has exactly one payment, of its owner, amount and currency; one of
-- complimentary tickets has none.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT r.schedule_id, r.reservation_id, r.user_id, r.amount_minor, r.currency,
               count(p.payment_id) AS payments,
               count(*) FILTER (WHERE p.status = 'SUCCEEDED' AND p.user_id = r.user_id
                                  AND p.amount_minor = r.amount_minor
                                  AND p.currency = r.currency) AS fitting
          FROM reservations r
          LEFT JOIN payments p
            ON p.schedule_id = r.schedule_id
           AND p.reservation_id = r.reservation_id
         WHERE r.status IN ('CONFIRMED', 'REFUNDED')
         GROUP BY r.schedule_id, r.reservation_id, r.user_id, r.amount_minor, r.currency) x
  LEFT JOIN ticket_issues i
    ON i.schedule_id = x.schedule_id
   AND i.reservation_id = x.reservation_id
   AND i.kind = 'COMPLIMENTARY'
 WHERE x.payments <> CASE WHEN i.kind IS NULL THEN 1 ELSE 0 END OR x.fitting <> x.payments
 LIMIT 20;

-- name: confirmed_reservation_has_one_order_number
-- A confirmed or refunded reservation has exactly one order number.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.status, count(n.order_number) AS numbers
  FROM reservations r
  LEFT JOIN order_numbers n
    ON n.schedule_id = r.schedule_id
   AND n.reservation_id = r.reservation_id
 WHERE r.status IN ('CONFIRMED', 'REFUNDED')
 GROUP BY r.schedule_id, r.reservation_id, r.status
HAVING count(n.order_number) <> 1
 LIMIT 20;

-- name: order_number_has_one_order
-- An order number is that of one reservation, which was confirmed, and has nine characters of its alphabet.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT n.order_number, count(*) AS reservations,
               count(*) FILTER (WHERE r.status IN ('CONFIRMED', 'REFUNDED')) AS confirmed
          FROM order_numbers n
          LEFT JOIN reservations r
            ON r.schedule_id = n.schedule_id
           AND r.reservation_id = n.reservation_id
         GROUP BY n.order_number) x
 WHERE x.reservations <> 1 OR x.confirmed <> 1 OR x.order_number !~ '^[0-9A-HJKMNP-TV-Z]{9}$'
 LIMIT 20;

-- name: payment_confirmed_its_reservation
-- A payment's reservation exists, is confirmed or refunded, and was created before and unexpired at the
-- payment.
SELECT count(*) OVER () AS violations, p.schedule_id, p.payment_id, p.reservation_id, p.created_at,
       r.status AS reservation_status, r.created_at AS reserved_at, r.expires_at
  FROM payments p
  LEFT JOIN reservations r
    ON r.schedule_id = p.schedule_id
   AND r.reservation_id = p.reservation_id
 WHERE (r.status IN ('CONFIRMED', 'REFUNDED') AND p.created_at >= r.created_at AND p.created_at < r.expires_at)
       IS NOT TRUE
 LIMIT 20;

-- name: confirmed_reservation_has_its_tickets
-- A confirmed or refunded reservation has exactly one ticket per seat. At least one is valid if it is
-- confirmed, and none if it is refunded.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.status, l.seat_id,
       coalesce(t.tickets, 0) AS tickets, coalesce(n.valid, 0) AS valid_tickets
  FROM reservations r
 CROSS JOIN LATERAL unnest(r.seat_ids) l (seat_id)
  LEFT JOIN (SELECT t.schedule_id, t.reservation_id, t.seat_id, count(*) AS tickets
               FROM tickets t
              GROUP BY t.schedule_id, t.reservation_id, t.seat_id) t
    ON t.schedule_id = r.schedule_id
   AND t.reservation_id = r.reservation_id
   AND t.seat_id = l.seat_id
  LEFT JOIN (SELECT t.schedule_id, t.reservation_id, count(*) AS valid
               FROM tickets t
              WHERE t.status = 'VALID'
              GROUP BY t.schedule_id, t.reservation_id) n
    ON n.schedule_id = r.schedule_id
   AND n.reservation_id = r.reservation_id
 WHERE r.status IN ('CONFIRMED', 'REFUNDED')
   AND (t.tickets IS DISTINCT FROM 1 OR (r.status = 'CONFIRMED') <> (coalesce(n.valid, 0) > 0))
 LIMIT 20;

-- name: live_ticket_has_its_sale
-- A live ticket is for a seat of a confirmed reservation and its payment, all of the same owner; without a
-- payment, of an issue of complimentary tickets that lists it.
SELECT count(*) OVER () AS violations, t.schedule_id, t.ticket_id, t.seat_id, t.reservation_id,
       t.payment_id, t.user_id, r.status AS reservation_status
  FROM tickets t
  LEFT JOIN reservations r
    ON r.schedule_id = t.schedule_id
   AND r.reservation_id = t.reservation_id
  LEFT JOIN payments p
    ON p.schedule_id = t.schedule_id
   AND p.payment_id = t.payment_id
 WHERE t.status <> 'VOID'
   AND (r.status = 'CONFIRMED' AND r.user_id = t.user_id AND t.seat_id = ANY (r.seat_ids)
        AND CASE WHEN t.payment_id IS NULL
                 THEN EXISTS (SELECT FROM ticket_issues i
                               WHERE i.schedule_id = t.schedule_id AND i.reservation_id = t.reservation_id
                                 AND i.kind = 'COMPLIMENTARY' AND t.ticket_id = ANY (i.ticket_ids))
                 ELSE p.reservation_id = t.reservation_id AND p.user_id = t.user_id END) IS NOT TRUE
 LIMIT 20;

-- name: transfer_sums_to_zero
-- A transfer has at least two entries, which sum to zero, move its amount, and have its currency.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT t.user_id, t.transfer_id, t.amount_minor, count(e.leg) AS legs,
               coalesce(sum(e.amount_minor), 0) AS sum_minor,
               coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0) AS moved_minor,
               count(*) FILTER (WHERE e.currency <> t.currency) AS foreign_legs
          FROM transfers t
          LEFT JOIN ledger_entries e
            ON e.user_id = t.user_id
           AND e.transfer_id = t.transfer_id
         GROUP BY t.user_id, t.transfer_id, t.amount_minor) x
 WHERE x.legs < 2 OR x.sum_minor <> 0 OR x.moved_minor <> x.amount_minor OR x.foreign_legs > 0
 LIMIT 20;

-- name: transfer_moves_between_its_accounts
-- Each kind of transfer moves money between its accounts, for the schedule that the transfer names. A payment
-- takes it from the wallet, or for another method from what a provider has captured.
SELECT count(*) OVER () AS violations, t.user_id, t.transfer_id, t.kind, p.method, e.account,
       e.amount_minor, e.schedule_id
  FROM transfers t
  JOIN ledger_entries e
    ON e.user_id = t.user_id
   AND e.transfer_id = t.transfer_id
  LEFT JOIN payments p
    ON p.schedule_id = t.schedule_id
   AND p.payment_id = t.payment_id
 WHERE (e.account = ANY (CASE t.kind
           WHEN 'charge' THEN CASE WHEN e.amount_minor > 0 THEN '{wallet}' ELSE '{cash}' END
           WHEN 'capture' THEN CASE WHEN e.amount_minor > 0 THEN '{suspense}' ELSE '{cash}' END
           WHEN 'top_up' THEN CASE WHEN e.amount_minor > 0 THEN '{wallet}' ELSE '{suspense}' END
           WHEN 'payment' THEN CASE WHEN e.amount_minor > 0 THEN '{income}'
                                    WHEN p.method = 'wallet' THEN '{wallet}'
                                    WHEN p.method = 'cash' THEN '{till}'
                                    WHEN p.method = 'card_terminal' THEN '{terminal}'
                                    WHEN p.method IS NOT NULL THEN '{suspense,cash}' END
           WHEN 'late' THEN CASE WHEN e.amount_minor > 0 THEN '{refunds_due}' ELSE '{suspense}' END
           WHEN 'refund' THEN CASE WHEN e.amount_minor > 0 THEN '{refunds_due,fees}' ELSE '{income}' END
           WHEN 'refund_paid' THEN CASE WHEN e.amount_minor < 0 THEN '{refunds_due}'
                                        WHEN t.provider IS NOT NULL THEN '{cash}'
                                        WHEN p.method = 'cash' THEN '{till}'
                                        WHEN p.method = 'card_terminal' THEN '{terminal}'
                                        ELSE '{wallet,cash}' END
           WHEN 'refund_failed' THEN CASE WHEN e.amount_minor > 0 THEN '{refunds_due}' ELSE '{cash}' END
           WHEN 'compensation' THEN CASE WHEN e.amount_minor > 0 THEN '{wallet}' ELSE '{income}' END
           WHEN 'dispute' THEN CASE WHEN e.amount_minor > 0 THEN '{cash}' ELSE '{disputes}' END
           WHEN 'dispute_won' THEN CASE WHEN e.amount_minor > 0 THEN '{disputes}' ELSE '{cash}' END
           WHEN 'dispute_lost' THEN CASE WHEN e.amount_minor > 0 THEN '{disputes}'
                                         WHEN t.payment_id IS NULL THEN '{fees}' ELSE '{income}' END
           END::text[])) IS NOT TRUE
    OR e.schedule_id IS DISTINCT FROM t.schedule_id
 LIMIT 20;

-- name: entry_has_its_transfer
-- Every ledger entry has its transfer.
SELECT count(*) OVER () AS violations, e.user_id, e.transfer_id, e.leg, e.account, e.amount_minor
  FROM ledger_entries e
 WHERE NOT EXISTS (SELECT FROM transfers t
                    WHERE t.user_id = e.user_id AND t.transfer_id = e.transfer_id)
 LIMIT 20;

-- name: payment_has_its_transfer
-- A payment has exactly one transfer of its kind, of its amount, currency and owner; a payment of zero has
-- none.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT p.schedule_id, p.payment_id, p.user_id, p.amount_minor, p.currency,
               count(t.transfer_id) AS transfers,
               count(*) FILTER (WHERE t.user_id = p.user_id AND t.amount_minor = p.amount_minor
                                  AND t.currency = p.currency) AS fitting
          FROM payments p
          LEFT JOIN transfers t
            ON t.schedule_id = p.schedule_id
           AND t.payment_id = p.payment_id
           AND t.kind = 'payment'
         GROUP BY p.schedule_id, p.payment_id, p.user_id, p.amount_minor, p.currency) x
 WHERE x.transfers <> CASE WHEN x.amount_minor > 0 THEN 1 ELSE 0 END OR x.fitting <> x.transfers
 LIMIT 20;

-- name: payment_transfer_has_its_payment
-- A transfer that names a payment has it, and one of a payment, of what was done to it, names one.
SELECT count(*) OVER () AS violations, t.user_id, t.transfer_id, t.kind, t.schedule_id, t.payment_id
  FROM transfers t
 WHERE (t.payment_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM payments p
                         WHERE p.schedule_id = t.schedule_id AND p.payment_id = t.payment_id
                           AND p.user_id = t.user_id))
    OR (t.kind IN ('payment', 'refund', 'compensation') AND t.payment_id IS NULL)
    OR (t.kind IN ('charge', 'capture', 'top_up', 'late') AND t.payment_id IS NOT NULL)
 LIMIT 20;

-- name: wallet_is_not_negative
-- No wallet balance is negative.
SELECT count(*) OVER () AS violations, w.user_id, w.balance_minor, w.currency
  FROM wallets w
 WHERE w.balance_minor < 0
 LIMIT 20;

-- name: wallet_equals_its_entries
-- A wallet balance is the sum of its ledger entries, all of its currency.
SELECT count(*) OVER () AS violations, coalesce(w.user_id, e.user_id) AS user_id, w.balance_minor,
       coalesce(e.entries_minor, 0) AS entries_minor
  FROM wallets w
  FULL JOIN (SELECT e.user_id, e.currency, sum(e.amount_minor) AS entries_minor
               FROM ledger_entries e
              WHERE e.account = 'wallet'
              GROUP BY e.user_id, e.currency) e
    ON e.user_id = w.user_id
   AND e.currency = w.currency
 WHERE w.user_id IS NULL OR w.balance_minor <> coalesce(e.entries_minor, 0)
 LIMIT 20;

-- name: wallet_belongs_to_a_person
-- Every wallet has a user, and every user has a wallet.
SELECT count(*) OVER () AS violations, coalesce(u.user_id, w.user_id) AS user_id,
       CASE WHEN u.user_id IS NULL THEN 'person' ELSE 'wallet' END AS missing
  FROM users u
  FULL JOIN wallets w ON w.user_id = u.user_id
 WHERE u.user_id IS NULL OR w.user_id IS NULL
 LIMIT 20;

-- name: hold_is_within_its_time
-- No hold lasts longer than its schedule, its offer of a waiting list or the intents that pay it allow (the
-- extension; a day for a fence), or less than zero.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.created_at, r.expires_at,
       c.hold_ttl_s, p.ends_at AS intents_end_at
  FROM reservations r
  JOIN schedules c ON c.schedule_id = r.schedule_id
  LEFT JOIN LATERAL (
       SELECT max(greatest(i.hold_ends_at, i.begun_at + interval '1 day')) AS ends_at
         FROM payment_intents i
        WHERE i.user_id = r.user_id
          AND (i.reservation_id = r.reservation_id
               -- Late money: the intent names the reservation that it has bought, which is younger than itself.
               OR (i.schedule_id = r.schedule_id AND i.created_at >= r.created_at
                   AND EXISTS (SELECT FROM reservations n
                                WHERE n.schedule_id = i.schedule_id AND n.reservation_id = i.reservation_id
                                  AND n.created_at > i.created_at)))) p ON true
  LEFT JOIN waiting_list_entries w ON w.schedule_id = r.schedule_id AND w.reservation_id = r.reservation_id
 WHERE r.expires_at > greatest(
           r.created_at + make_interval(secs => c.hold_ttl_s), p.ends_at, w.offer_expires_at)
    OR r.expires_at <= r.created_at
 LIMIT 20;

-- name: seat_is_not_held_beyond_its_hold
-- No seat is held beyond its reservation's expiry, or the refund of its ticket, plus the time after which seats
-- of the schedule return, in any status.
SELECT count(*) OVER () AS violations, s.schedule_id, s.seat_id, s.reservation_id, s.expires_at,
       r.expires_at AS reservation_expires_at
  FROM seats s
  JOIN reservations r
    ON r.schedule_id = s.schedule_id
   AND r.reservation_id = s.reservation_id
  JOIN schedules c
    ON c.schedule_id = s.schedule_id
 WHERE s.expires_at > r.expires_at + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s)
   AND NOT EXISTS (
        SELECT FROM payments p
          JOIN refunds f ON f.payment_id = p.payment_id AND f.user_id = s.user_id
         WHERE r.status IN ('CONFIRMED', 'REFUNDED')
           AND p.schedule_id = s.schedule_id AND p.reservation_id = s.reservation_id
           AND s.seat_id = ANY (f.seat_ids)
           AND s.expires_at BETWEEN f.created_at
               AND f.created_at + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s))
 LIMIT 20;

-- name: availability_recounts
-- The available seats of a schedule are its seats minus blocked ones, live tickets, unexpired holds, and
-- expired holds within the return delay.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(s.schedule_id, r.schedule_id) AS schedule_id,
               coalesce(s.offered, 0) AS offered,
               coalesce(s.sellable, 0) - coalesce(r.taken, 0) - coalesce(w.away, 0) AS recounted
          FROM (SELECT s.schedule_id,
                       count(*) FILTER (WHERE s.state <> 'BLOCKED') AS sellable,
                       count(*) FILTER (WHERE s.state NOT IN ('SOLD', 'BLOCKED')
                                          AND (s.state = 'HELD' AND s.expires_at > $1::timestamptz)
                                              IS NOT TRUE) AS offered
                  FROM seats s
                 GROUP BY s.schedule_id) s
          FULL JOIN (SELECT n.schedule_id, sum(n.taken) AS taken
                       FROM (SELECT r.schedule_id, sum(cardinality(r.seat_ids)) AS taken
                               FROM reservations r
                              WHERE r.status = 'HELD' AND r.expires_at > $1::timestamptz
                              GROUP BY r.schedule_id
                              UNION ALL
                             SELECT t.schedule_id, count(*)
                               FROM tickets t
                              WHERE t.status <> 'VOID'
                              GROUP BY t.schedule_id) n
                      GROUP BY n.schedule_id) r
            ON r.schedule_id = s.schedule_id
          LEFT JOIN (SELECT s.schedule_id, count(*) AS away
                       FROM seats s
                       JOIN schedules c ON c.schedule_id = s.schedule_id
                       JOIN reservations r
                         ON r.schedule_id = s.schedule_id
                        AND r.reservation_id = s.reservation_id
                      WHERE c.seats_return_delay_max_s + c.waiting_list_turn_s > 0
                        AND s.state = 'HELD' AND s.expires_at > $1::timestamptz
                        AND (r.status = 'HELD' AND r.expires_at > $1::timestamptz) IS NOT TRUE
                      GROUP BY s.schedule_id) w
            ON w.schedule_id = s.schedule_id) x
 WHERE x.offered <> x.recounted
 LIMIT 20;

-- name: ticket_limit_is_kept
-- No user has more seats of a schedule, held or with live tickets, than its limit; a house account has none.
SELECT count(*) OVER () AS violations, x.schedule_id, x.user_id, sum(x.seats) AS seats, c.ticket_limit
  FROM (SELECT r.schedule_id, r.user_id, cardinality(r.seat_ids) AS seats
          FROM reservations r
         WHERE r.status = 'HELD' AND r.expires_at > $1::timestamptz
         UNION ALL
        SELECT t.schedule_id, t.user_id, count(*)
          FROM tickets t
         WHERE t.status <> 'VOID'
         GROUP BY t.schedule_id, t.user_id) x
  JOIN schedules c ON c.schedule_id = x.schedule_id
 WHERE NOT EXISTS (SELECT FROM house_accounts h WHERE h.user_id = x.user_id)
 GROUP BY x.schedule_id, x.user_id, c.ticket_limit
HAVING sum(x.seats) > c.ticket_limit
 LIMIT 20;

-- name: user_counts_agree
-- A user's counts for a schedule equal the live tickets, and the reservations including archived ones.
SELECT count(*) OVER () AS violations, b.schedule_id, b.user_id, b.sold_seats, b.lapsed, b.released,
       b.open_ids, n.sold_seats AS live_tickets, x.expired, x.cancelled, x.held
  FROM schedule_buyers b
  LEFT JOIN (SELECT t.schedule_id, t.user_id, count(*) AS sold_seats
               FROM tickets t
              WHERE t.status <> 'VOID'
              GROUP BY t.schedule_id, t.user_id) n
    ON n.schedule_id = b.schedule_id
   AND n.user_id = b.user_id
  LEFT JOIN (SELECT r.schedule_id, r.user_id,
                    count(*) FILTER (WHERE r.status = 'EXPIRED') AS expired,
                    count(*) FILTER (WHERE r.status = 'CANCELLED') AS cancelled,
                    array_agg(r.reservation_id ORDER BY r.reservation_id)
                        FILTER (WHERE r.status = 'HELD') AS held
               FROM (SELECT l.schedule_id, l.user_id, l.status, l.reservation_id
                       FROM reservations l
                      UNION ALL
                     SELECT a.schedule_id, a.user_id, a.status, a.reservation_id
                       FROM reservations_archive a) r
              GROUP BY r.schedule_id, r.user_id) x
    ON x.schedule_id = b.schedule_id
   AND x.user_id = b.user_id
 WHERE b.sold_seats IS NOT NULL
   AND (b.sold_seats <> coalesce(n.sold_seats, 0) OR b.lapsed <> coalesce(x.expired, 0)
        OR b.released <> coalesce(x.cancelled, 0)
        OR ARRAY(SELECT o.id FROM unnest(b.open_ids) o (id) ORDER BY o.id) <> coalesce(x.held, '{}'))
 LIMIT 20;

-- name: user_with_history_is_counted
-- Every user with a reservation that ended unpaid has a row of counts; with an archived one it is filled.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'closed' AS kind, r.schedule_id, r.user_id
          FROM reservations r WHERE r.status IN ('EXPIRED', 'CANCELLED')
         GROUP BY r.schedule_id, r.user_id
         UNION ALL
        SELECT 'archived', a.schedule_id, a.user_id
          FROM reservations_archive a GROUP BY a.schedule_id, a.user_id) x
  LEFT JOIN schedule_buyers b
    ON b.schedule_id = x.schedule_id
   AND b.user_id = x.user_id
 WHERE b.user_id IS NULL OR (x.kind = 'archived' AND b.sold_seats IS NULL)
 LIMIT 20;

-- name: archived_once_and_for_good
-- An archived reservation has ended, exists nowhere else, and no seat, ticket or payment names it.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'not over' AS what, a.schedule_id, a.reservation_id
          FROM reservations_archive a
         WHERE a.status NOT IN ('EXPIRED', 'CANCELLED') OR a.archived_at < a.closed_at
         UNION ALL
        SELECT 'also live', a.schedule_id, a.reservation_id
          FROM reservations_archive a
          JOIN reservations r ON r.schedule_id = a.schedule_id AND r.reservation_id = a.reservation_id
         UNION ALL
        SELECT 'named by a seat', a.schedule_id, a.reservation_id
          FROM reservations_archive a
          JOIN seats s ON s.schedule_id = a.schedule_id AND s.reservation_id = a.reservation_id
         UNION ALL
        SELECT 'named by a ticket', a.schedule_id, a.reservation_id
          FROM reservations_archive a
          JOIN tickets t ON t.schedule_id = a.schedule_id AND t.reservation_id = a.reservation_id
         UNION ALL
        SELECT 'named by a payment', a.schedule_id, a.reservation_id
          FROM reservations_archive a
          JOIN payments p ON p.schedule_id = a.schedule_id AND p.reservation_id = a.reservation_id) x
 LIMIT 20;

-- name: closed_reservation_will_be_archived
-- Every reservation that ended unpaid is queued for the archive, and none is older than the archive's
-- progress.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.closed_at, l.listed_at,
       p.closed_before
  FROM reservations r
  LEFT JOIN (SELECT c.schedule_id, i.id, min(c.closed_at) AS listed_at
               FROM closed_reservations c
              CROSS JOIN LATERAL unnest(c.reservation_ids) i (id)
              GROUP BY c.schedule_id, i.id) l
    ON l.schedule_id = r.schedule_id
   AND l.id = r.reservation_id
  LEFT JOIN archive_progress p
    ON p.kind = 'reservations'
 WHERE r.status IN ('EXPIRED', 'CANCELLED')
   AND (l.id IS NULL OR r.closed_at < p.closed_before)
 LIMIT 20;

-- name: event_has_its_cause
-- Every outbox event has a reservation in a possible status, a payment or a top-up, with the same user,
-- seats, amount and currency.
SELECT count(*) OVER () AS violations, o.batch_id, o.at, o.topic, o.scope_id, o.subject_id, o.user_id,
       r.status AS reservation_status
  FROM (SELECT b.batch_id, b.topic, b.scope_id, b.currency, b.expires_at, e.*,
               b.seat_ids[coalesce(b.seats_to[e.at - 1], 0) + 1:b.seats_to[e.at]] AS seat_ids
          FROM outbox b
         CROSS JOIN LATERAL unnest(b.subject_ids, b.user_ids, b.reservation_ids, b.amounts_minor)
                    WITH ORDINALITY e (subject_id, user_id, reservation_id, amount_minor, at)) o
  LEFT JOIN (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.amount_minor, r.currency,
                    r.seat_ids
               FROM reservations r
              UNION ALL
             SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.amount_minor, a.currency,
                    a.seat_ids
               FROM reservations_archive a) r
    ON o.topic LIKE 'reservation.%'
   AND r.schedule_id = o.scope_id
   AND r.reservation_id = o.subject_id
   AND r.user_id = o.user_id
  LEFT JOIN payments p
    ON o.topic IN ('payment.succeeded', 'payment.refunded')
   AND p.schedule_id = o.scope_id
   AND p.payment_id = o.subject_id
   AND p.user_id = o.user_id
  LEFT JOIN transfers t
    ON o.topic = 'wallet.charged'
   AND t.transfer_id = o.subject_id
   AND t.user_id = o.user_id
  LEFT JOIN refunds f
    ON o.topic IN ('refund.succeeded', 'refund.failed')
   AND f.refund_id = o.subject_id
   AND f.user_id = o.user_id
  LEFT JOIN disputes d
    ON o.topic IN ('dispute.opened', 'dispute.closed')
   AND d.dispute_id = o.subject_id
   AND d.user_id = o.user_id
  LEFT JOIN schedule_changes h
    ON o.topic LIKE 'schedule.%'
   AND h.schedule_id = o.scope_id
   AND h.change_id = o.subject_id
   AND h.asked_by = o.user_id
 WHERE (CASE o.topic
        WHEN 'reservation.held' THEN
            o.amount_minor = r.amount_minor AND o.currency = r.currency
            AND o.seat_ids = r.seat_ids AND o.expires_at IS NOT NULL
        WHEN 'reservation.confirmed' THEN
            r.status IN ('CONFIRMED', 'REFUNDED') AND o.amount_minor = r.amount_minor AND o.currency = r.currency
            AND o.seat_ids = r.seat_ids
        WHEN 'reservation.expired' THEN r.status = 'EXPIRED' AND o.seat_ids = r.seat_ids
        WHEN 'reservation.cancelled' THEN r.status = 'CANCELLED' AND o.seat_ids = r.seat_ids
        WHEN 'payment.succeeded' THEN
            o.amount_minor = p.amount_minor AND o.currency = p.currency
            AND o.reservation_id = p.reservation_id
        WHEN 'payment.refunded' THEN
            o.currency = p.currency AND o.reservation_id = p.reservation_id
            AND EXISTS (SELECT FROM refunds f
                         WHERE f.payment_id = p.payment_id AND f.schedule_id = p.schedule_id
                           AND f.amount_minor = o.amount_minor AND f.seat_ids = o.seat_ids)
        WHEN 'refund.succeeded' THEN
            f.closed_at IS NOT NULL OR f.failure IS NOT NULL
        WHEN 'refund.failed' THEN
            f.failure IS NOT NULL AND o.amount_minor = f.amount_minor
        WHEN 'payment.late' THEN
            EXISTS (SELECT FROM refunds f
                     WHERE f.user_id = o.user_id AND f.intent_id = o.subject_id AND f.reason = 'late'
                       AND f.amount_minor = o.amount_minor AND f.currency = o.currency)
        WHEN 'dispute.opened' THEN
            o.amount_minor = d.amount_minor AND o.currency = d.currency
        WHEN 'dispute.closed' THEN
            d.status <> 'OPEN' AND o.amount_minor = d.amount_minor
        WHEN 'schedule.changed' THEN h.kind = 'CHANGED'
        WHEN 'schedule.postponed' THEN h.kind = 'POSTPONED'
        WHEN 'schedule.cancelled' THEN h.kind = 'CANCELLED'
        WHEN 'wallet.charged' THEN
            t.kind IN ('charge', 'top_up') AND o.amount_minor = t.amount_minor AND o.currency = t.currency
        END) IS NOT TRUE
 LIMIT 20;

-- name: hold_will_be_found_when_it_lapses
-- Every hold is on the sweeper's list, no later than its seats return.
SELECT count(*) OVER () AS violations, r.schedule_id, r.reservation_id, r.expires_at
  FROM reservations r
  LEFT JOIN (SELECT h.schedule_id, l.reservation_id, min(h.expires_at) AS due_at
               FROM lapsing_holds h
              CROSS JOIN LATERAL unnest(h.reservation_ids) l (reservation_id)
              GROUP BY h.schedule_id, l.reservation_id) h
    ON h.schedule_id = r.schedule_id
   AND h.reservation_id = r.reservation_id
  LEFT JOIN schedules c
    ON c.schedule_id = r.schedule_id
 WHERE r.status = 'HELD'
   AND (h.due_at <= r.expires_at + make_interval(secs => c.seats_return_delay_max_s + c.waiting_list_turn_s)) IS NOT TRUE
 LIMIT 20;

-- name: payment_names_its_tickets
-- A payment lists its tickets, each once, in the order of its reservation's seats.
SELECT count(*) OVER () AS violations, p.schedule_id, p.payment_id, p.ticket_ids, t.ticket_ids AS issued
  FROM payments p
  LEFT JOIN reservations r
    ON r.schedule_id = p.schedule_id
   AND r.reservation_id = p.reservation_id
  LEFT JOIN (SELECT t.schedule_id, t.payment_id, array_agg(t.ticket_id ORDER BY t.position) AS ticket_ids,
                    array_agg(t.seat_id ORDER BY t.position) AS seat_ids
               FROM tickets t
              GROUP BY t.schedule_id, t.payment_id) t
    ON t.schedule_id = p.schedule_id
   AND t.payment_id = p.payment_id
 WHERE (p.ticket_ids = t.ticket_ids AND r.seat_ids = t.seat_ids) IS NOT TRUE
 LIMIT 20;

-- name: idempotency_key_is_used_once
-- No user used an Idempotency-Key twice for holds or payments of a schedule, or for top-ups.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'hold' AS operation, r.schedule_id, r.user_id, r.idempotency_key, count(*) AS uses
          FROM (SELECT k.schedule_id, k.user_id, k.idempotency_key FROM reservations k
                 UNION ALL
                SELECT k.schedule_id, k.user_id, k.idempotency_key FROM reservations_archive k) r
         GROUP BY r.schedule_id, r.user_id, r.idempotency_key
        HAVING count(*) > 1
         UNION ALL
        SELECT 'payment', p.schedule_id, p.user_id, p.idempotency_key, count(*)
          FROM payments p
         GROUP BY p.schedule_id, p.user_id, p.idempotency_key
        HAVING count(*) > 1
         UNION ALL
        SELECT 'charge', NULL, t.user_id, t.idempotency_key, count(*)
          FROM transfers t
         WHERE t.idempotency_key IS NOT NULL
         GROUP BY t.user_id, t.idempotency_key
        HAVING count(*) > 1) x
 LIMIT 20;

-- name: schedule_exists
-- Seats, reservations, tickets, payments and their transfers have an existing schedule; the hot tables
-- have no foreign key to it.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'seats' AS kind, s.schedule_id, count(*) AS rows
          FROM seats s GROUP BY s.schedule_id
         UNION ALL
        SELECT 'reservations', r.schedule_id, count(*) FROM reservations r GROUP BY r.schedule_id
         UNION ALL
        SELECT 'tickets', t.schedule_id, count(*) FROM tickets t GROUP BY t.schedule_id
         UNION ALL
        SELECT 'payments', p.schedule_id, count(*) FROM payments p GROUP BY p.schedule_id
         UNION ALL
        SELECT 'transfers', t.schedule_id, count(*)
          FROM transfers t WHERE t.schedule_id IS NOT NULL GROUP BY t.schedule_id
         UNION ALL
        SELECT 'ledger_entries', e.schedule_id, count(*)
          FROM ledger_entries e WHERE e.schedule_id IS NOT NULL GROUP BY e.schedule_id) x
 WHERE NOT EXISTS (SELECT FROM schedules c WHERE c.schedule_id = x.schedule_id)
 LIMIT 20;

-- name: owner_exists
-- Reservations, payments, tickets and transfers have an existing user.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT 'reservations' AS kind, r.user_id, count(*) AS rows FROM reservations r GROUP BY r.user_id
         UNION ALL
        SELECT 'tickets', t.user_id, count(*) FROM tickets t GROUP BY t.user_id
         UNION ALL
        SELECT 'payments', p.user_id, count(*) FROM payments p GROUP BY p.user_id
         UNION ALL
        SELECT 'transfers', t.user_id, count(*) FROM transfers t GROUP BY t.user_id
         UNION ALL
        SELECT 'refunds', f.user_id, count(*) FROM refunds f GROUP BY f.user_id) x
 WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = x.user_id)
 LIMIT 20;

-- name: guarding_indexes_are_in_place
-- The unique indexes that enforce invariants exist, are valid, and cover the right columns.
SELECT count(*) OVER () AS violations, g.*
  FROM (VALUES
        ('users', 'users_email_unique', 'email', NULL),
        ('seats', 'seats_pkey', 'schedule_id, seat_id', NULL),
        ('seats', 'seats_place_unique', 'section, row_label, number, schedule_id', NULL),
        ('reservations', 'reservations_pkey', 'schedule_id, reservation_id', NULL),
        ('reservations', 'reservations_key_unique', 'user_id, schedule_id, idempotency_key', NULL),
        ('tickets', 'tickets_pkey', 'schedule_id, ticket_id', NULL),
        ('tickets', 'tickets_one_live_per_seat', 'schedule_id, seat_id', '(status <> ''VOID''::text)'),
        ('wallets', 'wallets_pkey', 'user_id', NULL),
        ('transfers', 'transfers_pkey', 'user_id, transfer_id', NULL),
        ('transfers', 'transfers_key_unique', 'user_id, idempotency_key',
         '(idempotency_key IS NOT NULL)'),
        ('ledger_entries', 'ledger_entries_pkey', 'user_id, transfer_id, leg', NULL),
        ('payments', 'payments_pkey', 'schedule_id, payment_id', NULL),
        ('payments', 'payments_once_per_reservation', 'reservation_id, schedule_id', NULL),
        ('payments', 'payments_key_unique', 'user_id, schedule_id, idempotency_key', NULL),
        ('provider_transactions', 'provider_transactions_pkey', 'provider, transaction_key', NULL),
        ('provider_transactions', 'provider_transactions_once_per_transfer', 'user_id, transfer_id', NULL),
        ('refunds', 'refunds_pkey', 'user_id, refund_id', NULL),
        ('refunds', 'refunds_key_unique', 'user_id, idempotency_key', NULL),
        ('outbox', 'outbox_pkey', 'batch_id, scope_id', NULL),
        ('schedule_buyers', 'schedule_buyers_pkey', 'schedule_id, user_id', NULL),
        ('reservations_archive', 'reservations_archive_pkey', 'schedule_id, reservation_id', NULL),
        ('reservations_archive', 'reservations_archive_key_unique',
         'user_id, schedule_id, idempotency_key', NULL),
        ('schedules', 'schedules_one_per_instant', 'concert_id, starts_at', '(NOT predates_rules)')
       ) g (table_name, index_name, columns, predicate)
 WHERE NOT EXISTS (
       SELECT FROM pg_index i
        WHERE i.indrelid = to_regclass(g.table_name)
          AND i.indexrelid = to_regclass(g.index_name)
          AND i.indisunique AND i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate
          AND pg_get_expr(i.indpred, i.indrelid) IS NOT DISTINCT FROM g.predicate
          AND g.columns = (SELECT string_agg(a.attname, ', ' ORDER BY k.at)
                             FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, at)
                             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                            WHERE k.at <= i.indnkeyatts))
 LIMIT 20;

-- name: guarding_constraints_are_in_place
-- The constraints that enforce invariants exist, with their rule, and are validated.
SELECT count(*) OVER () AS violations, g.*
  FROM (VALUES
        ('wallets', 'wallets_never_negative', 'CHECK ((balance_minor >= 0))'),
        ('transfers', 'transfers_amount_positive', 'CHECK ((amount_minor > 0))'),
        ('ledger_entries', 'ledger_entries_moves_something', 'CHECK ((amount_minor <> 0))'),
        ('reservations', 'reservations_has_seats', 'CHECK ((cardinality(seat_ids) > 0))'),
        ('reservations', 'reservations_amount_not_negative', 'CHECK ((amount_minor >= 0))'),
        ('reservations', 'reservations_status_known', NULL),
        ('seats', 'seats_state_agrees', NULL),
        ('seats', 'seats_price_not_negative', NULL),
        ('tickets', 'tickets_status_known', NULL),
        ('payments', 'payments_status_known', NULL),
        ('schedules', 'schedules_opens_before_start',
         'CHECK ((predates_rules OR (sale_opens_at < starts_at)))')
       ) g (table_name, constraint_name, rule)
 WHERE NOT EXISTS (
       SELECT FROM pg_constraint c
        WHERE c.conrelid = to_regclass(g.table_name)
          AND c.conname = g.constraint_name
          AND c.convalidated
          AND to_jsonb(c) ->> 'conenforced' IS DISTINCT FROM 'false'
          AND pg_get_constraintdef(c.oid) = coalesce(g.rule, pg_get_constraintdef(c.oid)))
 LIMIT 20;

-- name: guarding_triggers_are_enabled
-- The triggers that keep the ledger balanced, and ledger and activity log append-only, and that number orders,
-- exist, are enabled, and call their function.
SELECT count(*) OVER () AS violations, g.*
  FROM (VALUES
        ('transfers', 'transfers_have_entries', 'transfers_have_entries'),
        ('ledger_entries', 'ledger_entries_balanced', 'ledger_entries_balanced'),
        ('transfers', 'transfers_append_only', 'ledger_append_only'),
        ('ledger_entries', 'ledger_entries_append_only', 'ledger_append_only'),
        ('provider_calls', 'provider_calls_append_only', 'ledger_append_only'),
        ('provider_answers', 'provider_answers_append_only', 'ledger_append_only'),
        ('provider_transactions', 'provider_transactions_append_only', 'ledger_append_only'),
        ('refund_policies', 'refund_policies_append_only', 'ledger_append_only'),
        ('logbook', 'logbook_append_only', 'logbook_append_only'),
        ('reservations', 'reservations_order_number', 'order_numbers_of_confirmed'),
        ('ticket_issues', 'ticket_issues_order_number', 'order_numbers_of_confirmed')
       ) g (table_name, trigger_name, function_name)
 WHERE NOT EXISTS (
       SELECT FROM pg_trigger t
        WHERE t.tgrelid = to_regclass(g.table_name)
          AND t.tgname = g.trigger_name
          AND t.tgenabled IN ('O', 'A')
          AND t.tgfoid = to_regproc(g.function_name))
 LIMIT 20;

-- name: sessions_are_durable
-- A default session waits for the disk at commit, its triggers fire, and the server writes what a power
-- failure needs, by the settings of role, database and system.
SELECT count(*) OVER () AS violations, g.*
  FROM (VALUES
        ('synchronous_commit', current_setting('synchronous_commit'), ARRAY['on', 'remote_apply']),
        ('fsync', current_setting('fsync'), ARRAY['on']),
        ('full_page_writes', current_setting('full_page_writes'), ARRAY['on']),
        ('session_replication_role', current_setting('session_replication_role'), ARRAY['origin'])
       ) g (setting, value, expected)
 WHERE g.value <> ALL (g.expected)
 LIMIT 20;

-- name: queue_numbers_in_bounds
-- Every admission has a reserved number, and no number is admitted twice.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT a.schedule_id, a.number, a.user_id, 'not reserved' AS what
          FROM queue_admissions a
          LEFT JOIN queue_rooms r ON r.schedule_id = a.schedule_id
         WHERE a.number < 1 OR a.number > coalesce(r.numbers_to, 0)
         UNION ALL
        SELECT a.schedule_id, a.number, (array_agg(a.user_id))[1], 'twice'
          FROM queue_admissions a
         GROUP BY a.schedule_id, a.number
        HAVING count(*) > 1) x
 LIMIT 20;

-- name: queue_order_kept
-- Every admission follows the call of its place; no two users have one place; outside the lobby the
-- place is the number.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT a.schedule_id, a.number, a.place, a.called, 'not called' AS what
          FROM queue_admissions a
         WHERE a.place > a.called
         UNION ALL
        SELECT a.schedule_id, min(a.number), a.place, max(a.called), 'one place'
          FROM queue_admissions a
         GROUP BY a.schedule_id, a.place
        HAVING count(*) > 1
         UNION ALL
        SELECT a.schedule_id, a.number, a.place, a.called, 'not the number'
          FROM queue_admissions a
          LEFT JOIN queue_rooms r ON r.schedule_id = a.schedule_id
         WHERE a.number > coalesce(r.lobby_size, 0) AND a.place <> a.number) x
 LIMIT 20;

-- name: queue_person_inside_once
-- No user is inside twice at a time.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT a.schedule_id, a.user_id, a.number, a.admitted_at,
               lag(least(a.ended_at, a.leaves_at)) OVER (
                   PARTITION BY a.schedule_id, a.user_id ORDER BY a.admitted_at, a.number) AS before
          FROM queue_admissions a) x
 WHERE x.before > x.admitted_at
 LIMIT 20;

-- name: queue_cap_kept
-- At every admission the count of users inside was within the cap.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT m.schedule_id, m.number, m.at, m.inside_max,
               sum(m.change) OVER (
                   PARTITION BY m.schedule_id ORDER BY m.at, m.change, m.number
                   ROWS UNBOUNDED PRECEDING) AS inside
          FROM (SELECT a.schedule_id, a.number, a.admitted_at AS at, 1 AS change, a.inside_max
                  FROM queue_admissions a
                 UNION ALL
                SELECT a.schedule_id, a.number, least(a.ended_at, a.leaves_at), -1, NULL
                  FROM queue_admissions a) m) x
 WHERE x.inside > x.inside_max
 LIMIT 20;

-- name: one_schedule_per_instant
-- No concert has two performances at one time, and every sale opens before its performance. Rows older
-- than these rules are exempt.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT s.concert_id, min(s.schedule_id::text)::uuid AS schedule_id, s.starts_at, 'twice' AS what
          FROM schedules s
         WHERE NOT s.predates_rules
         GROUP BY s.concert_id, s.starts_at
        HAVING count(*) > 1
         UNION ALL
        SELECT s.concert_id, s.schedule_id, s.starts_at, 'opens too late'
          FROM schedules s
         WHERE NOT s.predates_rules AND s.sale_opens_at >= s.starts_at) x
 LIMIT 20;

-- name: hold_within_its_sale
-- No hold was made after the performance began or the sale closed. An organizer's close counts a minute
-- after its entry, because a concurrent hold may have seen the sale open. Organizers issue tickets at any time.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT r.schedule_id, r.reservation_id, r.created_at,
               CASE WHEN r.created_at >= s.starts_at THEN 'has begun'
                    WHEN r.created_at >= s.sale_closes_at THEN 'over'
                    ELSE 'closed' END AS what
          FROM reservations r
          JOIN schedules s ON s.schedule_id = r.schedule_id
          LEFT JOIN (
               SELECT l.schedule_id, max(l.written_at) AS at
                 FROM logbook l
                WHERE l.action = 'schedule.closed'
                GROUP BY l.schedule_id) c ON c.schedule_id = s.schedule_id AND s.status = 'CLOSED'
         WHERE r.created_at >= least(s.starts_at, s.sale_closes_at, c.at + interval '1 minute')
           AND NOT EXISTS (SELECT FROM ticket_issues i
                            WHERE i.schedule_id = r.schedule_id AND i.reservation_id = r.reservation_id)) x
 LIMIT 20;

-- name: queue_hold_within_stay
-- No hold was made after its user left the waiting room, unless admitted again. Ten seconds allow for a
-- hold in flight; rooms whose mode has changed since are exempt.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT r.schedule_id, r.reservation_id, r.user_id, r.created_at, min(a.admitted_at) AS admitted_at
          FROM queue_admissions a
          JOIN queue_rooms q ON q.schedule_id = a.schedule_id AND q.mode <> 'off'
          JOIN reservations r ON r.schedule_id = a.schedule_id AND r.user_id = a.user_id
         GROUP BY r.schedule_id, r.reservation_id, r.user_id, r.created_at
        HAVING min(a.admitted_at) < r.created_at
           AND NOT bool_or(r.created_at BETWEEN a.admitted_at - interval '10 s'
                               AND least(a.ended_at, a.leaves_at) + interval '10 s')) x
 WHERE NOT EXISTS (
       SELECT FROM logbook l
        WHERE l.schedule_id = x.schedule_id
          AND l.action = 'queue.changed'
          AND l.details ? 'mode'
          AND l.written_at > x.admitted_at)
 LIMIT 20;

-- name: seats_look_different
-- No two seats of a schedule differ only in the case, width or form of section and row.
SELECT count(*) OVER () AS violations, x.schedule_id, x.section, x.row_label, x.number, x.seat_ids
  FROM (SELECT s.schedule_id, min(s.section) AS section, min(s.row_label) AS row_label, s.number,
               array_agg(s.seat_id ORDER BY s.ordinal) AS seat_ids
          FROM seats s
         GROUP BY s.schedule_id, lower(normalize(s.section, NFKC)), lower(normalize(s.row_label, NFKC)),
                  s.number
        HAVING count(*) > 1) x
 LIMIT 20;

-- name: taken_down_is_not_on_sale
-- No sale of a concert is open that an operator has taken down.
SELECT count(*) OVER () AS violations, c.concert_id, s.schedule_id, c.taken_down_at
  FROM concerts c
  JOIN schedules s ON s.concert_id = c.concert_id AND s.status = 'OPEN'
 WHERE c.taken_down_at IS NOT NULL
 LIMIT 20;

-- name: void_ticket_has_its_refund
-- A ticket is void if and only if exactly one refund lists it with its seat, and that refund is of its
-- payment and owner; one without a payment if and only if its issue is void.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(t.schedule_id, f.schedule_id) AS schedule_id,
               coalesce(t.ticket_id, f.ticket_id) AS ticket_id, t.status, coalesce(f.refunds, 0) AS refunds,
               coalesce(f.fitting, false) AS fitting, t.payment_id,
               (SELECT i.voided_at IS NOT NULL FROM ticket_issues i
                 WHERE i.schedule_id = t.schedule_id AND i.reservation_id = t.reservation_id) AS issue_is_void
          FROM tickets t
          FULL JOIN (SELECT f.schedule_id, l.ticket_id, count(*) AS refunds,
                            bool_and(t.payment_id = f.payment_id AND t.user_id = f.user_id
                                     AND t.seat_id = l.seat_id) AS fitting
                       FROM refunds f
                      CROSS JOIN LATERAL unnest(f.ticket_ids, f.seat_ids) l (ticket_id, seat_id)
                       LEFT JOIN tickets t
                         ON t.schedule_id = f.schedule_id
                        AND t.ticket_id = l.ticket_id
                      GROUP BY f.schedule_id, l.ticket_id) f
            ON f.schedule_id = t.schedule_id
           AND f.ticket_id = t.ticket_id) x
 WHERE (CASE WHEN x.status = 'VOID' AND x.payment_id IS NULL THEN x.refunds = 0 AND x.issue_is_void
             WHEN x.status = 'VOID' THEN x.refunds = 1 AND x.fitting AND x.issue_is_void IS NOT FALSE
             ELSE x.refunds = 0 AND x.issue_is_void IS NOT TRUE END) IS NOT TRUE
 LIMIT 20;

-- name: refund_is_the_price
-- What is refunded and kept of a payment is the price of its void tickets at the sale, in its currency. Where
-- a price changed within a minute after the hold's time, either price is right.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT p.schedule_id, p.payment_id, p.amount_minor, coalesce(f.back_minor, 0) AS back_minor,
               coalesce(v.low_minor, 0) AS low_minor, coalesce(v.high_minor, 0) AS high_minor, p.currency,
               f.currency AS refund_currency
          FROM payments p
          LEFT JOIN (SELECT f.schedule_id, f.payment_id, sum(f.amount_minor + f.fee_minor) AS back_minor,
                            min(f.currency) AS currency
                       FROM refunds f
                      GROUP BY f.schedule_id, f.payment_id) f
            ON f.schedule_id = p.schedule_id
           AND f.payment_id = p.payment_id
          LEFT JOIN (SELECT t.schedule_id, t.payment_id,
                            sum(coalesce(l.paid_minor, h.low_minor, s.price_minor)) AS low_minor,
                            sum(coalesce(l.paid_minor, h.high_minor, s.price_minor)) AS high_minor
                       FROM tickets t
                       JOIN seats s
                         ON s.schedule_id = t.schedule_id
                        AND s.seat_id = t.seat_id
                       LEFT JOIN reservations r
                         ON r.schedule_id = t.schedule_id
                        AND r.reservation_id = t.reservation_id
                       LEFT JOIN (SELECT DISTINCT h.schedule_id, h.seat_id FROM seat_price_changes h) d
                         ON d.schedule_id = s.schedule_id
                        AND d.seat_id = s.seat_id
                       LEFT JOIN LATERAL (
                            SELECT min(v.minor) AS low_minor, max(v.minor) AS high_minor
                              FROM (SELECT h.price_minor AS minor
                                      FROM seat_price_changes h
                                     WHERE h.schedule_id = d.schedule_id AND h.seat_id = d.seat_id
                                       AND h.changed_at BETWEEN r.created_at
                                           AND r.created_at + interval '1 minute'
                                     UNION ALL
                                    SELECT coalesce(
                                           (SELECT h.price_minor
                                              FROM seat_price_changes h
                                             WHERE h.schedule_id = d.schedule_id AND h.seat_id = d.seat_id
                                               AND h.changed_at > r.created_at + interval '1 minute'
                                             ORDER BY h.version LIMIT 1), s.price_minor)) v
                             WHERE d.seat_id IS NOT NULL) h ON true
                       LEFT JOIN (SELECT o.schedule_id, o.reservation_id, x.seat_id,
                                         x.price_minor - x.discount_minor + x.fee_minor AS paid_minor
                                    FROM reservation_offers o
                                    JOIN reservations r
                                      ON r.schedule_id = o.schedule_id
                                     AND r.reservation_id = o.reservation_id
                                   CROSS JOIN LATERAL unnest(
                                             r.seat_ids, o.prices_minor, o.discounts_minor, o.fees_minor)
                                             x (seat_id, price_minor, discount_minor, fee_minor)) l
                         ON l.schedule_id = t.schedule_id
                        AND l.reservation_id = t.reservation_id
                        AND l.seat_id = t.seat_id
                      WHERE t.status = 'VOID'
                      GROUP BY t.schedule_id, t.payment_id) v
            ON v.schedule_id = p.schedule_id
           AND v.payment_id = p.payment_id) x
 WHERE x.back_minor NOT BETWEEN x.low_minor AND x.high_minor OR x.back_minor > x.amount_minor OR x.refund_currency <> x.currency
 LIMIT 20;

-- name: refund_has_its_entries
-- The entries of a person's refunds, by currency, are what the refunds say: what is owed, kept and paid beside.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(f.user_id, e.user_id) AS user_id, coalesce(f.currency, e.currency) AS currency,
               coalesce(f.refunded, 0) AS refunded, coalesce(e.refunded, 0) AS entered_refunded,
               coalesce(f.late, 0) AS late, coalesce(e.late, 0) AS entered_late,
               coalesce(f.fees, 0) AS fees, coalesce(e.fees, 0) AS entered_fees,
               coalesce(f.compensation, 0) AS compensation, coalesce(e.compensation, 0) AS entered_compensation
          FROM (SELECT f.user_id, f.currency,
                       sum(f.amount_minor) FILTER (WHERE f.reason <> 'late') AS refunded,
                       sum(f.amount_minor) FILTER (WHERE f.reason = 'late') AS late,
                       sum(f.fee_minor) AS fees, sum(f.compensation_minor) AS compensation
                  FROM refunds f
                 GROUP BY f.user_id, f.currency) f
          FULL JOIN (SELECT t.user_id, t.currency,
                            sum(e.amount_minor) FILTER (
                                WHERE t.kind = 'refund' AND e.account = 'refunds_due') AS refunded,
                            sum(e.amount_minor) FILTER (
                                WHERE t.kind = 'late' AND e.account = 'refunds_due') AS late,
                            sum(e.amount_minor) FILTER (
                                WHERE t.kind = 'refund' AND e.account = 'fees') AS fees,
                            sum(e.amount_minor) FILTER (
                                WHERE t.kind = 'compensation' AND e.account = 'wallet') AS compensation
                       FROM transfers t
                       JOIN ledger_entries e
                         ON e.user_id = t.user_id
                        AND e.transfer_id = t.transfer_id
                      WHERE t.kind IN ('refund', 'late', 'compensation')
                      GROUP BY t.user_id, t.currency) e
            ON e.user_id = f.user_id
           AND e.currency = f.currency) x
 WHERE x.refunded <> x.entered_refunded OR x.late <> x.entered_late OR x.fees <> x.entered_fees
    OR x.compensation <> x.entered_compensation
 LIMIT 20;

-- name: refunds_due_is_owed
-- What the ledger owes a person, by currency, is the sum of the refunds that are not done.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(e.user_id, f.user_id) AS user_id, coalesce(e.currency, f.currency) AS currency,
               coalesce(e.due_minor, 0) AS due_minor, coalesce(f.owed_minor, 0) AS owed_minor
          FROM (SELECT e.user_id, e.currency, sum(e.amount_minor) AS due_minor
                  FROM ledger_entries e
                 WHERE e.account = 'refunds_due'
                 GROUP BY e.user_id, e.currency) e
          FULL JOIN (SELECT f.user_id, f.currency, sum(f.amount_minor) AS owed_minor
                       FROM refunds f
                      WHERE f.status <> 'DONE'
                      GROUP BY f.user_id, f.currency) f
            ON f.user_id = e.user_id
           AND f.currency = e.currency) x
 WHERE x.due_minor <> x.owed_minor
 LIMIT 20;

-- name: refund_under_way_has_work
-- A refund that a provider has to pay is on the cashier's list; one that waits for a person is not.
SELECT count(*) OVER () AS violations, f.user_id, f.refund_id, f.status, w.due_at
  FROM refunds f
  LEFT JOIN cashier_work w
    ON w.kind = 'refund'
   AND w.subject_id = f.refund_id
   AND w.user_id = f.user_id
 WHERE (f.status = 'PENDING') <> (w.subject_id IS NOT NULL)
 LIMIT 20;

-- name: suspense_is_settled
-- A person's suspense, by currency, is what intents captured late that are not yet sold or returned; it is
-- empty when all intents are final.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(e.user_id, i.user_id) AS user_id, coalesce(e.currency, i.currency) AS currency,
               coalesce(e.suspense_minor, 0) AS suspense_minor, coalesce(i.open_minor, 0) AS open_minor
          FROM (SELECT e.user_id, e.currency, sum(e.amount_minor) AS suspense_minor
                  FROM ledger_entries e
                 WHERE e.account = 'suspense'
                 GROUP BY e.user_id, e.currency) e
          FULL JOIN (SELECT i.user_id, i.currency, sum(i.amount_minor) AS open_minor
                       FROM payment_intents i
                      WHERE i.status = 'CAPTURED_LATE'
                      GROUP BY i.user_id, i.currency) i
            ON i.user_id = e.user_id
           AND i.currency = e.currency) x
 WHERE x.suspense_minor <> x.open_minor
 LIMIT 20;

-- name: cash_is_the_providers
-- For each provider and currency, the cash of its transfers is the negative sum of its transactions.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(e.provider, p.provider) AS provider, coalesce(e.currency, p.currency) AS currency,
               coalesce(e.cash_minor, 0) AS cash_minor, coalesce(p.moved_minor, 0) AS moved_minor
          FROM (SELECT t.provider, e.currency, sum(e.amount_minor) AS cash_minor
                  FROM transfers t
                  JOIN ledger_entries e
                    ON e.user_id = t.user_id
                   AND e.transfer_id = t.transfer_id
                 WHERE t.provider IS NOT NULL AND e.account = 'cash'
                 GROUP BY t.provider, e.currency) e
          FULL JOIN (SELECT p.provider, p.currency,
                            sum(CASE WHEN p.kind IN ('capture', 'refund_failed', 'dispute_won')
                                     THEN p.amount_minor ELSE -p.amount_minor END) AS moved_minor
                       FROM provider_transactions p
                      GROUP BY p.provider, p.currency) p
            ON p.provider = e.provider
           AND p.currency = e.currency) x
 WHERE -x.cash_minor <> x.moved_minor
 LIMIT 20;

-- name: provider_transaction_has_its_transfer
-- A transaction of a provider has a transfer of the same provider, amount, currency and direction, and a
-- transfer that names a provider has its transaction.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT p.provider, p.transaction_key, coalesce(p.user_id, t.user_id) AS user_id,
               coalesce(p.transfer_id, t.transfer_id) AS transfer_id, p.kind, t.kind AS transfer_kind,
               (p.provider = t.provider AND p.amount_minor = t.amount_minor AND p.currency = t.currency
                AND t.kind = CASE p.kind WHEN 'refund' THEN 'refund_paid' ELSE p.kind END) AS fitting
          FROM provider_transactions p
          FULL JOIN (SELECT t.* FROM transfers t WHERE t.provider IS NOT NULL) t
            ON t.user_id = p.user_id
           AND t.transfer_id = p.transfer_id) x
 WHERE x.fitting IS NOT TRUE
 LIMIT 20;

-- name: intent_has_its_end
-- An intent that succeeded has its payment of the same owner, reservation, amount and currency, unless it
-- topped up a wallet; one whose money is returned has a refund, which is done once it is returned.
SELECT count(*) OVER () AS violations, i.user_id, i.intent_id, i.purpose, i.status, p.payment_id,
       f.refunds, f.done
  FROM payment_intents i
  LEFT JOIN payments p
    ON p.schedule_id = i.schedule_id
   AND p.payment_id = i.payment_id
   AND p.user_id = i.user_id
   AND p.reservation_id = i.reservation_id
   AND p.amount_minor = i.amount_minor
   AND p.currency = i.currency
   AND p.method = i.provider
  LEFT JOIN (SELECT f.user_id, f.intent_id, count(*) AS refunds, bool_and(f.status = 'DONE') AS done
               FROM refunds f
              GROUP BY f.user_id, f.intent_id) f
    ON f.user_id = i.user_id
   AND f.intent_id = i.intent_id
 WHERE (CASE i.status
        WHEN 'SUCCEEDED' THEN i.purpose = 'top_up' OR p.payment_id IS NOT NULL
        WHEN 'RETURNING' THEN f.refunds > 0
        WHEN 'RETURNED' THEN f.refunds > 0
        ELSE true END) IS NOT TRUE
 LIMIT 20;

-- name: disputes_are_what_is_withdrawn
-- The account of disputes of a person, by currency, is what providers hold of open disputes.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT coalesce(e.user_id, d.user_id) AS user_id, coalesce(e.currency, d.currency) AS currency,
               coalesce(e.disputes_minor, 0) AS disputes_minor, coalesce(d.withdrawn_minor, 0) AS withdrawn_minor
          FROM (SELECT e.user_id, e.currency, sum(e.amount_minor) AS disputes_minor
                  FROM ledger_entries e
                 WHERE e.account = 'disputes'
                 GROUP BY e.user_id, e.currency) e
          FULL JOIN (SELECT d.user_id, d.currency, sum(d.withdrawn_minor) AS withdrawn_minor
                       FROM disputes d
                      GROUP BY d.user_id, d.currency) d
            ON d.user_id = e.user_id
           AND d.currency = e.currency) x
 WHERE -x.disputes_minor <> x.withdrawn_minor
 LIMIT 20;

-- name: policy_of_a_payment_exists
-- The version of the refund policy that a payment names exists, and was made before the payment.
SELECT count(*) OVER () AS violations, p.schedule_id, p.payment_id, p.refund_policy_version, f.created_at
  FROM payments p
  LEFT JOIN refund_policies f
    ON f.schedule_id = p.schedule_id
   AND f.version = p.refund_policy_version
 WHERE p.refund_policy_version IS NOT NULL
   AND (f.created_at <= p.created_at) IS NOT TRUE
 LIMIT 20;

-- name: offer_lines_fit_the_reservation
-- The prices of a reservation are one per seat; no price is negative, no discount exceeds its price, and a
-- schedule with offers has prices for each hold that its offers decided.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT o.schedule_id, o.reservation_id, o.user_id, cardinality(o.prices_minor) AS lines,
               cardinality(r.seat_ids) AS seats
          FROM reservation_offers o
          JOIN (SELECT r.schedule_id, r.reservation_id, r.user_id, r.seat_ids
                  FROM reservations r
                 UNION ALL
                SELECT a.schedule_id, a.reservation_id, a.user_id, a.seat_ids
                  FROM reservations_archive a) r
            ON r.schedule_id = o.schedule_id
           AND r.reservation_id = o.reservation_id
         WHERE cardinality(o.prices_minor) <> cardinality(r.seat_ids)
            OR o.user_id <> r.user_id
            OR EXISTS (SELECT
                         FROM unnest(o.prices_minor, o.discounts_minor, o.fees_minor)
                              l (price_minor, discount_minor, fee_minor)
                        WHERE l.discount_minor NOT BETWEEN 0 AND l.price_minor
                           OR l.price_minor < 0
                           OR l.fee_minor < 0)) x
 LIMIT 20;

-- name: code_is_used_within_its_limit
-- A code has at most as many live uses as it allows, and counts at least those; a use lives as long as its
-- hold, or as a ticket of its payment.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT k.schedule_id, k.code_hash, k.taken, k.uses_max, count(u.reservation_id) AS live
          FROM offer_codes k
          LEFT JOIN (SELECT o.schedule_id, o.reservation_id, o.code_hash
                       FROM reservation_offers o
                       JOIN reservations r
                         ON r.schedule_id = o.schedule_id
                        AND r.reservation_id = o.reservation_id
                      WHERE r.status = 'CONFIRMED'
                         OR (r.status = 'HELD' AND r.expires_at > $1::timestamptz)) u
            ON u.schedule_id = k.schedule_id
           AND u.code_hash = k.code_hash
         GROUP BY k.schedule_id, k.code_hash, k.taken, k.uses_max) x
 WHERE x.live > x.uses_max OR x.live > x.taken
 LIMIT 20;

-- name: channel_sells_within_its_quota
-- A channel with a quota has at most as many seats held and sold as it allows, and counts at least those.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT h.schedule_id, h.code, h.taken, h.quota, coalesce(sum(u.seats), 0) AS live
          FROM sales_channels h
          LEFT JOIN (SELECT o.schedule_id, o.channel,
                            cardinality(r.seat_ids) - coalesce(v.void, 0) AS seats
                       FROM reservation_offers o
                       JOIN reservations r
                         ON r.schedule_id = o.schedule_id
                        AND r.reservation_id = o.reservation_id
                       LEFT JOIN (SELECT t.schedule_id, t.reservation_id, count(*) AS void
                                    FROM tickets t
                                   WHERE t.status = 'VOID'
                                   GROUP BY t.schedule_id, t.reservation_id) v
                         ON v.schedule_id = r.schedule_id
                        AND v.reservation_id = r.reservation_id
                      WHERE r.status = 'CONFIRMED'
                         OR (r.status = 'HELD' AND r.expires_at > $1::timestamptz)) u
            ON u.schedule_id = h.schedule_id
           AND u.channel = h.code
         WHERE h.quota IS NOT NULL
         GROUP BY h.schedule_id, h.code, h.taken, h.quota) x
 WHERE x.live > x.quota OR x.live > x.taken
 LIMIT 20;

-- name: issue_has_its_tickets
-- An issue has its reservation of the concert's house account, and lists exactly its tickets. Complimentary
-- tickets have no payment, and those of the box office one in cash or at a card terminal; such a payment has
-- its issue.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT i.schedule_id, i.reservation_id, i.kind, r.status, p.method,
               array_agg(t.ticket_id ORDER BY t.position) AS tickets
          FROM ticket_issues i
          LEFT JOIN reservations r
            ON r.schedule_id = i.schedule_id
           AND r.reservation_id = i.reservation_id
          LEFT JOIN schedules s
            ON s.schedule_id = i.schedule_id
          LEFT JOIN house_accounts h
            ON h.concert_id = s.concert_id
           AND h.user_id = r.user_id
          LEFT JOIN payments p
            ON p.schedule_id = i.schedule_id
           AND p.reservation_id = i.reservation_id
          LEFT JOIN tickets t
            ON t.schedule_id = i.schedule_id
           AND t.reservation_id = i.reservation_id
         GROUP BY i.schedule_id, i.reservation_id, r.status, r.user_id, p.method, p.payment_id, h.user_id
        HAVING (r.user_id = h.user_id
                AND array_agg(t.ticket_id ORDER BY t.position) = i.ticket_ids
                AND bool_and(t.payment_id IS NOT DISTINCT FROM p.payment_id)
                AND CASE i.kind WHEN 'COMPLIMENTARY' THEN p.method IS NULL
                                ELSE p.method IN ('cash', 'card_terminal') END) IS NOT TRUE
         UNION ALL
        SELECT p.schedule_id, p.reservation_id, 'none', p.status, p.method, p.ticket_ids
          FROM payments p
         WHERE p.method IN ('cash', 'card_terminal')
           AND NOT EXISTS (SELECT FROM ticket_issues i
                            WHERE i.schedule_id = p.schedule_id AND i.reservation_id = p.reservation_id)) x
 LIMIT 20;

-- name: blocked_seat_has_no_ticket
-- A blocked seat has no live ticket, and what is recorded of a block is of a blocked seat.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT s.schedule_id, s.seat_id, s.state, t.ticket_id
          FROM seats s
          JOIN tickets t
            ON t.schedule_id = s.schedule_id
           AND t.seat_id = s.seat_id
           AND t.status <> 'VOID'
         WHERE s.state = 'BLOCKED'
         UNION ALL
        SELECT b.schedule_id, b.seat_id, s.state, NULL
          FROM seat_blocks b
          LEFT JOIN seats s
            ON s.schedule_id = b.schedule_id
           AND s.seat_id = b.seat_id
         WHERE s.state IS DISTINCT FROM 'BLOCKED') x
 LIMIT 20;

-- name: waiting_list_offer_has_its_hold
-- An offer of a waiting list has a reservation of its person with as many seats, which ends with the offer, or
-- later where an intent pays it; a taken one was paid.
SELECT count(*) OVER () AS violations, e.schedule_id, e.entry_id, e.user_id, e.status, e.reservation_id,
       r.status AS reservation_status, r.user_id AS reservation_user_id, r.expires_at, e.offer_expires_at
  FROM waiting_list_entries e
  LEFT JOIN (SELECT r.schedule_id, r.reservation_id, r.user_id, r.status, r.seat_ids, r.expires_at
               FROM reservations r
              UNION ALL
             SELECT a.schedule_id, a.reservation_id, a.user_id, a.status, a.seat_ids, a.expires_at
               FROM reservations_archive a) r
    ON r.schedule_id = e.schedule_id
   AND r.reservation_id = e.reservation_id
 WHERE e.reservation_id IS NOT NULL
   AND (r.user_id = e.user_id AND cardinality(r.seat_ids) = e.seats AND r.expires_at >= e.offer_expires_at
        AND CASE e.status WHEN 'TAKEN' THEN r.status IN ('CONFIRMED', 'REFUNDED')
                          WHEN 'LAPSED' THEN r.status IN ('HELD', 'EXPIRED', 'CANCELLED')
                          ELSE true END) IS NOT TRUE
 LIMIT 20;

-- name: waiting_list_is_served_in_order
-- No entry got an offer while an earlier one waited that wanted no more seats, in the same grade or in any.
SELECT count(*) OVER () AS violations, e.schedule_id, e.entry_id, e.place, w.entry_id AS passed_over,
       w.place AS passed_over_place
  FROM waiting_list_entries e
 CROSS JOIN LATERAL (
       SELECT w.entry_id, w.place
         FROM waiting_list_entries w
        WHERE w.schedule_id = e.schedule_id AND w.status = 'WAITING' AND w.place < e.place
          AND w.seats <= e.seats AND (w.grade IS NULL OR w.grade = e.grade)
        ORDER BY w.place
        LIMIT 1) w
 WHERE e.reservation_id IS NOT NULL
 LIMIT 20;

-- name: waiting_list_entry_waits_in_its_line
-- An entry is of a waiting list that has given its place, and a list is only on where seats wait for it.
SELECT count(*) OVER () AS violations, x.*
  FROM (SELECT e.schedule_id, e.entry_id, e.place, l.last_place, c.waiting_list_turn_s
          FROM waiting_list_entries e
          LEFT JOIN waiting_lists l ON l.schedule_id = e.schedule_id
          LEFT JOIN schedules c ON c.schedule_id = e.schedule_id
         WHERE (e.place BETWEEN 1 AND l.last_place AND c.waiting_list_turn_s > 0) IS NOT TRUE
         UNION ALL
        SELECT l.schedule_id, NULL, NULL, l.last_place, c.waiting_list_turn_s
          FROM waiting_lists l
          JOIN schedules c ON c.schedule_id = l.schedule_id
         WHERE l.is_on AND c.waiting_list_turn_s = 0) x
 LIMIT 20;
