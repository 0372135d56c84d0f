-- Statements of reports. They only read, each over one schedule, and take no row locks.
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- name: plan
-- For this transaction: look-ups by indexes and no scan of whole tables, which are those of the sale. The plans
-- do not depend on what the planner believes of tables that have grown since.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true);

-- name: performances
-- Performances of these organizations ($1 null: of any): of concert $2, schedule $3, or all; at most $4.
SELECT s.schedule_id, s.concert_id, c.organization_id, c.title, s.starts_at, s.currency, v.time_zone
  FROM schedules s
  -- guard: report_concert_of_the_performance => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
  -- guard: report_venue_of_the_performance => LEFT JOIN venues v ON true
  LEFT JOIN venues v ON v.venue_id = s.venue_id
 -- guard: report_only_of_own_organizations: c.organization_id = ANY ($1::uuid[]) => true
 WHERE ($1::uuid[] IS NULL OR c.organization_id = ANY ($1::uuid[]))
   -- guard: report_of_the_concert: c.concert_id = $2 => true
   AND ($2::uuid IS NULL OR c.concert_id = $2)
   -- guard: report_of_the_schedule: s.schedule_id = $3 => true
   AND ($3::uuid IS NULL OR s.schedule_id = $3)
 ORDER BY s.starts_at, s.schedule_id
 -- no guard: The service asks for one more than it allows, and refuses that.
 LIMIT $4;

-- name: sold
-- The seats that were paid in schedule $1 from $2 until $3, by day in zone $4, way of sale, channel, grade and
-- price type.
SELECT (p.created_at AT TIME ZONE $4)::date AS day,
       -- guard: report_sales_at_the_box_office_apart: 'box_office' ELSE => 'online' ELSE
       CASE WHEN p.method = ANY ('{cash,card_terminal}') THEN 'box_office' ELSE 'online' END AS source,
       l.channel, l.grade, l.price_type, count(*) AS seats_sold, sum(l.price_minor)::bigint AS gross,
       sum(l.discount_minor)::bigint AS discounts, sum(l.fee_minor)::bigint AS booking_fees
  FROM payments p
 CROSS JOIN LATERAL reports_lines_v1(p.schedule_id, p.reservation_id) l
 -- guard: report_sales_of_the_schedule: p.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: report_sales_since: p.created_at >= $2 AND => $2::timestamptz IS NOT NULL AND
 -- guard: report_sales_until: p.created_at < $3 => $3::timestamptz IS NOT NULL
 WHERE p.schedule_id = $1 AND p.created_at >= $2 AND p.created_at < $3
 GROUP BY 1, 2, 3, 4, 5;

-- name: given
-- The complimentary tickets of schedule $1 that were issued or made void from $2 until $3, by day in zone $4 and
-- grade.
SELECT (e.at AT TIME ZONE $4)::date AS day, x.grade, sum(e.issued)::bigint AS complimentary,
       sum(e.voided)::bigint AS complimentary_returned
  FROM ticket_issues i
 CROSS JOIN LATERAL (VALUES (i.issued_at, 1, 0), (i.voided_at, 0, 1)) e (at, issued, voided)
 CROSS JOIN LATERAL unnest(i.ticket_ids) n (ticket_id)
 CROSS JOIN LATERAL (
       SELECT t.seat_id
         FROM tickets t
        -- guard: report_tickets_of_the_issue: AND t.ticket_id = n.ticket_id =>
        WHERE t.schedule_id = i.schedule_id AND t.ticket_id = n.ticket_id
       OFFSET 0) t
 CROSS JOIN LATERAL (
       SELECT x.grade
         FROM seats x
        -- guard: report_seat_of_the_ticket: AND x.seat_id = t.seat_id =>
        WHERE x.schedule_id = i.schedule_id AND x.seat_id = t.seat_id
       OFFSET 0) x
 -- guard: report_issues_of_the_schedule: i.schedule_id = $1 => $1::uuid IS NOT NULL
 -- guard: report_sales_are_not_given: i.kind = 'COMPLIMENTARY' => true
 WHERE i.schedule_id = $1 AND i.kind = 'COMPLIMENTARY'
   -- guard: report_given_since: e.at >= $2 AND => $2::timestamptz IS NOT NULL AND
   -- guard: report_given_until: e.at < $3 => e.at IS NOT NULL AND $3::timestamptz IS NOT NULL
   AND e.at >= $2 AND e.at < $3
 GROUP BY 1, 2;

-- name: returned
-- What was refunded, compensated or lost in disputes of schedule $1 from $2 until $3, by day in zone $4, way of
-- sale, channel, grade and price type. An amount is shared out over its seats by what was paid for each, equally
-- where nothing was.
WITH movements AS (
    SELECT f.refund_id AS movement_id, f.created_at, f.payment_id, f.seat_ids, f.amount_minor, f.fee_minor,
           f.compensation_minor, 0::bigint AS lost_minor
      FROM refunds f
     -- guard: report_refunds_since: f.created_at >= $2 AND => $2::timestamptz IS NOT NULL AND
     -- guard: report_refunds_until: f.created_at < $3 => $3::timestamptz IS NOT NULL
     WHERE f.created_at >= $2 AND f.created_at < $3
       -- no guard: The index. A refund of another schedule has no payment in this one.
       AND f.schedule_id = $1
     UNION ALL
    SELECT t.transfer_id, t.created_at, t.payment_id, NULL, 0, 0, 0, t.amount_minor
      -- guard: report_lost_disputes_once: DISTINCT =>
      FROM (SELECT DISTINCT d.user_id, d.payment_id FROM disputes d
             -- no guard: A dispute of another schedule has no payment in this one.
             WHERE d.schedule_id = $1) d
      JOIN transfers t
        -- guard: report_transfers_of_the_disputed_payment: AND t.payment_id = d.payment_id =>
        ON t.user_id = d.user_id AND t.payment_id = d.payment_id
     -- guard: report_only_lost_disputes: t.kind = 'dispute_lost' AND =>
     -- guard: report_disputes_since: t.created_at >= $2 AND => $2::timestamptz IS NOT NULL AND
     -- guard: report_disputes_until: t.created_at < $3 => $3::timestamptz IS NOT NULL
     WHERE t.kind = 'dispute_lost' AND t.created_at >= $2 AND t.created_at < $3
), lines AS (
    SELECT m.movement_id, m.created_at, m.seat_ids, m.amount_minor, m.fee_minor, m.compensation_minor,
           m.lost_minor, p.method, l.channel, l.grade, l.price_type, l.place,
           l.price_minor - l.discount_minor + l.fee_minor AS paid_minor
      FROM movements m
     CROSS JOIN LATERAL (
           SELECT p.method, p.reservation_id
             FROM payments p
            -- guard: report_payment_of_the_movement: AND p.payment_id = m.payment_id =>
            WHERE p.schedule_id = $1 AND p.payment_id = m.payment_id
           OFFSET 0) p
     CROSS JOIN LATERAL reports_lines_v1($1, p.reservation_id) l
     -- guard: report_only_seats_that_were_returned: l.seat_id = ANY (m.seat_ids) => true
     WHERE m.seat_ids IS NULL OR l.seat_id = ANY (m.seat_ids)
), weighed AS (
    SELECT l.*,
           -- guard: report_share_of_what_was_free => l.paid_minor
           CASE WHEN sum(l.paid_minor) OVER (PARTITION BY l.movement_id) = 0 THEN 1 ELSE l.paid_minor END
           AS weight
      FROM lines l
), shared AS (
    SELECT w.*, sum(w.weight) OVER (PARTITION BY w.movement_id ORDER BY w.place) AS upto,
           sum(w.weight) OVER (PARTITION BY w.movement_id) AS total
      FROM weighed w
)
SELECT (s.created_at AT TIME ZONE $4)::date AS day,
       -- guard: report_returns_of_the_box_office_apart: 'box_office' ELSE => 'online' ELSE
       CASE WHEN s.method = ANY ('{cash,card_terminal}') THEN 'box_office' ELSE 'online' END AS source,
       s.channel, s.grade, s.price_type,
       -- guard: report_disputed_seats_are_not_returned: count(s.seat_ids) => count(*)
       count(s.seat_ids) AS seats_returned,
       sum(reports_share_v1(s.amount_minor, s.weight, s.upto, s.total))::bigint AS refunds,
       sum(reports_share_v1(s.fee_minor, s.weight, s.upto, s.total))::bigint AS cancellation_fees,
       sum(reports_share_v1(s.compensation_minor, s.weight, s.upto, s.total))::bigint AS compensation,
       sum(reports_share_v1(s.lost_minor, s.weight, s.upto, s.total))::bigint AS disputes_lost
  FROM shared s
 GROUP BY 1, 2, 3, 4, 5;

-- name: settled
-- The entries of schedule $1 in the accounts that are the organization's, before $3, by kind of transfer and
-- account; `is_before`: those before $2. Only persons who paid have such entries, and each one's transfers are
-- found by the primary key.
SELECT t.kind, e.account, t.is_before, sum(e.amount_minor)::bigint AS amount_minor
  -- no guard: A person is looked up once; the ledger's figures would count repetitions.
  FROM (SELECT DISTINCT p.user_id FROM payments p
         -- no guard: Persons without a payment in the schedule have no transfers of it.
         WHERE p.schedule_id = $1) u
 CROSS JOIN LATERAL (
       SELECT t.user_id, t.transfer_id, t.kind, t.created_at < $2 AS is_before
         FROM transfers t
        -- guard: settlement_transfers_of_the_schedule: t.schedule_id = $1 => $1::uuid IS NOT NULL
        -- guard: settlement_until: t.created_at < $3 => $3::timestamptz IS NOT NULL
        WHERE t.user_id = u.user_id AND t.schedule_id = $1 AND t.created_at < $3
       -- no guard: Keeps the look-up by person, which the planner could turn into a scan of all transfers.
       OFFSET 0) t
 CROSS JOIN LATERAL (
       SELECT e.account, e.amount_minor
         FROM ledger_entries e
        -- guard: settlement_entries_of_the_transfer: AND e.transfer_id = t.transfer_id =>
        WHERE e.user_id = t.user_id AND e.transfer_id = t.transfer_id
          -- guard: settlement_own_accounts
          AND e.account = ANY ('{income,fees,disputes,till,terminal}')
       OFFSET 0) e
 GROUP BY t.kind, e.account, t.is_before;

-- name: booking_fees
-- The booking fees in what was paid in schedule $1 from $2 until $3; the ledger has price and fee in one amount.
SELECT coalesce(sum(f.minor), 0)::bigint AS booking_fees
  FROM payments p
 CROSS JOIN LATERAL (
       SELECT o.fees_minor
         FROM reservation_offers o
        -- guard: settlement_offers_of_the_payment: AND o.reservation_id = p.reservation_id =>
        WHERE o.schedule_id = p.schedule_id AND o.reservation_id = p.reservation_id
       OFFSET 0) o
 CROSS JOIN LATERAL unnest(o.fees_minor) f (minor)
 -- guard: settlement_fees_of_the_schedule: p.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: settlement_fees_since: p.created_at >= $2 AND => $2::timestamptz IS NOT NULL AND
 -- guard: settlement_fees_until: p.created_at < $3 => $3::timestamptz IS NOT NULL
 WHERE p.schedule_id = $1 AND p.created_at >= $2 AND p.created_at < $3;

-- name: performance_of
-- Concert and organization of schedule $1, if it is of these organizations ($2 null: of any).
SELECT s.schedule_id, s.concert_id, c.organization_id
  FROM schedules s
  -- guard: attendees_concert_of_the_schedule => JOIN concerts c ON true
  JOIN concerts c ON c.concert_id = s.concert_id
 -- guard: attendees_of_that_schedule: s.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: attendees_only_of_own_organizations: c.organization_id = ANY ($2::uuid[]) => true
 WHERE s.schedule_id = $1 AND ($2::uuid[] IS NULL OR c.organization_id = ANY ($2::uuid[]));

-- name: attendees
-- The tickets of schedule $1 in the order of its seats, from the one after the place $3, $4 on: valid ones, or
-- all where $2. At most $5, or all of them where it is null. A ticket that an organizer issued has the name and
-- the address that were given.
SELECT t.ticket_id, t.reservation_id, t.seat_id, t.status, t.issued_at, t.ordinal, t.section, t.row_label,
       t.number, l.grade, l.price_type,
       -- no guard: { What the issue says, where there is one.
       coalesce(i.name, u.name) AS name, CASE WHEN i.kind IS NULL THEN u.email ELSE coalesce(i.email, '') END AS email,
       coalesce(lower(i.kind), 'online') AS source,
       -- guard: }
       k.order_number
  FROM (SELECT t.*, x.ordinal, x.section, x.row_label, x.number
          FROM tickets t
         CROSS JOIN LATERAL (
               SELECT x.ordinal, x.section, x.row_label, x.number
                 FROM seats x
                -- guard: attendee_seat_of_the_ticket: AND x.seat_id = t.seat_id =>
                WHERE x.schedule_id = t.schedule_id AND x.seat_id = t.seat_id
               OFFSET 0) x
         -- guard: attendees_of_the_schedule => WHERE $1::uuid IS NOT NULL
         WHERE t.schedule_id = $1
           -- guard: attendees_valid_ones: t.status = 'VALID' => true
           AND ($2::boolean OR t.status = 'VALID')
           -- guard: attendees_after_the_cursor: (x.ordinal, t.ticket_id) > ($3, $4::uuid) => $4::uuid IS NOT NULL
           AND ($3::integer IS NULL OR (x.ordinal, t.ticket_id) > ($3, $4::uuid))
         ORDER BY x.ordinal, t.ticket_id
         -- guard: attendees_on_a_page: $5 => $5 + 9
         LIMIT $5) t
 CROSS JOIN LATERAL (
       SELECT u.name, u.email
         FROM users u
        -- guard: attendee_owner_of_the_ticket => WHERE t.user_id IS NOT NULL
        WHERE u.user_id = t.user_id
       OFFSET 0) u
  LEFT JOIN LATERAL (
       SELECT i.kind, i.name, i.email
         FROM ticket_issues i
        -- guard: attendee_issue_of_the_ticket: AND i.reservation_id = t.reservation_id =>
        WHERE i.schedule_id = t.schedule_id AND i.reservation_id = t.reservation_id
       -- no guard: The conditions are inside.
       OFFSET 0) i ON true
  LEFT JOIN LATERAL (
       SELECT k.order_number
         FROM order_numbers k
        -- guard: attendee_number_of_the_order: AND k.reservation_id = t.reservation_id =>
        WHERE k.schedule_id = t.schedule_id AND k.reservation_id = t.reservation_id
       -- no guard: The conditions are inside.
       OFFSET 0) k ON true
 CROSS JOIN LATERAL (
       SELECT l.grade, l.price_type
         FROM reports_lines_v1(t.schedule_id, t.reservation_id) l
        -- guard: attendee_line_of_the_ticket => WHERE t.seat_id IS NOT NULL
        WHERE l.seat_id = t.seat_id
       OFFSET 0) l
 ORDER BY t.ordinal, t.ticket_id;

-- name: attendee_count
-- How many tickets `attendees` returns.
SELECT count(*) AS rows
  FROM tickets t
 -- guard: attendee_count_of_the_schedule: t.schedule_id = $1 AND => $1::uuid IS NOT NULL AND
 -- guard: attendee_count_of_valid_ones: t.status = 'VALID' => true
 WHERE t.schedule_id = $1 AND ($2::boolean OR t.status = 'VALID');
